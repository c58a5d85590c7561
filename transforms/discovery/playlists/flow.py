"""How well tracks follow a shape: cost of a track at a place of the playlist, and of a step from track to track.

Tempo (in octaves) and energy have a wanted value at each place. For `constant` it is the middle of the shortest
interval with a third of the most relevant candidates. Else it is between their 10 % and 90 % quantile, from the first
to the last place for `rising`, up to the middle and down for `arc`.
The cost is the difference, divided by the distance of the quantiles. A key has a wanted step on the Camelot wheel:
none for `constant`, an hour up (a fifth) for `rising`, up in the first half and down in the second for `arc`. Its cost
is the number of steps from there, divided by 7. A value that is not known costs 0.5.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.discovery.playlists.request import Shape
from transforms.discovery.search.keys import camelot_code, wheel_steps

UNKNOWN_COST = 0.5
_LOW, _HIGH = 0.1, 0.9

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Flow:
    """The costs of candidates.

    Attributes:
      shapes: property -> shape.
      values: property -> value of each candidate, NaN if it is not known; tempo in octaves above 1 bpm.
      codes: Camelot code of each candidate, or None.
      relevant: number of the most relevant candidates, which come first.
    """

    shapes: Mapping[str, Shape]
    values: Mapping[str, _Floats]
    codes: Sequence[str | None]
    relevant: int

    @classmethod
    def of(cls, shapes: Mapping[str, Shape], facts: Sequence[Mapping[str, Any]], relevant: int) -> "Flow":
        """The flow of tracks with the facts `tempo`, `key` and `energy`, which may be null."""
        values = {}
        for name in ("tempo", "energy"):
            own = np.array([_number(one.get(name)) for one in facts], np.float64)
            values[name] = np.log2(np.where(own > 0, own, np.nan)) if name == "tempo" else own
        keys = (one.get("key") for one in facts)
        return cls(shapes, values, [None if key is None else camelot_code(str(key)) for key in keys], relevant)

    def place_costs(self, share: float) -> _Floats:
        """Cost of each candidate at a place: 0 is the beginning of the playlist, 1 its end. float64 [candidates]."""
        total = np.zeros(len(self.codes))
        for name in self.shapes:
            if name != "key":
                total += self._place_cost(name, share)
        return total

    def _place_cost(self, name: str, share: float) -> _Floats:
        values = self.values[name]
        known = values[: self.relevant][~np.isnan(values[: self.relevant])]
        if not len(known):
            return np.full(len(values), UNKNOWN_COST)
        low, high = np.quantile(known, [_LOW, _HIGH])
        spread = high - low if high > low else 1.0
        shape = self.shapes[name]
        way = share if shape == "rising" else 1 - abs(2 * share - 1)
        wanted = densest(known) if shape == "constant" else low + way * (high - low)
        costs = np.abs(values - wanted) / spread
        found: _Floats = np.where(np.isnan(costs), UNKNOWN_COST, np.minimum(costs, 2.0))
        return found

    def step_cost(self, before: str | None, code: str | None, share: float) -> float:
        """Cost of the step from one key to another at a place of the playlist."""
        if "key" not in self.shapes:
            return 0.0
        if before is None or code is None:
            return UNKNOWN_COST
        shape = self.shapes["key"]
        up = 0 if shape == "constant" else -1 if shape == "arc" and share > 0.5 else 1
        wanted = f"{(int(before[:-1]) - 1 + up) % 12 + 1}{before[-1]}"
        return wheel_steps(wanted, code) / 7


def densest(values: _Floats) -> float:
    """The middle of the shortest interval with a third of the values, at least two (one if there is only one).

    Source: Andrews et al. (1972), who take a half ("shorth").
    """
    own = np.sort(values)
    count = min(max(len(own) // 3, 2), len(own))
    widths = own[count - 1 :] - own[: len(own) - count + 1]
    first = int(widths.argmin())
    return float(own[first] + own[first + count - 1]) / 2


def ordered(flow: Flow, tracks: Sequence[int], before: str | None) -> list[int]:
    """The tracks in an order with lower costs: pairs are swapped as long as this helps, in at most five rounds.

    Args:
      tracks: positions of candidates.
      before: Camelot code of the track before the first one.
    """
    count = len(tracks)
    shares = [place / max(count - 1, 1) for place in range(count)]
    costs = [flow.place_costs(share)[list(tracks)] for share in shares]
    order = list(range(count))

    def cost(place: int) -> float:
        """Cost of a place, with the step to it."""
        if place >= count:
            return 0.0
        one = tracks[order[place]]
        last = flow.codes[tracks[order[place - 1]]] if place else before
        step = 0.0 if last is None and not place else flow.step_cost(last, flow.codes[one], shares[place])
        return float(costs[place][order[place]]) + step

    for _ in range(5):
        changed = False
        for first in range(count):
            for second in range(first + 1, count):
                places = {first, first + 1, second, second + 1}
                old = sum(map(cost, places))
                order[first], order[second] = order[second], order[first]
                if sum(map(cost, places)) < old - 1e-9:
                    changed = True
                else:
                    order[first], order[second] = order[second], order[first]
        if not changed:
            break
    return [tracks[place] for place in order]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan
