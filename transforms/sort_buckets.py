"""SortBuckets: groups catalog rows by bucket, and sorts each bucket."""

from collections.abc import Iterable

import apache_beam as beam

from transforms.formats.arrow import concat, split_by_bucket, to_ipc


class SortBuckets(beam.PTransform[beam.PCollection[bytes], beam.PCollection[tuple[int, bytes]]]):
    """Takes Arrow batches of catalog rows, returns (bucket, Arrow IPC of the bucket's rows sorted by track_id)."""

    def __init__(self, buckets: int) -> None:
        super().__init__()
        self._buckets = buckets

    def expand(self, batches: beam.PCollection[bytes]) -> beam.PCollection[tuple[int, bytes]]:
        """Shuffles the catalog rows once."""
        split = batches | "SplitByBucket" >> beam.FlatMap(split_by_bucket, self._buckets)
        groups = split | "GroupBuckets" >> beam.GroupByKey()
        rows: beam.PCollection[tuple[int, bytes]] = groups | "SortRows" >> beam.Map(_sorted_rows)
        return rows


def _sorted_rows(group: tuple[int, Iterable[bytes]]) -> tuple[int, bytes]:
    bucket, batches = group
    return bucket, to_ipc(concat(list(batches)).sort_by("track_id"))
