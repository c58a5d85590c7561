"""ReadCatalog: a catalog's files become Arrow batches and problems."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.typehints import no_annotations

from transforms.catalog.problems import Problem
from transforms.catalog.reader import CatalogShard, read_shard
from transforms.formats.arrow import to_ipc


class Catalog(NamedTuple):
    """What `ReadCatalog` gives: Arrow IPC batches of rows, and what is wrong with rows that were left out."""

    batches: beam.PCollection[bytes]
    problems: beam.PCollection[Problem]


class ReadCatalog(beam.PTransform[beam.Pipeline, Catalog]):
    """Reads the shards of a catalog in parallel: one element is one Arrow batch, as IPC bytes.

    Rows that cannot be read are left out and become `Problem`s; nothing else is dropped.
    """

    def __init__(self, shards: list[CatalogShard]) -> None:
        super().__init__()
        self._shards = shards

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, root: beam.Pipeline) -> Catalog:
        """One reshuffle spreads the shards over the workers."""
        shards = root | "ListShards" >> beam.Create(self._shards) | "SpreadShards" >> beam.Reshuffle()
        read = shards | "ReadShard" >> beam.FlatMap(_read).with_outputs("problems", main="batches")
        return Catalog(read.batches, read.problems)


def _read(shard: CatalogShard) -> Iterator[Any]:
    for batch, problems in read_shard(shard):
        yield to_ipc(batch)
        yield from (_tagged(problem) for problem in problems)


def _tagged(problem: Problem) -> beam.pvalue.TaggedOutput[str, Problem]:
    return beam.pvalue.TaggedOutput("problems", problem)
