"""Levels: new versions of rows are in small files of higher order, and delete files take out what they supersede.

A table has in each bucket one base file, and possibly files of higher order (`DataFile.order`: number of the snapshot
that a file was written for). A delete file of the bucket names tracks, artists or albums, and for each table an order:
their rows in files of a lower order are superseded or removed. So each row is live in exactly one file:

    for file in snapshot.live_files("tracks"):  # base and newer files of all buckets
        if file.has_deletes:  # `file.dead` of its rows are taken out
            deletes = snapshot.deletes("tracks", file.bucket)  # Arrow: `track_id` (`KEYS` of the table), `before`
            gone = deletes.filter(pc.greater(deletes["before"], file.order))  # not live in this file
    snapshot.manifest.delete_files("tracks")  # the delete files, by bucket; each serves all tables of its kind

`SnapshotReader.scan` and `batches` apply this. `SnapshotReader.files` and the plain lists name the base files only. A
bucket whose table is one base file without dead rows is compacted. `DataFile.merged` is not empty for all others.
"""

import pyarrow as pa
import pyarrow.compute as pc

from transforms.formats.parquet import SORTED_BY
from transforms.schemas.tables import KEYS

BEFORE = "before"
"""Column of `SnapshotReader.deletes`: rows in files of a lower order are taken out."""


def total_order(name: str) -> list[tuple[str, str]]:
    """The sort keys of a table, after which no two rows are equal."""
    keys, own = SORTED_BY[name], KEYS.get(name)
    return keys if own is None or own in dict(keys) else [*keys, (own, "ascending")]


def in_order(name: str, rows: pa.Table) -> pa.Table:
    """The rows as one file has them. They need the columns of `total_order`."""
    return rows.take(pc.sort_indices(rows, sort_keys=total_order(name)))


def deletes_of(rows: pa.Table, name: str) -> pa.Table:
    """What the rows of a delete file say about one table: its key, and `BEFORE`."""
    own = rows.select([KEYS[name], name]).cast(no_deletes(name).schema.set(1, pa.field(name, pa.int32())))
    return own.filter(pc.greater(own[name], 0)).rename_columns([KEYS[name], BEFORE])


def no_deletes(name: str) -> pa.Table:
    """A table's key and `BEFORE`, without rows."""
    return pa.schema([(KEYS.get(name, "track_id"), pa.string()), (BEFORE, pa.int32())]).empty_table()


def dead_keys(deletes: pa.Table, order: int) -> pa.Array:
    """Keys whose rows are not live in a file of this order; `deletes` has a key and `BEFORE`."""
    return deletes.filter(pc.greater(deletes[BEFORE], order)).column(0).combine_chunks()
