"""FindDuplicates: tracks whose sources have the same bytes, across all buckets; and a digest of what became of each."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.typehints import no_annotations

from transforms.formats.arrow import concat, from_ipc, to_ipc
from transforms.name_run import outcome_digest
from transforms.tagging.outcomes import PriorOutcomes, assembled

SHARD_DIGITS = 2
"""Hex digits of a digest that decide which group it is compared in."""

_COLUMNS = ("track_id", "source_version", "reason", "detail", "stage", "source_sha256", "carried", "run_id")


class Duplicates(NamedTuple):
    """What `FindDuplicates` gives.

    Attributes:
      duplicates: (bucket, IPC of track_id and duplicate_of).
      outcomes: one digest a bucket of its catalog rows and of what became of them.
    """

    duplicates: beam.PCollection[tuple[int, bytes]]
    outcomes: beam.PCollection[str]


class FindDuplicates(beam.PTransform[beam.PCollection[tuple[int, dict[str, Any]]], Duplicates]):
    """(bucket, {"rows": [IPC], "parts": [url]}) in; `Duplicates` out.

    Of tracks with the same bytes the one with the smallest id comes first and has no entry itself. Only digests and
    ids are shuffled. The groups of `parts` hold the stage back until the chunks of the bucket are done.
    """

    def __init__(self, known: PriorOutcomes) -> None:
        super().__init__()
        self._known = known

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, buckets: beam.PCollection[tuple[int, dict[str, Any]]]) -> Duplicates:
        """One shuffle of (digest, id) pairs."""
        listed = buckets | "ListDigests" >> beam.FlatMap(_list_digests, self._known).with_outputs(
            "outcomes", main="digests"
        )
        pairs = listed.digests | "GroupDigests" >> beam.GroupByKey() | "MatchDigests" >> beam.FlatMap(_match)
        return Duplicates(pairs, listed.outcomes)


def _list_digests(item: tuple[int, dict[str, Any]], known: PriorOutcomes) -> Iterator[Any]:
    bucket, group = item
    for data in group["rows"]:
        rows = from_ipc(data)
        outcomes = assembled(known, bucket, rows, _COLUMNS, latest=group["parts"])
        yield beam.pvalue.TaggedOutput("outcomes", outcome_digest(rows, outcomes))
        found = outcomes.select(["track_id", "source_sha256"])
        found = found.filter(pc.is_valid(found["source_sha256"]))
        found = found.append_column("bucket", pa.array([bucket] * found.num_rows, pa.int32()))
        shards = pc.utf8_slice_codeunits(found["source_sha256"], 0, SHARD_DIGITS)
        for shard in shards.unique().to_pylist():
            yield shard, to_ipc(found.filter(pc.equal(shards, shard)).combine_chunks())


def _match(item: tuple[str, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
    pairs = duplicates(concat(list(item[1])))
    for bucket in pairs["bucket"].unique().to_pylist():
        yield bucket, to_ipc(pairs.filter(pc.equal(pairs["bucket"], bucket)).drop_columns("bucket").combine_chunks())


def duplicates(digests: pa.Table) -> pa.Table:
    """Rows (track_id, source_sha256, bucket) -> (track_id, duplicate_of, bucket) of all but the first of a digest."""
    firsts = digests.group_by("source_sha256").aggregate([("track_id", "min")])
    index = pc.index_in(digests["source_sha256"], value_set=firsts["source_sha256"].combine_chunks())
    first = firsts["track_id_min"].take(index)
    pairs = digests.select(["track_id", "bucket"]).append_column("duplicate_of", first)
    return pairs.filter(pc.not_equal(pairs["track_id"], pairs["duplicate_of"]))
