"""`tag --max-core-hours`: chooses the tracks that a run extracts. The others are left to later runs."""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.inputs.predicate import matching_tracks
from pipelines.planning.catalog import in_parallel, plan_catalog
from pipelines.planning.sample import kept_parts, measured_costs
from pipelines.terminal.errors import UsageError
from pipelines.waves.catalog_rows import group_catalog, sorted_bucket
from pipelines.waves.tagging import TagStages
from transforms import storage
from transforms.catalog.problems import FirstProblems
from transforms.formats.arrow import from_ipc, group_numbers, to_ipc
from transforms.formats.grouped_rows import GroupedRows, GroupWriter
from transforms.storage.scratch import Scratch, open_scratch
from transforms.table.sampling import track_hashes
from transforms.table.snapshots import DEFERRED, listed_numbers, read_snapshot
from transforms.table.versions import TableError
from transforms.tagging.choice import Budget, ChosenTracks, TrackChoice, record_choice, recorded_choice
from transforms.tagging.costs import UnitCosts, estimated
from transforms.tagging.forecast import Forecast
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.outcomes.unsettled import unsettled

MEASURED_TRACKS = 50
"""Tracks that a run extracts before it chooses, if no earlier run has measured what a track costs."""

NEVER, UNKNOWN_AGE = 0, 1
"""Age of a track that no run has extracted, and of one whose run is in no snapshot that is left. Others have the number
of the snapshot of their run, and 1."""

_MATCHED = 1 << 32
"""Subtracted from the age of tracks that meet the condition of `--first`, so that they come first."""

_BINS = 1 << 16


class Recorded(NamedTuple):
    """A choice, and the tracks of it."""

    choice: ChosenTracks
    facts: TrackChoice


def with_choice(stages: TagStages, made: Recorded) -> TagStages:
    """The settings of a run that extracts the chosen tracks only."""
    known = dataclasses.replace(stages.assemble.known, choice=made.choice)
    expectations = dataclasses.replace(stages.record.expectations, budget=made.facts.to_json())
    return dataclasses.replace(
        stages,
        assemble=dataclasses.replace(stages.assemble, known=known),
        record=dataclasses.replace(stages.record, known=known, expectations=expectations),
    )


def choice_of_run(stages: TagStages, budget: Budget, launch: str, threads: int) -> Recorded:
    """The choice of a run, which a killed launch may have recorded. It is recorded in the table.

    Raises:
      UsageError: the budget is too small for one track, or the condition of `--first` is wrong.
      CommandFailed: the catalog has problems, which the message lists.
    """
    known = stages.assemble.known
    name = _name(budget, known)
    facts = recorded_choice(known.root, name)
    if facts is None:
        folder = f"work/{name}/{launch.rpartition('/')[2].removesuffix('.json')}"
        made = make_choice(stages, budget, storage.join(known.root, folder), threads, measure=MEASURED_TRACKS)
        facts = record_choice(known.root, name, dataclasses.replace(made.facts, folder=folder))
    return Recorded(ChosenTracks(storage.join(known.root, facts.folder)), facts)


def choice_of_plan(stages: TagStages, budget: Budget, scratch: Scratch, units: UnitCosts, threads: int) -> Recorded:
    """The choice that a run would make with these costs, in scratch space; or the one that is recorded.

    Raises:
      UsageError: see `choice_of_run`; or nothing tells what a track costs.
    """
    known = stages.assemble.known
    name = _name(budget, known)
    if (facts := recorded_choice(known.root, name)) is not None:
        return Recorded(ChosenTracks(storage.join(known.root, facts.folder)), facts)
    expectations = dataclasses.replace(stages.record.expectations, units=units)
    stages = dataclasses.replace(stages, record=dataclasses.replace(stages.record, expectations=expectations))
    return make_choice(stages, budget, f"{scratch.folder}/choice", threads, measure=0)


def _name(budget: Budget, known: PriorOutcomes) -> str:
    """Name of the choice of a run."""
    due = " ".join((known.parameters_id, *known.parameters_kept)) if known.parameters_due else ""
    return budget.name(known.parent, known.ids, retry_rejects=known.retry_rejects, parameters_id=due)


def make_choice(stages: TagStages, budget: Budget, folder: str, threads: int, *, measure: int) -> Recorded:
    """Chooses as many tracks as the budget allows, and writes them into a folder.

    Args:
      stages: settings of the run.
      budget: the budget.
      folder: where the choice is written.
      threads: buckets that are looked at in parallel.
      measure: tracks that are extracted if no earlier run measured what a track costs; their outcomes are kept.
    """
    expectations = stages.record.expectations
    plan = plan_catalog(stages, threads=threads)
    estimate, kept = estimated(plan.forecast, expectations.units, expectations.bundles), 0
    units = expectations.units
    if estimate.unknown and measure:
        plan = plan_catalog(stages, threads=threads, sample=measure)
        found = measured_costs(stages, plan, keep=kept_parts(stages))
        units, kept = units.filled_by(found), 0 if stages.embed.further else len(plan.sample)
        estimate = estimated(plan.forecast, units, expectations.bundles)
    if estimate.unknown:
        raise UsageError(
            f"--max-core-hours={budget.max_core_hours:g}: no earlier run measured {', '.join(estimate.unknown)}: "
            "give --measure 50 to decode a sample"
        )
    fixed, each = _fixed_and_each(plan.forecast, units, expectations.bundles)
    wanted, most = plan.forecast.actions["extract"], _affordable(budget, fixed, each)
    if most < 1 and wanted:
        raise UsageError(
            f"--max-core-hours={budget.max_core_hours:g}: to plan and to write the tables takes {fixed / 3600:.3g} "
            f"core-hours, and one track {each / 3600:.3g}: give more than {(fixed + each) / 3600:.3g}"
        )
    chosen = min(most, wanted)
    choice = ChosenTracks(folder)
    _pick(stages, budget, choice, max(chosen - kept, 0), threads)
    facts = TrackChoice(
        budget=budget,
        folder=folder,
        tracks=wanted,
        chosen=max(chosen, kept),
        core_seconds_per_track=each,
        core_seconds_fixed=fixed,
    )
    return Recorded(choice, facts)


def _fixed_and_each(forecast: Forecast, units: UnitCosts, bundles: int) -> tuple[float, float]:
    """Core-seconds of a run without extraction, and of each extracted track; some keep their embedding."""
    seconds, extract = units.core_seconds, forecast.actions["extract"]
    fixed = forecast.catalog * (seconds.get("plan", 0.0) + seconds.get("assemble", 0.0))
    embedded = bundles * (1 - forecast.kept_embedding / extract if extract else 1)
    return fixed, seconds.get("read", 0.0) + seconds.get("extract", 0.0) + embedded * seconds.get("embed", 0.0)


def _affordable(budget: Budget, fixed: float, each: float) -> int:
    left = budget.max_core_hours * 3600 - fixed
    if left < 0:
        return 0
    return int(left / each + 1e-9) if each else 1 << 62


def _pick(stages: TagStages, budget: Budget, choice: ChosenTracks, count: int, threads: int) -> None:
    """Writes the first `count` tracks that need extraction. Memory is that of a few buckets, and of the boundary."""
    with open_scratch() as scratch:
        waiting = _waiting_tracks(stages, budget, scratch, threads)
        bins = _bins(waiting)
        boundary, rest = _boundary(bins, count)
        last = _first_of_boundary(waiting, boundary, rest)
        for bucket in waiting.numbers():
            rows = waiting.group(bucket)
            before = _keys(rows) < boundary
            chosen = np.logical_or(before, pc.is_in(rows["track_id"], value_set=last).to_numpy())
            choice.write(bucket, rows["track_id"].filter(pa.array(chosen)).combine_chunks())


_Integers = npt.NDArray[np.int64]


def _keys(rows: pa.Table) -> _Integers:
    """Age and bin of the hash of each track, as one integer that sorts like the pair."""
    keys: _Integers = rows["age"].to_numpy() * _BINS + rows["hash"].to_numpy() // (1 << 63 - 16)
    return keys


def _bins(waiting: GroupedRows) -> dict[int, _Integers]:
    """Age -> number of its tracks in each bin of the hash. There are about as many ages as snapshots."""
    sums: dict[int, _Integers] = {}
    for bucket in waiting.numbers():
        keys = _keys(waiting.group(bucket))
        for age in np.unique(keys // _BINS).tolist():
            own = keys[keys // _BINS == age] - age * _BINS
            sums[age] = sums.get(age, np.zeros(_BINS, np.int64)) + np.bincount(own, minlength=_BINS)
    return sums


def _boundary(bins: dict[int, _Integers], count: int) -> tuple[int, int]:
    """The key at which the count is reached, and the number of its tracks that are chosen."""
    for age, counts in sorted(bins.items()):
        reached = np.cumsum(counts)
        if count < reached[-1]:
            place = int(np.searchsorted(reached, count, side="right"))
            return age * _BINS + place, count - int(reached[place] - counts[place])
        count -= int(reached[-1])
    return (max(bins, default=0) + 1) * _BINS, 0


def _first_of_boundary(waiting: GroupedRows, boundary: int, count: int) -> pa.Array:
    """The chosen tracks among those at the boundary, in the order of their hashes."""
    if not count:
        return pa.array([], pa.string())
    groups = (waiting.group(number) for number in waiting.numbers())
    found = [rows.filter(pa.array(_keys(rows) == boundary)) for rows in groups]
    ordered = pa.concat_tables(found).sort_by([("hash", "ascending"), ("track_id", "ascending")])
    return ordered["track_id"].slice(0, count).combine_chunks()


def _waiting_tracks(stages: TagStages, budget: Budget, scratch: Scratch, threads: int) -> GroupedRows:
    """Tracks that need extraction, by bucket: `track_id`, `age`, `hash`."""
    known = stages.assemble.known
    rows, waiting = GroupedRows(scratch, "rows"), GroupedRows(scratch, "waiting")
    group_catalog(stages.shards, rows, stages.embed.roots, stages.buckets, FirstProblems(), check=lambda *_: [])
    matched = _matched_tracks(known, budget, stages.buckets, scratch)
    age_of = _ages(known)
    look = functools.partial(_of_bucket, known, rows, matched, age_of)
    for bucket, found in in_parallel(look, rows.numbers(), threads):
        waiting.append(bucket, to_ipc(found))
    return waiting


def _of_bucket(
    known: PriorOutcomes, rows: GroupedRows, matched: GroupedRows, age_of: dict[str, int], bucket: int
) -> tuple[int, pa.Table]:
    todo = unsettled(known, bucket, from_ipc(sorted_bucket(bucket, rows))).rows["track_id"].combine_chunks()
    ages = np.full(len(todo), NEVER, np.int64)
    if known.snapshot is not None:
        ledger = known.snapshot.scan("ledger", ["track_id", "run_id", "status"], bucket=bucket)
        ledger = ledger.filter(pc.not_equal(ledger["status"], DEFERRED))
        runs = ledger["run_id"].take(pc.index_in(todo, value_set=ledger["track_id"].combine_chunks())).to_pylist()
        ages = np.fromiter((NEVER if run is None else age_of.get(run, UNKNOWN_AGE) for run in runs), np.int64)
    for piece in matched.pieces(bucket):
        ages -= _MATCHED * pc.is_in(todo, value_set=piece["track_id"].combine_chunks()).to_numpy(zero_copy_only=False)
    return bucket, pa.table({"track_id": todo, "age": ages, "hash": track_hashes("budget", todo.to_pylist())})


def _matched_tracks(known: PriorOutcomes, budget: Budget, buckets: int, scratch: Scratch) -> GroupedRows:
    """The tracks that meet the condition of `--first`, by bucket.

    Raises:
      UsageError: the condition is wrong, or there is no ledger.
    """
    matched = GroupedRows(scratch, "matched")
    if budget.first is None:
        return matched
    if known.snapshot is None:
        raise UsageError(f"--first: {known.root} has no snapshot, and so no ledger: leave it out")
    with GroupWriter(matched) as writer:
        for batch in matching_tracks(known.snapshot, budget.first):
            writer.add(pa.Table.from_batches([batch]), group_numbers(batch["track_id"].to_pylist(), buckets))
    return matched


def _ages(known: PriorOutcomes) -> dict[str, int]:
    """Run -> age of the tracks that it extracted."""
    found: dict[str, int] = {}
    for number in listed_numbers(known.root):
        try:
            found.setdefault(read_snapshot(known.root, number).run.run_id, number + 1)
        except (storage.NotFound, TableError):  # removed meanwhile, or damaged
            continue
    return found
