"""FindDuplicates: finds tracks with the same source bytes in all buckets."""

from collections.abc import Iterable, Iterator

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc

from transforms.formats.arrow import concat, from_ipc, to_ipc

SHARD_DIGITS = 2
"""Number of leading hex digits of a digest that form its group; digests are compared within a group."""


class FindDuplicates(beam.PTransform[beam.PCollection[bytes], beam.PCollection[tuple[int, bytes]]]):
    """Takes IPC of (track_id, source_sha256, bucket), returns (bucket, IPC of track_id and duplicate_of).

    Among tracks with the same bytes, the one with the smallest id is the original and has no entry. Only digests and
    ids are shuffled.
    """

    def expand(self, sources: beam.PCollection[bytes]) -> beam.PCollection[tuple[int, bytes]]:
        """Matches the digests with one shuffle."""
        groups = sources | "SplitDigests" >> beam.FlatMap(_split) | "GroupDigests" >> beam.GroupByKey()
        pairs: beam.PCollection[tuple[int, bytes]] = groups | "MatchDigests" >> beam.FlatMap(_match)
        return pairs


def _split(data: bytes) -> Iterator[tuple[str, bytes]]:
    digests = from_ipc(data)
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
