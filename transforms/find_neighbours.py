"""FindNeighbours: the neighbours of all tracks of a snapshot, and its search index, in steps that leave files."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import pyarrow as pa

from transforms import storage
from transforms.discovery.index.job import (
    NeighbourJob,
    assign_bucket,
    bucket_neighbours,
    gather_group,
    model_of,
    opened_snapshot,
)
from transforms.discovery.index.manifest import (
    IndexFile,
    IndexManifest,
    IndexSet,
    write_index_manifest,
)
from transforms.discovery.index.ranking import damp_group, occurrences, rank_group
from transforms.formats.sealing import sealed_bytes
from transforms.schemas.tables import NEIGHBOURS
from transforms.table.layout import index_path
from transforms.table.neighbours import NEIGHBOURS_TABLE
from transforms.table.snapshots import DataFile
from transforms.tagging.bucket_files import write_table_file
from transforms.tagging.outcomes import PriorOutcomes

Gathered = tuple[int, int, IndexFile]
"""Number of a set, group, and its file in the index."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NeighbourSettings:
    """The work of one run.

    Attributes:
      jobs: one for each embedding of the snapshot; their models are written.
      run_id: id of the run that the files are for.
      known: the table, and the ids of its snapshot.
    """

    jobs: tuple[NeighbourJob, ...]
    run_id: str
    known: PriorOutcomes

    @property
    def result_url(self) -> str:
        """Where the last step writes what the launcher needs."""
        return self.jobs[0].url(f"{self.jobs[0].work}/result.json")


class FindNeighbours(beam.PTransform[beam.pvalue.PBegin, beam.PCollection[None]]):
    """Writes the index, the files of `neighbours`, and `result_url`, which names them."""

    def __init__(self, settings: NeighbourSettings) -> None:
        super().__init__()
        self._settings = settings

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[None]:
        """Each step waits for the one before it; it finds its input in files."""
        settings, everything = self._settings, beam.pvalue.AsList
        snapshot = opened_snapshot(settings.jobs[0].root, settings.jobs[0].snapshot)
        buckets = range(snapshot.buckets)
        groups = [(job, group) for job in settings.jobs for group in range(model_of(job).groups)]

        def numbered(name: str, elements: Iterable[Any]) -> beam.PCollection[Any]:
            found: beam.PCollection[Any] = (
                begin | f"List {name}" >> beam.Create(list(elements)) | f"Spread {name}" >> beam.Reshuffle()
            )
            return found

        pairs = ((job, bucket) for job in settings.jobs for bucket in buckets)
        assigned = numbered("Buckets", pairs) | "AssignBuckets" >> beam.Map(_assign)
        gathered = numbered("Groups", groups) | "GatherGroups" >> beam.Map(_gather, everything(assigned))
        files = everything(gathered)
        ranked = numbered("Ranked", groups) | "RankGroups" >> beam.Map(_rank, files)
        damped = numbered("Damped", groups) | "DampHubs" >> beam.Map(_damp, files, everything(ranked))
        written = numbered("Written", buckets) | "WriteBuckets" >> beam.Map(_write, settings, files, everything(damped))
        recorded: beam.PCollection[None] = (
            begin
            | "StartRecord" >> beam.Create([settings])
            | "RecordNeighbours" >> beam.Map(record_neighbours, files, everything(written))
        )
        return recorded


def find_neighbours(settings: NeighbourSettings) -> None:
    """The same without Beam."""
    buckets = range(opened_snapshot(settings.jobs[0].root, settings.jobs[0].snapshot).buckets)
    groups = [(job, group) for job in settings.jobs for group in range(model_of(job).groups)]
    for job in settings.jobs:
        for bucket in buckets:
            assign_bucket(job, bucket)
    gathered = [_gather(one, ()) for one in groups]
    for one in groups:
        _rank(one, gathered)
    for one in groups:
        _damp(one, gathered, ())
    record_neighbours(settings, gathered, [_write(bucket, settings, gathered, ()) for bucket in buckets])


def _assign(item: tuple[NeighbourJob, int]) -> int:
    assign_bucket(*item)
    return item[1]


def _gather(item: tuple[NeighbourJob, int], assigned: Iterable[int]) -> Gathered:
    job, group = item
    return job.number, group, gather_group(job, group)


def _rank(item: tuple[NeighbourJob, int], gathered: Iterable[Gathered]) -> int:
    job, group = item
    rank_group(job, group, _sizes(job, gathered))
    return group


def _damp(item: tuple[NeighbourJob, int], gathered: Iterable[Gathered], ranked: Iterable[int]) -> int:
    job, group = item
    damp_group(job, group, _sizes(job, gathered))
    return group


def _files(job: NeighbourJob, gathered: Iterable[Gathered]) -> tuple[IndexFile, ...]:
    """The files of a set in the order of their groups."""
    return tuple(file for _, file in sorted((group, file) for number, group, file in gathered if number == job.number))


def _sizes(job: NeighbourJob, gathered: Iterable[Gathered]) -> list[int]:
    return [file.tracks for file in _files(job, gathered)]


def _write(
    bucket: int, settings: NeighbourSettings, gathered: Iterable[Gathered], damped: Iterable[int]
) -> DataFile | None:
    """Writes a bucket's file of `neighbours`; None if no track of it has one."""
    gathered = list(gathered)
    found = [bucket_neighbours(job, bucket, range(len(_sizes(job, gathered)))) for job in settings.jobs]
    rows = pa.concat_tables(found).select(NEIGHBOURS.names).cast(NEIGHBOURS)
    rows = rows.sort_by([("track_id", "ascending"), ("rank", "ascending")])
    if not rows.num_rows:
        return None
    return write_table_file(settings.known, bucket, NEIGHBOURS_TABLE, rows, settings.run_id)


def record_neighbours(
    settings: NeighbourSettings, gathered: Iterable[Gathered], written: Iterable[DataFile | None]
) -> None:
    """Writes the manifest of the index, and the result of the job."""
    gathered, first = list(gathered), settings.jobs[0]
    snapshot = opened_snapshot(first.root, first.snapshot)
    sets, told = [], []
    for job in settings.jobs:
        model, files = model_of(job), _files(job, gathered)
        own = IndexSet(
            embedding_id=model.space.spec.embedding_id,
            model=IndexFile.of(job.model_path, storage.read_bytes(job.url(job.model_path))),
            groups=files,
        )
        sets.append(own)
        told.append(
            {
                "embedding_id": own.embedding_id,
                "tracks": own.tracks,
                "cells": len(model.centres),
                "similarity": dataclasses.asdict(model.space.spec),
                "hubs": occurrences(job, _sizes(job, gathered)),
            }
        )
    path = index_path(settings.run_id)
    manifest = IndexManifest(content_hash=snapshot.manifest.run.content_hash, sets=tuple(sets))
    write_index_manifest(first.root, path, manifest)
    rows = sorted((file for file in written if file is not None), key=lambda file: file.bucket)
    result = {
        "index": path,
        "sets": told,
        "files": [dataclasses.asdict(file) for file in rows],
    }
    storage.write_bytes(settings.result_url, sealed_bytes(result))
