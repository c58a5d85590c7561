"""FindDuplicates: finds tracks with the same source bytes in all buckets, and computes a digest of the outcomes."""

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
"""Number of leading hex digits of a digest that form its group; digests are compared within a group."""

_COLUMNS = ("track_id", "source_version", "reason", "detail", "stage", "source_sha256", "carried", "run_id")


class Duplicates(NamedTuple):
    """Output of `FindDuplicates`.

    Attributes:
      duplicates: (bucket, IPC of track_id and duplicate_of).
      outcomes: one digest per bucket, of its catalog rows and their outcomes.
    """

    duplicates: beam.PCollection[tuple[int, bytes]]
    outcomes: beam.PCollection[str]


class FindDuplicates(beam.PTransform[beam.PCollection[tuple[int, dict[str, Any]]], Duplicates]):
    """Takes (bucket, {"rows": [IPC], "parts": [url]}), returns `Duplicates`.

    Among tracks with the same bytes, the one with the smallest id is the original and has no entry. Only digests and
    ids are shuffled. Grouping with `parts` delays the stage until the chunks of the bucket are done.
    """

    def __init__(self, known: PriorOutcomes) -> None:
        super().__init__()
        self._known = known

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, buckets: beam.PCollection[tuple[int, dict[str, Any]]]) -> Duplicates:
        """Lists the digests of each bucket and matches them with one shuffle."""
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
        digests = outcomes.select(["track_id", "source_sha256"])
        digests = digests.filter(pc.is_valid(digests["source_sha256"]))
        digests = digests.append_column("bucket", pa.array([bucket] * digests.num_rows, pa.int32()))
        shards = pc.utf8_slice_codeunits(digests["source_sha256"], 0, SHARD_DIGITS)
        for shard in shards.unique().to_pylist():
            yield shard, to_ipc(digests.filter(pc.equal(shards, shard)).combine_chunks())


def _match(item: tuple[str, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
    pairs = duplicates(concat(list(item[1])))
    for bucket in pairs["bucket"].unique().to_pylist():
        yield bucket, to_ipc(pairs.filter(pc.equal(pairs["bucket"], bucket)).drop_columns("bucket").combine_chunks())


def duplicates(digests: pa.Table) -> pa.Table:
    """Rows (track_id, source_sha256, bucket) -> (track_id, duplicate_of, bucket), without the originals."""
    firsts = digests.group_by("source_sha256").aggregate([("track_id", "min")])
    index = pc.index_in(digests["source_sha256"], value_set=firsts["source_sha256"].combine_chunks())
    first = firsts["track_id_min"].take(index)
    pairs = digests.select(["track_id", "bucket"]).append_column("duplicate_of", first)
    return pairs.filter(pc.not_equal(pairs["track_id"], pairs["duplicate_of"]))
