"""Measured values of one element, and their sums over a job."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from transforms.telemetry.costly_tracks import CostlyTracks
from transforms.telemetry.counters import CORE_TIME, Measure


class Work:
    """All measured values of one element of a stage. Single values are kept so that engines can show distributions.

    Attributes:
      costly: the most costly tracks of the element.
    """

    def __init__(self) -> None:
        self.values: dict[Measure, list[int]] = {}
        self.costly = CostlyTracks()

    def add(self, measure: Measure, value: int) -> None:
        """Adds one value."""
        self.values.setdefault(measure, []).append(value)

    def add_all(self, values: Mapping[Measure, int]) -> None:
        """Adds one value of each measure."""
        for measure, value in values.items():
            self.add(measure, value)


@dataclasses.dataclass(kw_only=True)
class Spread:
    """Count, sum, minimum and maximum of values."""

    count: int
    sum: int
    min: int
    max: int

    def merge(self, other: "Spread") -> None:
        """Includes the values of another spread."""
        self.count, self.sum = self.count + other.count, self.sum + other.sum
        self.min, self.max = min(self.min, other.min), max(self.max, other.max)


class WorkTotals:
    """Sums of the work of many elements. The order in which they are added does not matter.

    Attributes:
      costly: the most costly tracks of all elements.
    """

    def __init__(self) -> None:
        self._spreads: dict[Measure, Spread] = {}
        self.costly = CostlyTracks()

    def add(self, work: Work) -> None:
        """Adds the work of one element."""
        for measure, values in work.values.items():
            self._merge(measure, Spread(count=len(values), sum=sum(values), min=min(values), max=max(values)))
        self.costly += work.costly

    def merge(self, other: "WorkTotals") -> None:
        """Adds other totals to these."""
        for measure, spread in other._spreads.items():
            self._merge(measure, spread)
        self.costly += other.costly

    def _merge(self, measure: Measure, spread: Spread) -> None:
        if measure in self._spreads:
            self._spreads[measure].merge(spread)
        else:
            self._spreads[measure] = dataclasses.replace(spread)

    def total(self, measure: Measure) -> int:
        """The sum of a measure; 0 if no element has it."""
        return self._spreads[measure].sum if measure in self._spreads else 0

    def to_json(self) -> dict[str, Any]:
        """Returns the sums in the form used in manifests and receipts.

        `core_seconds`: stage -> processor time; `counters`: stage -> name -> sum; `distributions`: stage -> name ->
        count, sum, min and max.
        """
        obj: dict[str, dict[str, Any]] = {"core_seconds": {}, "counters": {}, "distributions": {}}
        for measure, spread in sorted(self._spreads.items(), key=lambda item: (item[0].stage, item[0].name)):
            if measure.unit == CORE_TIME:
                obj["core_seconds"][measure.stage] = spread.sum / 1e6
            elif measure.kind == "counter":
                obj["counters"].setdefault(measure.stage, {})[measure.name] = spread.sum
            else:
                obj["distributions"].setdefault(measure.stage, {})[measure.name] = dataclasses.asdict(spread)
        return obj
