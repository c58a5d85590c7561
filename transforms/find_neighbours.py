"""FindNeighbours: the neighbours of all tracks of a snapshot, and its search index, in steps that leave files."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa

from transforms import storage
from transforms.discovery.index.assigning import assign_bucket, gather_group, split_base
from transforms.discovery.index.damping import damp_group, occurrences, redone_rows
from transforms.discovery.index.job import NeighbourJob, model_of, opened_snapshot
from transforms.discovery.index.manifest import (
    IndexFile,
    IndexManifest,
    IndexSet,
    write_index_manifest,
)
from transforms.discovery.index.ranking import rank_group
from transforms.formats.sealing import sealed_bytes
from transforms.schemas.tables import NEIGHBOURS
from transforms.sum_work import add_to_counters
from transforms.table.layout import index_path
from transforms.table.neighbours import NEIGHBOURS_TABLE, replaced_rows
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import DataFile
from transforms.tagging.bucket_files import write_table_file
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.telemetry.counters import NEIGHBOUR_WORK
from transforms.telemetry.work import Work


class Done(NamedTuple):
    """A finished piece of a step.

    Attributes:
      set: number of the set.
      number: number of the bucket or group.
      files: what it wrote into the index.
      facts: what was computed, and what was kept: a name of `NEIGHBOUR_WORK` -> number.
    """

    set: int
    number: int
    files: tuple[IndexFile, ...]
    facts: Mapping[str, int]


class NeighbourFile(NamedTuple):
    """A finished bucket of `neighbours`: its file, None if no track of it has a neighbour, and whether it was kept."""

    file: DataFile | None
    is_kept: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class NeighbourSettings:
    """The work of one run.

    Attributes:
      jobs: one for each embedding of the snapshot that a track has; their models are written.
      run_id: id of the run that the files are for.
      known: the table, and the ids of its snapshot.
      fitted: of each job, what its model was fitted to, see `transforms.table.neighbours`.
    """

    jobs: tuple[NeighbourJob, ...]
    run_id: str
    known: PriorOutcomes
    fitted: tuple[Mapping[str, Any], ...]

    @property
    def result_url(self) -> str:
        """Where the last step writes what the launcher needs."""
        return storage.join(self.known.root, f"work/neighbours-{self.run_id.removeprefix('run-')}/result.json")


class FindNeighbours(beam.PTransform[beam.pvalue.PBegin, beam.PCollection[None]]):
    """Writes the index, the files of `neighbours`, and `result_url`, which names them."""

    def __init__(self, settings: NeighbourSettings) -> None:
        super().__init__()
        self._settings = settings

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[None]:
        """Each step waits for the one before it; it finds its input in files."""
        settings, everything = self._settings, beam.pvalue.AsList
        work = _Work.of(settings)

        def numbered(name: str, elements: Iterable[Any]) -> beam.PCollection[Any]:
            found: beam.PCollection[Any] = (
                begin | f"List {name}" >> beam.Create(list(elements)) | f"Spread {name}" >> beam.Reshuffle()
            )
            return found

        split = everything(numbered("Earlier", work.earlier) | "SplitBase" >> beam.Map(_split))
        assigned = numbered("Buckets", work.pairs) | "AssignBuckets" >> beam.Map(_assign, split)
        after = everything(assigned)
        gathered = everything(numbered("Groups", work.groups) | "GatherGroups" >> beam.Map(_gather, after))
        ranked = numbered("Ranked", work.groups) | "RankGroups" >> beam.Map(_rank, gathered)
        lists = everything(ranked)
        damped = everything(numbered("Damped", work.groups) | "DampHubs" >> beam.Map(_damp, gathered, lists))
        written = numbered("Written", work.buckets) | "WriteBuckets" >> beam.Map(_write, settings, damped)
        recorded: beam.PCollection[None] = (
            begin
            | "StartRecord" >> beam.Create([settings])
            | "RecordNeighbours" >> beam.Map(_record, gathered, damped, after, lists, everything(written))
        )
        return recorded


class _Work(NamedTuple):
    """The elements of the steps."""

    buckets: list[int]
    pairs: list[tuple[NeighbourJob, int]]
    groups: list[tuple[NeighbourJob, int]]
    earlier: list[tuple[NeighbourJob, int]]

    @classmethod
    def of(cls, settings: NeighbourSettings) -> "_Work":
        buckets = list(range(opened_snapshot(settings.known.root, settings.jobs[0].snapshot).buckets))
        groups = [(job, group) for job in settings.jobs for group in range(model_of(job).groups)]
        return cls(
            buckets=buckets,
            pairs=[(job, bucket) for job in settings.jobs for bucket in buckets],
            groups=groups,
            earlier=[(job, group) for job, group in groups if job.base is not None],
        )


def find_neighbours(settings: NeighbourSettings) -> None:
    """The same without Beam."""
    work = _Work.of(settings)
    split = [_split(one) for one in work.earlier]
    assigned = [_assign(one, split) for one in work.pairs]
    gathered = [_gather(one, assigned) for one in work.groups]
    ranked = [_rank(one, gathered) for one in work.groups]
    damped = [_damp(one, gathered, ranked) for one in work.groups]
    _record(settings, gathered, damped, assigned, ranked, [_write(one, settings, damped) for one in work.buckets])


def _split(item: tuple[NeighbourJob, int]) -> int:
    split_base(*item)
    return item[1]


def _assign(item: tuple[NeighbourJob, int], split: Iterable[int]) -> Done:
    job, bucket = item
    return _counted(Done(job.number, bucket, (), assign_bucket(job, bucket)))


def _gather(item: tuple[NeighbourJob, int], assigned: Iterable[Done]) -> Done:
    job, group = item
    return Done(job.number, group, gather_group(job, group), {})


def _rank(item: tuple[NeighbourJob, int], gathered: Iterable[Done]) -> Done:
    job, group = item
    return _counted(Done(job.number, group, (), rank_group(job, group)))


def _damp(item: tuple[NeighbourJob, int], gathered: Iterable[Done], ranked: Iterable[Done]) -> Done:
    job, group = item
    file, facts = damp_group(job, group, _sizes(job, gathered)[group])
    return _counted(Done(job.number, group, (file,), facts))


def _counted(done: Done) -> Done:
    work = Work()
    work.add_all({NEIGHBOUR_WORK[name]: value for name, value in done.facts.items()})
    add_to_counters(work)
    return done


def _files(job: NeighbourJob, done: Iterable[Done], place: int = 0) -> tuple[IndexFile, ...]:
    """The files of a set in the order of their groups."""
    own = sorted((one for one in done if one.set == job.number), key=lambda one: one.number)
    return tuple(one.files[place] for one in own)


def _sizes(job: NeighbourJob, gathered: Iterable[Done]) -> list[int]:
    return [file.tracks for file in _files(job, gathered)]


def _write(bucket: int, settings: NeighbourSettings, damped: Iterable[Done]) -> NeighbourFile:
    """Writes a bucket's file of `neighbours`, or keeps that of the snapshot if all its rows stay."""
    redone = [redone_rows(job, bucket, model_of(job).groups) for job in settings.jobs]
    again = pa.concat_tables([rows.select(NEIGHBOURS.names) for rows in redone])
    snapshot = opened_snapshot(settings.known.root, settings.jobs[0].snapshot)
    before = snapshot.manifest.bucket_files(NEIGHBOURS_TABLE, bucket)
    if not again.num_rows and before and _is_same(settings, snapshot, bucket):
        return NeighbourFile(before[0], True)
    earlier = snapshot.scan(NEIGHBOURS_TABLE, bucket=bucket).select(NEIGHBOURS.names).cast(NEIGHBOURS)
    rows = replaced_rows(earlier, again, _kept_ids(settings, snapshot, bucket))
    if not rows.num_rows:
        return NeighbourFile(None, False)
    return NeighbourFile(write_table_file(settings.known, bucket, NEIGHBOURS_TABLE, rows, settings.run_id), False)


def _is_same(settings: NeighbourSettings, snapshot: SnapshotReader, bucket: int) -> bool:
    """Whether the earlier index has all sets, and a bucket's tracks are in them as they are."""
    sets = [one["embedding_id"] for one in snapshot.manifest.run.neighbours.get("sets", ())]
    if [job.embedding_id for job in settings.jobs if job.base is not None] != sets:
        return False
    facts = [assign_bucket(job, bucket) for job in settings.jobs]  # reads what it has written
    return not any(one[name] for one in facts for name in ("tracks_added", "tracks_changed", "tracks_removed"))


def _kept_ids(settings: NeighbourSettings, snapshot: SnapshotReader, bucket: int) -> pa.Array:
    """Tracks whose earlier rows stay unless there are new ones: they have an embedding of an earlier index."""
    bases = [job.embedding_id for job in settings.jobs if job.base is not None]
    ids = [snapshot.scan("embeddings", ["track_id"], bucket=bucket, embedding_id=one)["track_id"] for one in bases]
    return pa.chunked_array([chunk for one in ids for chunk in one.chunks], pa.string()).combine_chunks()


def _record(
    settings: NeighbourSettings,
    gathered: Iterable[Done],
    damped: Iterable[Done],
    assigned: Iterable[Done],
    ranked: Iterable[Done],
    written: Iterable[NeighbourFile],
) -> None:
    """Writes the manifest of the index, and the result of the job."""
    gathered, damped, written = list(gathered), list(damped), list(written)
    facts = _sums([*assigned, *ranked, *damped])
    sets, told = [], []
    for job, fitted in zip(settings.jobs, settings.fitted, strict=True):
        own = _index_set(job, gathered, damped)
        sets.append(own)
        told.append(_set_record(job, own, fitted, facts[job.number]))
    path, root = index_path(settings.run_id), settings.known.root
    snapshot = opened_snapshot(root, settings.jobs[0].snapshot)
    manifest = IndexManifest(content_hash=snapshot.manifest.run.content_hash, sets=tuple(sets))
    write_index_manifest(root, path, manifest)
    files = sorted((one.file for one in written if one.file is not None), key=lambda file: file.bucket)
    result = {
        "index": path,
        "sets": told,
        "files": [dataclasses.asdict(file) for file in files],
        "files_kept": sum(one.is_kept for one in written),
    }
    storage.write_bytes(settings.result_url, sealed_bytes(result))


def _sums(done: Iterable[Done]) -> dict[int, dict[str, int]]:
    """The facts of each set."""
    sums: dict[int, dict[str, int]] = collections.defaultdict(lambda: dict.fromkeys(NEIGHBOUR_WORK, 0))
    for one in done:
        for name, value in one.facts.items():
            sums[one.set][name] += value
    return sums


def _index_set(job: NeighbourJob, gathered: Iterable[Done], damped: Iterable[Done]) -> IndexSet:
    return IndexSet(
        embedding_id=job.embedding_id,
        model=IndexFile.of(job.model_path, storage.read_bytes(job.url(job.model_path))),
        groups=_files(job, gathered),
        vectors=_files(job, gathered, 1),
        candidates=_files(job, damped),
    )


def _set_record(job: NeighbourJob, own: IndexSet, fitted: Mapping[str, Any], work: dict[str, int]) -> dict[str, Any]:
    """What the snapshot says about a set."""
    model = model_of(job)
    changed = sum(work[f"tracks_{name}"] for name in ("added", "changed", "removed")) if job.base else 0
    return {
        "embedding_id": own.embedding_id,
        "tracks": own.tracks,
        "cells": len(model.centres),
        "similarity": model.space.spec.to_json(),
        "hubs": occurrences(job, [file.tracks for file in own.groups]),
        "fitted": {**fitted, "changed": fitted["changed"] + changed},
        "kept": job.base is not None,
        "work": work,
    }
