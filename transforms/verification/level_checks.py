"""Checks that the base file, the newer files and the deletes of a table's bucket make the rows that were published."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from transforms.formats.hashing import bucket_of
from transforms.schemas.tables import KEYS, TABLES
from transforms.table.content import has_content
from transforms.table.levels import dead_keys, deletes_of, in_order
from transforms.table.snapshots import DataFile


def live_rows(own: Sequence[tuple[DataFile, pa.Table]], deletes: pa.Table | None) -> tuple[pa.Table, list[str]]:
    """The rows of a table's bucket, and one sentence per problem.

    Args:
      own: its files, the base first, and their rows.
      deletes: the rows of the delete file of the bucket; None if there is none.
    """
    base, name = own[0][0], own[0][0].table
    if not base.merged:
        return own[-1][1], []
    taken = None if deletes is None else deletes_of(deletes, name)
    problems, pieces = [], []
    for file, rows in own:
        live = rows
        if taken is not None:
            live = rows.filter(pc.invert(pc.is_in(rows[KEYS[name]], value_set=dead_keys(taken, file.order))))
        if (dead := rows.num_rows - live.num_rows) != file.dead:
            problems.append(f"{file.path}: {dead} rows are taken out, the snapshot has {file.dead}")
        pieces.append(live.replace_schema_metadata())
    if any(piece.schema.names != pieces[0].schema.names for piece in pieces):
        return TABLES[name].empty_table(), [*problems, f"bucket {base.bucket}: files of {name} have different columns"]
    rows = in_order(name, pa.concat_tables(pieces))
    if not has_content(name, rows, base.merged):
        problems.append(
            f"bucket {base.bucket}: the rows of {name} have another content hash, the snapshot has {base.merged}"
        )
    return rows, problems


def delete_problems(rows: pa.Table, file: DataFile, number: int, buckets: int) -> Iterator[str]:
    """Checks a delete file: keys of its bucket, each once; orders from 0 to the number of the snapshot.

    Args:
      rows: its rows.
      file: its entry in the snapshot.
      number: number of the snapshot.
      buckets: number of buckets of the table.
    """
    keys = rows.column(0).to_pylist()
    if len(set(keys)) != len(keys):
        yield f"{file.path}: {len(keys) - len(set(keys))} keys occur more than once"
    if strangers := [key for key in keys if bucket_of(key, buckets) != file.bucket]:
        yield f"{file.path}: {len(strangers)} keys of other buckets, e.g. {strangers[0]!r}"
    for name in rows.column_names[1:]:
        bounds = pc.min_max(rows[name]).as_py()
        if bounds["min"] is not None and not 0 <= bounds["min"] <= bounds["max"] <= number:
            yield f"{file.path}: {name} from {bounds['min']} to {bounds['max']}, not within 0 to {number}"
