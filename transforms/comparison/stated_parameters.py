"""How far measured parameters agree with what a catalog states: tempo, key, metre and loudness."""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from transforms.features.parameters.key_spellings import parse_key
from transforms.features.parameters.keys import MIREX_SCORES, key_relation
from transforms.schemas.parameters import PARAMETERS_ID
from transforms.table.reader import SnapshotReader

TOLERANCE = 0.04
"""Relative error up to which two tempi are the same."""
OCTAVES = (1 / 3, 1 / 2, 1, 2, 3)
"""Multiples that are told apart from other errors: a beat counted twice or three times, or every second or third."""
LOUDNESS_LU = (1.0, 3.0)
"""Differences in LU up to which loudness is counted as close."""

_METRE = re.compile(r"(\d{1,2})(?:\.0|\s*/\s*(\d{1,2}))?")
"""A metre; a number alone is of quarter notes, as in Spotify's `time_signature`."""
_UNIT = re.compile(r"\s*(bpm|lufs|db)$", re.IGNORECASE)
_COMPOUND = {(9, 8): (6, 8), (12, 8): (6, 8), (2, 4): (4, 4), (2, 2): (4, 4), (3, 2): (3, 4), (3, 8): (3, 4)}
"""Metres that are measured as another one, see `rhythm/metre.py`."""


@dataclasses.dataclass(kw_only=True)
class Agreement:
    """Counts of one pair of columns.

    Attributes:
      column: what the catalog states.
      measured: the measured column.
      counts: name of an agreement -> tracks. A track can count for several.
      compared: tracks with both values.
      unread: stated values that mean nothing.
    """

    column: str
    measured: str
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    compared: int = 0
    unread: int = 0

    def to_json(self) -> dict[str, Any]:
        """The counts and shares as a JSON object."""
        shares = {name: round(count / self.compared, 4) for name, count in sorted(self.counts.items())}
        return {**dataclasses.asdict(self), "counts": dict(self.counts), "shares": shares if self.compared else {}}


@dataclasses.dataclass(kw_only=True)
class StatedParameters:
    """Tracks by `parameters_id` (empty: without), and the agreement of each pair of columns."""

    tracks: Counter[str] = dataclasses.field(default_factory=Counter)
    agreements: list[Agreement] = dataclasses.field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """All counts as a JSON object."""
        return {"tracks": dict(sorted(self.tracks.items())), "agreements": [one.to_json() for one in self.agreements]}


def compare_with_stated(snapshot: SnapshotReader) -> StatedParameters:
    """Compares the parameters of a snapshot with the columns of its catalog, batch by batch.

    Raises:
      TableError, storage.StorageError: see `SnapshotReader.batches`.
    """
    found, names = StatedParameters(), snapshot.schema("tracks").names
    if PARAMETERS_ID not in names:
        found.tracks[""] = snapshot.manifest.rows("tracks")
        return found
    pairs = [(column, *of) for column, of in _STATED.items() if column in names]
    found.agreements = [Agreement(column=column, measured=" ".join(measured)) for column, measured, _ in pairs]
    columns = list(dict.fromkeys([PARAMETERS_ID, *(c for c, measured, _ in pairs for c in (c, *measured))]))
    for batch in snapshot.batches("tracks", columns):
        values = {name: batch[name].to_pylist() for name in columns}
        found.tracks.update(name or "" for name in values[PARAMETERS_ID])
        for agreement, (column, measured, compare) in zip(found.agreements, pairs, strict=True):
            for stated, *own in zip(values[column], *(values[name] for name in measured), strict=True):
                if stated is not None and own[0] is not None:
                    _count(agreement, compare(stated, *own))
    return found


def _count(agreement: Agreement, names: Mapping[str, bool] | None) -> None:
    if names is None:
        agreement.unread += 1
        return
    agreement.compared += 1
    agreement.counts.update({name: int(holds) for name, holds in names.items()})


def _tempo(stated: Any, bpm: float, other: float | None) -> dict[str, bool] | None:
    """Whether tempi agree, also up to an octave, and whether the alternative tempo is the stated one."""
    value = _number(stated)
    if value is None or value <= 0:
        return None

    def near(multiple: float) -> bool:
        return abs(multiple * bpm / value - 1) <= TOLERANCE

    return {
        "within 4 %": near(1),
        "within 4 % or the alternative": near(1) or (other is not None and abs(other / value - 1) <= TOLERANCE),
        "up to an octave": any(map(near, OCTAVES)),
    }


def _key(stated: Any, key: str) -> dict[str, bool] | None:
    wanted = parse_key(str(stated))
    if wanted is None:
        return None
    relation = key_relation(wanted, key)
    return {name: relation == name for name in MIREX_SCORES}


def _metre(stated: Any, beats: int, unit: int) -> dict[str, bool] | None:
    found = _METRE.fullmatch(str(stated).strip())
    if found is None:
        return None
    wanted = (int(found[1]), int(found[2] or 4))
    return {"same": _COMPOUND.get(wanted, wanted) == (beats, unit)}


def _loudness(stated: Any, lufs: float) -> dict[str, bool] | None:
    value = _number(stated)
    return None if value is None else {f"within {most:g} LU": abs(value - lufs) <= most for most in LOUDNESS_LU}


def _number(stated: Any) -> float | None:
    """A number, or a text of one: with a point or a comma, and with or without its unit."""
    try:
        value = float(_UNIT.sub("", str(stated).strip()).replace(",", "."))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


_TEMPO = (("tempo_bpm", "tempo_alternative_bpm"), _tempo)
_KEYS = (("key",), _key)
_STATED: dict[str, tuple[tuple[str, ...], Callable[..., dict[str, bool] | None]]] = {
    "bpm": _TEMPO,
    "musical_key": _KEYS,
    "catalog_key": _KEYS,
    "time_signature": (("beats_per_bar", "beat_unit"), _metre),
    "stated_loudness_lufs": (("loudness_lufs",), _loudness),
}
"""Column of the catalog, as `tracks` names it -> measured columns, and what compares them."""
