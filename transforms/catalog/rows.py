"""Converts raw rows of a catalog file to the catalog's schema, and reports problems."""

import itertools
import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from transforms.catalog import values as track_values
from transforms.catalog.columns import further_columns
from transforms.catalog.files import RawBatch
from transforms.catalog.limits import ID_CHARS, TEXT_CHARS
from transforms.catalog.problems import Problem
from transforms.catalog.stored_types import stored_values
from transforms.formats.dates import python_values
from transforms.schemas.catalog import CATALOG, TAG_WEIGHT
from transforms.taxonomy.tag_ids import TagWeights

_ID_COLUMNS = frozenset({"artist_id", "album_id", "source_version"})
_TEXT_COLUMNS = frozenset(CATALOG.names) - {"track_id", "uri", "year", "tags"}


def canonical_rows(raw: RawBatch, file: str, root: str, schema: pa.Schema) -> tuple[pa.RecordBatch, list[Problem]]:
    """Converts a raw batch: its valid rows in the catalog's schema, and all problems of the invalid ones.

    Args:
      raw: rows as stored.
      file: URL of their file.
      root: folder that relative uris start from.
      schema: schema of the catalog.
    """
    return _Canonical(raw, file, root, schema).batch()


class _Canonical:
    """Converts one raw batch to columns of the catalog's schema, and collects the problems of its rows."""

    def __init__(self, raw: RawBatch, file: str, root: str, schema: pa.Schema) -> None:
        self._raw, self._file, self._schema = raw, file, schema
        self._remote_root = "://" in root
        self._problems = list(raw.problems)
        self._bad: set[int] = set()

    def batch(self) -> tuple[pa.RecordBatch, list[Problem]]:
        schema = self._schema
        count = len(self._raw.rows)
        columns = [self._known(field) for field in CATALOG] + [
            self._further(schema.field(carried), name) for carried, name in further_columns(schema).items()
        ]
        columns += [pa.array([self._file] * count, pa.string()), pa.array(self._raw.rows, pa.int64())]
        good = [i for i in range(count) if i not in self._bad]
        batch = pa.RecordBatch.from_arrays(columns, schema=schema)
        problems = sorted(self._problems, key=lambda problem: problem.row or 0)
        return (batch if len(good) == count else batch.take(pa.array(good, pa.int64()))), problems

    def _known(self, field: pa.Field) -> pa.Array:
        values = self._raw.columns.get(field.name)
        if values is None:
            return pa.nulls(len(self._raw.rows), field.type)
        if field.name in _TEXT_COLUMNS and _is_sound_text(values, _most_chars(field.name)):
            return pc.replace_with_mask(values, pc.equal(values, ""), pa.scalar(None, pa.string()))
        if field.name == "tags":
            return _tag_array([self._tags(i, value) for i, value in enumerate(_python_values(values))])
        return pa.array([self._value(i, field.name, v) for i, v in enumerate(_python_values(values))], field.type)

    def _value(self, i: int, name: str, value: object) -> Any:
        try:
            return self._converted(name, value)
        except ValueError as e:
            self._report(i, name, str(e))
            return "" if name in ("track_id", "uri") else None

    def _converted(self, name: str, value: object) -> Any:
        if name in _TEXT_COLUMNS:
            return track_values.text(value, _most_chars(name))
        if name == "uri":
            return track_values.uri(value, remote_root=self._remote_root)
        return track_values.track_id(value) if name == "track_id" else track_values.year(value)

    def _tags(self, i: int, value: object) -> TagWeights | None:
        tags, faults = track_values.tags(value)
        for fault in faults:
            self._report(i, "tags", fault)
        return tags

    def _further(self, field: pa.Field, name: str) -> pa.Array:
        values = self._raw.columns.get(name)
        if values is None:
            return pa.nulls(len(self._raw.rows), field.type)
        if isinstance(values, list):
            return pa.array([self._plain_value(i, name, v, field.type) for i, v in enumerate(values)], field.type)
        return self._stored(name, values, field.type)

    def _plain_value(self, i: int, name: str, value: object, type_: pa.DataType) -> Any:
        """A value of JSON Lines or CSV. In a text column, values that are not text are written as JSON."""
        if not pa.types.is_string(type_) or value is None:
            return value
        try:
            found = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
            found.encode()
        except ValueError:
            self._report(i, name, "not UTF-8: save the file as UTF-8")
            return None
        return found

    def _stored(self, name: str, values: pa.Array, type_: pa.DataType) -> pa.Array:
        """A further column of a Parquet file. A row with a value that cannot be stored is a problem."""
        try:
            found = stored_values(values, type_)
            found.validate(full=True)
        except (pa.ArrowInvalid, UnicodeDecodeError):
            return pa.concat_arrays(
                [self._stored_value(i, name, values.slice(i, 1), type_) for i in range(len(values))]
            )
        return found

    def _stored_value(self, i: int, name: str, value: pa.Array, type_: pa.DataType) -> pa.Array:
        try:
            found = stored_values(value, type_)
            found.validate(full=True)
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            undecodable = isinstance(error, UnicodeDecodeError) or "UTF8" in str(error)
            self._report(i, name, "not UTF-8: save the file as UTF-8" if undecodable else str(error))
            return pa.nulls(1, type_)
        return found

    def _report(self, i: int, name: str, message: str) -> None:
        line = self._raw.lines[i] if self._raw.lines is not None else None
        row = self._raw.rows[i]
        self._problems.append(Problem(file=self._file, row=row, column=name, message=message, line=line))
        self._bad.add(i)


def _most_chars(name: str) -> int:
    return ID_CHARS if name in _ID_COLUMNS else TEXT_CHARS


def _is_sound_text(values: pa.Array | list[Any], most: int) -> bool:
    """Whether these are plain Arrow strings of at most `most` bytes in UTF-8, which Parquet readers do not check."""
    if isinstance(values, list) or not pa.types.is_string(values.type):
        return False
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return (pc.max(pc.binary_length(values)).as_py() or 0) <= most


def _tag_array(rows: list[TagWeights | None]) -> pa.Array:
    """Tags of each row as the catalog's nested column. Flat arrays are ten times faster here than Python objects."""
    flat = [pair for row in rows for pair in row or ()]
    ends = itertools.accumulate((len(row or ()) for row in rows), initial=0)
    field = CATALOG.field("tags").type.value_field
    tags = pa.array([tag for tag, _ in flat], pa.string())
    weights = pa.array([weight for _, weight in flat], pa.float32())
    pairs = pa.StructArray.from_arrays([tags, weights], fields=list(TAG_WEIGHT))
    mask = pa.array([row is None for row in rows], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pairs, type=pa.list_(field), mask=mask)


def _python_values(values: pa.Array | list[Any]) -> list[Any]:
    """Python values of a column, with a marker for each text that is not UTF-8, which Parquet readers do not check."""
    if isinstance(values, list):
        return values
    try:
        return python_values(values)
    except UnicodeDecodeError:
        return [_python_value(scalar) for scalar in values]


def _python_value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return track_values.Undecodable()
