"""One row a track and one column a tag: scores, or whether the tag is positive. One bucket is in memory at a time."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from pipelines.querying.session import Reply
from pipelines.terminal.comma_separated import BYTE_ORDER_MARK, flat_text
from pipelines.terminal.printing import plain
from pipelines.terminal.visible import safe_field
from transforms.formats.dates import python_values
from transforms.table.reader import TRACK_ID, SnapshotReader

VALUES = {"score": ("score", pa.float32()), "flag": ("is_positive", pa.int8())}
"""What a cell has -> the column of `track_tags`, and its type in the wide table."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WideColumns:
    """The columns of a wide table: the track's id, columns of `tracks`, and the tags.

    Attributes:
      metadata: columns of `tracks`, with `track_id`.
      tags: tag ids.
      names: name of each column in the wide table, in this order; unique even if case does not count.
      renamed: column or tag -> its name in the wide table, of those whose own name was taken.
      values: `score` or `flag`.
    """

    metadata: Sequence[str]
    tags: Sequence[str]
    names: Sequence[str]
    renamed: dict[str, str]
    values: str


def wide_columns(metadata: Sequence[str], tags: Sequence[str], *, values: str, plain_names: bool) -> WideColumns:
    """Names the columns: metadata by their names, tags by their ids.

    Names that only differ in case are one name to many engines. The later one gets a number: `mood/calm_2`.

    Args:
      metadata: columns of `tracks`.
      tags: tag ids.
      values: `score` or `flag`.
      plain_names: whether names of tags have only letters, digits and `_`, for engines that allow no others.
    """
    columns = [TRACK_ID, *(name for name in metadata if name != TRACK_ID)]
    wanted = [*columns, *(map(_plain, tags) if plain_names else tags)]
    names = _unique_in_any_case(wanted)
    renamed = {own: new for own, want, new in zip([*columns, *tags], wanted, names, strict=True) if want != new}
    return WideColumns(metadata=columns, tags=tags, names=names, renamed=renamed, values=values)


def _plain(tag: str) -> str:
    """A name that every engine takes.

    >>> _plain("genre/drum & bass")
    'genre_drum_bass'
    """
    name = re.sub(r"[^A-Za-z0-9]+", "_", tag).strip("_")
    return name if name and not name[0].isdigit() else f"_{name}"


def _unique_in_any_case(wanted: Sequence[str]) -> list[str]:
    names: list[str] = []
    taken = {name.casefold() for name in wanted}
    used: set[str] = set()
    for name in wanted:
        candidate, number = name, 1
        while candidate.casefold() in used or (number > 1 and candidate.casefold() in taken):
            number += 1
            candidate = f"{name}_{number}"
        used.add(candidate.casefold())
        names.append(candidate)
    return names


def wide_schema(snapshot: SnapshotReader, columns: WideColumns) -> pa.Schema:
    """The schema of the wide table; scores and flags are null where a tag has no row for the track."""
    own = snapshot.schema("tracks")
    types = [own.field(name).type for name in columns.metadata] + [VALUES[columns.values][1]] * len(columns.tags)
    return pa.schema([pa.field(name, type_) for name, type_ in zip(columns.names, types, strict=True)])


def wide_batches(snapshot: SnapshotReader, columns: WideColumns) -> Iterator[pa.RecordBatch]:
    """Yields the rows of one bucket after the other, sorted by `track_id` inside a bucket.

    Raises:
      TableError: a column is not in `tracks`.
      StorageError: a file is missing or damaged.
    """
    schema = wide_schema(snapshot, columns)
    for bucket in range(snapshot.buckets):
        tracks = snapshot.scan("tracks", columns.metadata, bucket=bucket).combine_chunks()
        if tracks.num_rows:
            arrays = [column.combine_chunks() for column in tracks.columns]
            arrays += _tag_arrays(snapshot, columns, bucket, tracks[TRACK_ID].combine_chunks())
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _tag_arrays(snapshot: SnapshotReader, columns: WideColumns, bucket: int, track_ids: pa.Array) -> list[pa.Array]:
    """One array a tag, in the order of the tracks."""
    source, type_ = VALUES[columns.values]
    shape = (len(columns.tags), len(track_ids))
    found = np.zeros(shape, type_.to_pandas_dtype())
    unknown = np.ones(shape, bool)
    tags = pa.array(columns.tags, pa.string())
    for batch in snapshot.batches("track_tags", [TRACK_ID, "tag", source], bucket=bucket):
        places = [pc.index_in(batch["tag"], value_set=tags), pc.index_in(batch[TRACK_ID], value_set=track_ids)]
        kept = pc.and_(places[0].is_valid(), places[1].is_valid())
        tag, track = (place.filter(kept).to_numpy() for place in places)
        found[tag, track] = batch[source].filter(kept).to_numpy(zero_copy_only=False)
        unknown[tag, track] = False
    return [pa.array(found[i], type_, mask=unknown[i]) for i in range(shape[0])]


def write_wide_csv(path: Path, reply: Reply, metadata: int, *, safe: bool) -> None:
    """Writes the rows as CSV (RFC 4180). Texts are quoted, null is an empty field, lists and structs are JSON.

    Args:
      path: the file.
      reply: the rows.
      metadata: the number of columns before the tags.
      safe: whether it is for a spreadsheet: text that it would take for a formula gets an apostrophe, and a byte order
        mark comes first.
    """
    as_text = [i for i, field in enumerate(reply.schema) if i < metadata and not _is_exact(field.type)]
    fields = [field.with_type(pa.string()) if i in as_text else field for i, field in enumerate(reply.schema)]
    schema = pa.schema([field.with_name(safe_field(field.name) if safe else field.name) for field in fields])
    options = arrow_csv.WriteOptions(quoting_style="needed")
    with path.open("wb") as out:
        out.write(BYTE_ORDER_MARK.encode() if safe else b"")
        with arrow_csv.CSVWriter(out, schema, write_options=options) as writer:
            for batch in reply.batches:
                columns = list(batch.columns)
                for i in as_text:
                    columns[i] = _texts(columns[i], safe=safe)
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _is_exact(type_: pa.DataType) -> bool:
    """Whether Arrow writes the values as this project does."""
    return bool(pa.types.is_integer(type_) or pa.types.is_boolean(type_))


def _texts(column: pa.Array, *, safe: bool) -> pa.Array:
    convert = plain(column.type)
    shown = safe_field if safe and not pa.types.is_floating(column.type) else str
    values = (convert(value) for value in python_values(column))
    return pa.array([None if value is None else shown(flat_text(value)) for value in values], pa.string())
