"""ReadCatalog: reads the files of a catalog as Arrow batches, and lists the problems of its rows."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.typehints import no_annotations

from transforms.catalog.problems import CatalogError, Problem
from transforms.catalog.reader import CatalogShard, read_shard
from transforms.formats.arrow import to_ipc


class Catalog(NamedTuple):
    """Output of `ReadCatalog`: Arrow IPC batches of rows, and the problems of rows that were left out."""

    batches: beam.PCollection[bytes]
    problems: beam.PCollection[Problem]


class ReadCatalog(beam.PTransform[beam.Pipeline, Catalog]):
    """Reads the shards of a catalog in parallel. One element is one Arrow batch, as IPC bytes.

    A row that cannot be read is left out and becomes a `Problem`. No other row is dropped: a file that delivers another
    number of rows than were counted at first is a `Problem`, too.
    """

    def __init__(self, shards: list[CatalogShard]) -> None:
        super().__init__()
        self._shards = shards

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, root: beam.Pipeline) -> Catalog:
        """Spreads the shards over the workers with one reshuffle, and reads them."""
        shards = root | "ListShards" >> beam.Create(self._shards) | "SpreadShards" >> beam.Reshuffle()
        read = shards | "ReadShard" >> beam.FlatMap(_read).with_outputs("problems", main="batches")
        return Catalog(read.batches, read.problems)


def _read(shard: CatalogShard) -> Iterator[Any]:
    try:
        for batch, problems in read_shard(shard):
            yield to_ipc(batch)
            yield from map(_tagged, problems)
    except CatalogError as error:
        yield from map(_tagged, error.problems)


def _tagged(problem: Problem) -> beam.pvalue.TaggedOutput[str, Problem]:
    return beam.pvalue.TaggedOutput("problems", problem)
