"""What a run is expected to cost, from what a track cost in earlier runs or in a sample."""

import contextlib
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from transforms import storage
from transforms.table.snapshots import Ids, Run, Snapshot, read_snapshot
from transforms.table.versions import TableError
from transforms.tagging.forecast import Forecast

STAGES = ("plan", "read", "extract", "embed", "assemble")
"""Stages whose processor time is measured, in their order."""

ENOUGH_TRACKS = 1_000
"""Earlier runs are added up until every stage has so many tracks."""

MOST_RUNS = 10
"""Most earlier runs that are looked at."""

_TRACKS = {
    "plan": ("assemble", "tracks_catalog"),
    "read": ("extract", "tracks_read"),
    "extract": ("extract", "tracks_read"),
    "embed": ("embed", "tracks"),
    "assemble": ("assemble", "tracks_catalog"),
}
"""Stage -> stage and name of the counter of the tracks that its processor time was spent on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnitCosts:
    """Costs of one track.

    Attributes:
      core_seconds: stage -> processor time of one of its tracks. Stages without a measurement are missing.
      source_bytes: mean size of a source; None if it is not known. The other sizes are also None if not known.
      table_bytes: size of the tables of a snapshot, divided by its tracks with tags.
      part_bytes: size of the part files, divided by their tracks.
      snapshots: the earlier runs that were measured, by their snapshots.
      sampled: tracks of a sample that was measured, too.
    """

    core_seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    source_bytes: float | None = None
    table_bytes: float | None = None
    part_bytes: float | None = None
    snapshots: tuple[int, ...] = ()
    sampled: int = 0

    def filled_by(self, sample: "UnitCosts") -> "UnitCosts":
        """These costs, with those of a sample where they are not known."""
        return dataclasses.replace(self.with_sample(sample), core_seconds={**sample.core_seconds, **self.core_seconds})

    def with_sample(self, sample: "UnitCosts") -> "UnitCosts":
        """These costs, with the processor time of a sample, and its sizes where these are not known."""
        sizes = {
            name: getattr(sample, name) if getattr(self, name) is None else getattr(self, name)
            for name in ("source_bytes", "table_bytes", "part_bytes")
        }
        seconds = {**self.core_seconds, **sample.core_seconds}
        return dataclasses.replace(self, core_seconds=seconds, sampled=sample.sampled, **sizes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEstimate:
    """Expected cost of a run.

    Attributes:
      core_seconds: stage -> processor time.
      unknown: stages that have work and no measurement.
      read_bytes: bytes of the sources to read; None if it is not known. The other sizes are also None if not known.
      table_bytes: size of the files of tables that are written: rows of tracks that are not unchanged, and compaction.
      part_bytes: size of the new part files.
    """

    core_seconds: Mapping[str, float]
    unknown: tuple[str, ...]
    read_bytes: int | None
    table_bytes: int | None
    part_bytes: int | None

    @property
    def core_hours(self) -> float | None:
        """Processor time of all stages; None if that of a stage is unknown."""
        return None if self.unknown else sum(self.core_seconds.values()) / 3600


def estimated(forecast: Forecast, units: UnitCosts, bundles: int = 1, compact_bytes: int = 0) -> RunEstimate:
    """The cost of what is forecast.

    Args:
      forecast: numbers of tracks.
      units: costs of one track.
      bundles: number of bundles that embed each track.
      compact_bytes: size of the files that compaction writes.
    """
    extract, catalog = forecast.actions["extract"], forecast.catalog
    embedded = (extract - min(forecast.kept_embedding, extract)) * bundles
    tracks = {"plan": catalog, "read": extract, "extract": extract, "embed": embedded, "assemble": catalog}
    known = units.core_seconds
    unsized = extract - forecast.sized
    rest = _times(units.source_bytes, unsized)
    rows = _times(units.table_bytes, forecast.kept - forecast.causes["unchanged"])
    return RunEstimate(
        core_seconds={stage: known.get(stage, 0.0) * tracks[stage] for stage in STAGES},
        unknown=tuple(stage for stage in STAGES if tracks[stage] and stage not in known),
        read_bytes=None if rest is None else forecast.read_bytes + rest,
        table_bytes=None if rows is None else rows + compact_bytes,
        part_bytes=_times(units.part_bytes, extract * bundles),
    )


def cost_of(run: Run) -> RunEstimate:
    """What a finished run has cost. The size of its part files follows from that of its tables, as in a plan."""
    measured = run.measured.get("core_seconds", {})
    sources: Mapping[str, Any] = run.measured.get("distributions", {}).get("extract", {}).get("source_bytes", {})
    return RunEstimate(
        core_seconds={stage: measured.get(stage, 0.0) for stage in STAGES},
        unknown=() if measured else STAGES,
        read_bytes=sources.get("sum", 0) if measured else None,
        table_bytes=sum(file.bytes for file in run.written),
        part_bytes=_times(_bytes_per_track(run).get("parts"), run.counts["decoded"]),
    )


def _times(unit: float | None, count: int) -> int | None:
    return 0 if not count else None if unit is None else round(unit * count)


def costs_of_history(root: str, numbers: Iterable[int], ids: Ids, parameters_id: str = "") -> UnitCosts:
    """Costs measured by the newest runs of a table. Rollbacks are passed over.

    Processor time of extraction counts if features and parameters were the same, that of embedding if the trunk was the
    same.

    Args:
      root: folder or gs:// prefix of the table.
      numbers: numbers of its snapshots, ascending.
      ids: ids of the run to come.
      parameters_id: id of its parameters; empty if it measures none.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    tracks: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    files: dict[str, float] = {}
    used = []
    for snapshot in _newest(root, numbers):
        used.append(snapshot.number)
        for stage, (count, core) in _measured(snapshot.run, ids, parameters_id).items():
            tracks[stage] += count
            seconds[stage] += core
        _add_sources(snapshot.run, sizes)
        if not files:
            files = _bytes_per_track(snapshot.run)
        if all(tracks[stage] >= ENOUGH_TRACKS for stage in STAGES):
            break
    return UnitCosts(
        core_seconds={stage: seconds[stage] / tracks[stage] for stage in STAGES if tracks[stage]},
        source_bytes=sizes["bytes"] / sizes["files"] if sizes["files"] else None,
        table_bytes=files.get("tables"),
        part_bytes=files.get("parts"),
        snapshots=tuple(sorted(used)),
    )


def _newest(root: str, numbers: Iterable[int]) -> Iterator[Snapshot]:
    for number in sorted(numbers, reverse=True)[:MOST_RUNS]:
        with contextlib.suppress(storage.NotFound, TableError):  # removed since, or damaged: others tell as much
            snapshot = read_snapshot(root, number)
            if snapshot.run.rolled_back_to is None:
                yield snapshot


def _measured(run: Run, ids: Ids, parameters_id: str) -> dict[str, tuple[int, float]]:
    """Stage -> tracks and core-seconds, for the stages that would cost the same today."""
    same = {
        "extract": (run.ids.feature_id, run.parameters.get("parameters_id", "")) == (ids.feature_id, parameters_id),
        "embed": run.ids.embedding_id == ids.embedding_id,
    }
    found = {}
    for stage, (place, name) in _TRACKS.items():
        count = run.measured.get("counters", {}).get(place, {}).get(name, 0)
        core = run.measured.get("core_seconds", {}).get(stage)
        if count and core is not None and same.get(stage, True):
            found[stage] = (count, core)
    return found


def _add_sources(run: Run, sizes: Counter[str]) -> None:
    spread: Mapping[str, Any] = run.measured.get("distributions", {}).get("extract", {}).get("source_bytes", {})
    sizes["files"] += spread.get("count", 0)
    sizes["bytes"] += spread.get("sum", 0)


def _bytes_per_track(run: Run) -> dict[str, float]:
    """Sizes of the tables, and of the two whose columns a part file has, by tracks with tags."""
    kept = run.counts["tagged"] + run.counts["carried"]
    if not kept:
        return {}
    of_parts = ("embeddings", "ledger")
    return {
        "tables": sum(file.bytes for file in run.files) / kept,
        "parts": sum(file.bytes for file in run.files if file.table in of_parts) / kept,
    }
