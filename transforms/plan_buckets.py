"""PlanBuckets: plans the chunks to extract of each bucket."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.typehints import no_annotations

from transforms.catalog.problems import Problem
from transforms.catalog.reader import repeated_ids
from transforms.catalog.sources import refused_sources
from transforms.extraction.source import CHUNK_TRACKS, Chunk
from transforms.formats.arrow import from_ipc
from transforms.storage import SourceRoots
from transforms.tagging.outcomes import PriorOutcomes
from transforms.tagging.planning import plan_chunks


class Plan(NamedTuple):
    """Output of `PlanBuckets`.

    Attributes:
      chunks: the `Chunk`s to extract.
      problems: repeated ids, and tracks to be read that are outside of the roots.
    """

    chunks: beam.PCollection[Chunk]
    problems: beam.PCollection[Problem]


@dataclasses.dataclass(frozen=True)
class _Settings:
    known: PriorOutcomes
    roots: SourceRoots
    chunk_tracks: int


class PlanBuckets(beam.PTransform[beam.PCollection[tuple[int, bytes]], Plan]):
    """Takes (bucket, Arrow IPC of its catalog rows sorted by track_id), returns a `Plan`."""

    def __init__(self, known: PriorOutcomes, roots: SourceRoots, chunk_tracks: int = CHUNK_TRACKS) -> None:
        super().__init__()
        self._settings = _Settings(known, roots, chunk_tracks)

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, rows: beam.PCollection[tuple[int, bytes]]) -> Plan:
        """Plans each bucket and spreads the chunks over the workers."""
        planned = rows | "PlanBucket" >> beam.FlatMap(_plan, self._settings).with_outputs("problems", main="chunks")
        return Plan(planned.chunks | "SpreadChunks" >> beam.Reshuffle(), planned.problems)


def _plan(item: tuple[int, bytes], settings: _Settings) -> Iterator[Any]:
    bucket, data = item
    rows = from_ipc(data)
    problems = repeated_ids(rows)
    chunks = [] if problems else plan_chunks(settings.known, bucket, rows, settings.chunk_tracks)
    planned = [source.track_id for chunk in chunks for source in chunk.tracks]
    problems += refused_sources(rows, planned, settings.roots)
    yield from (beam.pvalue.TaggedOutput("problems", problem) for problem in problems)
    yield from chunks
