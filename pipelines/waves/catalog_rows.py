"""The catalog of a local run, grouped by bucket on disk."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa

from transforms.catalog.problems import FirstProblems, Problem
from transforms.catalog.reader import CatalogShard, count_rows, read_shard
from transforms.formats.arrow import group_numbers, to_ipc
from transforms.formats.grouped_rows import GroupedRows, GroupWriter
from transforms.storage import SourceRoots
from transforms.table.sampling import TrackSample, rows_of_sample
from transforms.tagging.source_versions import VersionedOnDisk
from transforms.telemetry.phases import phase


def group_catalog(
    shards: Sequence[CatalogShard],
    rows: GroupedRows,
    roots: SourceRoots,
    buckets: int,
    problems: FirstProblems,
    *,
    check: Callable[[int, pa.Table], list[Problem]],
    see: Callable[[pa.Table], None] = lambda batch: None,
    sizes: bool = False,
    sample: TrackSample | None = None,
) -> None:
    """Reads a catalog, gives its rows source versions, and writes them to disk by bucket. Invalid rows are left out.

    Args:
      shards: all shards of the catalog.
      rows: where the rows are written.
      roots: where relative uris start, and which folders may be listed.
      buckets: number of buckets.
      problems: gets the problems of all rows.
      check: returns the problems of a bucket, given its number and rows.
      see: is called with each batch of valid rows, before they have source versions.
      sizes: whether the rows get the column `LISTED_BYTES`, for plans.
      sample: the tracks to read; None: all.
    """
    versioned = VersionedOnDisk(rows.scratch, roots, buckets, sizes=sizes)
    with phase("reading the catalog", total=count_rows(shards), unit="rows") as reading, GroupWriter(rows) as writer:
        for batch in versioned.fill(valid_rows(shards, problems, see, sample)):
            writer.add(batch, group_numbers(batch["track_id"].to_pylist(), buckets))
            reading.add(batch.num_rows)
    with phase("checking the catalog"):
        for bucket in rows.numbers():
            problems.add(check(bucket, rows.group(bucket)))


def valid_rows(
    shards: Iterable[CatalogShard],
    problems: FirstProblems,
    see: Callable[[pa.Table], None] = lambda batch: None,
    sample: TrackSample | None = None,
) -> Iterator[pa.Table]:
    """Yields the valid rows of a catalog in batches; see `group_catalog`."""
    for shard in shards:
        for batch, found in read_shard(shard):
            problems.add(found)
            table = rows_of_sample(pa.Table.from_batches([batch]), sample)
            see(table)
            yield table


def sorted_bucket(bucket: int, rows: GroupedRows) -> bytes:
    """Arrow IPC of a bucket's rows, sorted by track_id."""
    return to_ipc(rows.group(bucket).sort_by("track_id"))
