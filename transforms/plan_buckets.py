"""PlanBuckets: groups catalog rows by bucket and plans the chunks to extract."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.typehints import no_annotations

from transforms.catalog.problems import Problem
from transforms.catalog.reader import repeated_ids
from transforms.catalog.sources import refused_sources
from transforms.extraction.source import CHUNK_TRACKS, Chunk
from transforms.formats.arrow import concat, from_ipc, split_by_bucket, to_ipc
from transforms.storage import SourceRoots
from transforms.tagging.outcomes import PriorOutcomes
from transforms.tagging.planning import plan_chunks


class Plan(NamedTuple):
    """Output of `PlanBuckets`.

    Attributes:
      rows: (bucket, Arrow IPC of the bucket's rows sorted by track_id).
      chunks: the `Chunk`s to extract.
      problems: repeated ids, and tracks to be read that are outside of the roots.
    """

    rows: beam.PCollection[tuple[int, bytes]]
    chunks: beam.PCollection[Chunk]
    problems: beam.PCollection[Problem]


@dataclasses.dataclass(frozen=True)
class _Settings:
    known: PriorOutcomes
    roots: SourceRoots
    chunk_tracks: int


class PlanBuckets(beam.PTransform[beam.PCollection[bytes], Plan]):
    """Takes Arrow batches of catalog rows, returns a `Plan`."""

    def __init__(
        self, known: PriorOutcomes, roots: SourceRoots, buckets: int, chunk_tracks: int = CHUNK_TRACKS
    ) -> None:
        super().__init__()
        self._buckets = buckets
        self._settings = _Settings(known, roots, chunk_tracks)

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, batches: beam.PCollection[bytes]) -> Plan:
        """Shuffles the catalog rows once, plans each bucket and spreads the chunks over the workers."""
        split = batches | "SplitByBucket" >> beam.FlatMap(split_by_bucket, self._buckets)
        groups = split | "GroupBuckets" >> beam.GroupByKey()
        rows = groups | "SortRows" >> beam.Map(_sorted_rows)
        planned = rows | "PlanBucket" >> beam.FlatMap(_plan, self._settings).with_outputs("problems", main="chunks")
        chunks = planned.chunks | "SpreadChunks" >> beam.Reshuffle()
        return Plan(rows, chunks, planned.problems)


def _sorted_rows(group: tuple[int, Iterable[bytes]]) -> tuple[int, bytes]:
    bucket, batches = group
    return bucket, to_ipc(concat(list(batches)).sort_by("track_id"))


def _plan(item: tuple[int, bytes], settings: _Settings) -> Iterator[Any]:
    bucket, data = item
    rows = from_ipc(data)
    problems = repeated_ids(rows)
    chunks = [] if problems else plan_chunks(settings.known, bucket, rows, settings.chunk_tracks)
    planned = [source.track_id for chunk in chunks for source in chunk.tracks]
    problems += refused_sources(rows, planned, settings.roots)
    yield from (beam.pvalue.TaggedOutput("problems", problem) for problem in problems)
    yield from chunks
