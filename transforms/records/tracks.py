"""Catalog rows: Parquet, CSV or JSON Lines in, validated Arrow batches of one schema out.

The schema of a catalog is fixed before its first row is read, from what is cheap to see: Parquet footers, CSV headers,
and one pass over JSON Lines. So every shard, on whichever worker, gives the same columns in the same order:
the known ones, then the further ones by name, then file and row. Further columns keep the type that all files give them
(whole numbers and fractions together become fractions; anything else mixed becomes text); those of a CSV are text.
"""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from transforms.records import catalog_files, storage, track_values
from transforms.records.catalog_files import CatalogFile, RawBatch
from transforms.records.catalog_schema import CATALOG, FILE, ROW, catalog_schema, file_problems, further_columns
from transforms.records.problems import CatalogError, Problem

__all__ = [
    "CATALOG",
    "FILE",
    "ROW",
    "CatalogError",
    "CatalogShard",
    "Problem",
    "count_rows",
    "default_root",
    "find_duplicates",
    "list_shards",
    "read_shard",
    "resolve_uri",
]

_TEXT_COLUMNS = frozenset(CATALOG.names) - {"track_id", "uri", "year", "tags"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogShard:
    """A part of a catalog that one worker reads: a row group of a Parquet file, or a whole text file.

    Attributes:
      file: the file and its columns.
      row_group: number of the row group; None for text files.
      root: folder that relative uris start from.
      schema: schema of the batches, the same for all shards of a catalog.
    """

    file: CatalogFile
    row_group: int | None
    root: str
    schema: pa.Schema


def list_shards(url: str, root: str | None = None) -> list[CatalogShard]:
    """All shards of a catalog, in order. No rows are read, but for the keys of JSON Lines.

    Args:
      url: a file, a folder or a glob (`*`, `?`, `[...]`, `**`).
      root: folder that relative uris start from; the catalog's own folder if not given.

    Raises:
      CatalogError: no file, or files without the columns or types that a catalog needs: every one of them is named.
    """
    files = _probe_all(url)
    schema = catalog_schema(files)
    root = default_root(url) if root is None else root
    return [
        CatalogShard(file=file, row_group=group, root=root, schema=schema)
        for file in files
        for group in (range(len(file.row_groups)) if file.format == "parquet" else (None,))
    ]


def default_root(url: str) -> str:
    """The catalog's folder: of a file the one it lies in, of a glob the one above the first wildcard."""
    if catalog_files.is_glob(url) and not storage.exists(url):
        return catalog_files.glob_folder(url)
    if url.lower().endswith(catalog_files.SUFFIXES):
        return url.rpartition("/")[0] or ("/" if url.startswith("/") else ".")
    return url


def resolve_uri(uri: str, root: str) -> str:
    """Where the audio of a catalog row is: relative uris start from the catalog root."""
    return storage.join(root, uri)


def count_rows(shards: Collection[CatalogShard]) -> int:
    """Rows of the shards, good or bad: Parquet from the footers, text files by reading them."""
    groups = sum(s.file.row_groups[s.row_group] for s in shards if s.row_group is not None)
    return groups + sum(catalog_files.count(s.file) for s in shards if s.row_group is None)


def _probe_all(url: str) -> list[CatalogFile]:
    files: list[CatalogFile] = []
    problems: list[Problem] = []
    for name, kind in catalog_files.find_files(url):
        try:
            file = catalog_files.probe(name, kind)
        except CatalogError as e:
            problems += e.problems
            continue
        files.append(file)
        problems += file_problems(file)
    if problems:
        raise CatalogError(problems)
    return files


def read_shard(
    shard: CatalogShard, batch_rows: int = 4096, known_tag: Callable[[str], bool] | None = None
) -> Iterator[tuple[pa.RecordBatch, list[Problem]]]:
    """Canonical batches of `shard.schema` and the problems of the rows left out of each.

    Args:
      shard: from `list_shards`.
      batch_rows: most rows held at once.
      known_tag: whether a taxonomy knows this tag or alias; the others are problems. None: all good.

    Yields:
      A batch of good rows with every problem of the bad ones. Repeated ids are not seen here: `find_duplicates`.
    """
    for raw in catalog_files.raw_batches(shard.file, shard.row_group, batch_rows):
        yield _Canonical(shard, raw, known_tag).batch()


class _Canonical:
    """Turns one raw batch into columns of the catalog's schema, noting what is wrong with which row."""

    def __init__(self, shard: CatalogShard, raw: RawBatch, known_tag: Callable[[str], bool] | None) -> None:
        self._shard, self._raw, self._known_tag = shard, raw, known_tag
        self._problems = list(raw.problems)
        self._bad: set[int] = set()

    def batch(self) -> tuple[pa.RecordBatch, list[Problem]]:
        schema = self._shard.schema
        count = len(self._raw.rows)
        columns = [self._known(field) for field in CATALOG] + [
            self._further(schema.field(carried), name) for carried, name in further_columns(schema).items()
        ]
        columns += [pa.array([self._shard.file.url] * count, pa.string()), pa.array(self._raw.rows, pa.int64())]
        good = [i for i in range(count) if i not in self._bad]
        batch = pa.RecordBatch.from_arrays(columns, schema=schema)
        problems = sorted(self._problems, key=lambda problem: problem.row or 0)
        return (batch if len(good) == count else batch.take(pa.array(good, pa.int64()))), problems

    def _known(self, field: pa.Field) -> pa.Array:
        values = _python_values(self._raw.columns.get(field.name, [None] * len(self._raw.rows)))
        return pa.array([self._value(i, field.name, value) for i, value in enumerate(values)], field.type)

    def _value(self, i: int, name: str, value: Any) -> Any:
        if name == "tags":
            return self._tags(i, value)
        try:
            return self._converted(name, value)
        except ValueError as e:
            self._report(i, name, str(e))
            return "" if name in ("track_id", "uri") else None

    def _converted(self, name: str, value: Any) -> Any:
        if name in _TEXT_COLUMNS:
            return track_values.text(value)
        if name == "uri":
            return track_values.uri(value, remote_root="://" in self._shard.root)
        return track_values.track_id(value) if name == "track_id" else track_values.year(value)

    def _tags(self, i: int, value: Any) -> list[dict[str, Any]] | None:
        found, faults = track_values.tags(value)
        if found is not None and self._known_tag is not None:
            faults += [f"tag {tag!r} is not in the taxonomy" for tag, _ in found if not self._known_tag(tag)]
        for fault in faults:
            self._report(i, "tags", fault)
        return None if found is None else [{"tag": tag, "weight": weight} for tag, weight in found]

    def _further(self, field: pa.Field, name: str) -> pa.Array:
        values = self._raw.columns.get(name)
        if values is None:
            return pa.nulls(len(self._raw.rows), field.type)
        if isinstance(values, list):
            return pa.array([self._plain_value(i, name, v, field.type) for i, v in enumerate(values)], field.type)
        return self._stored(name, values, field.type)

    def _plain_value(self, i: int, name: str, value: Any, type_: pa.DataType) -> Any:
        """A value of JSON Lines or CSV; what is not text goes into a column of mixed types as JSON."""
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
        """A further column of a Parquet file; NaN, which says nothing, is null."""
        if pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        found = values.cast(type_)
        try:
            found.validate(full=True)
        except pa.ArrowInvalid:
            items = _python_values(values)
            for i in (i for i, item in enumerate(items) if isinstance(item, track_values.Undecodable)):
                self._report(i, name, "not UTF-8: save the file as UTF-8")
            return pa.array([None if isinstance(v, track_values.Undecodable) else v for v in items], type_)
        return found

    def _report(self, i: int, name: str, message: str) -> None:
        line = self._raw.lines[i] if self._raw.lines is not None else None
        row = self._raw.rows[i]
        self._problems.append(Problem(file=self._shard.file.url, row=row, column=name, message=message, line=line))
        self._bad.add(i)


def _python_values(values: pa.Array | list[Any]) -> list[Any]:
    """Python values of a column, with a marker where a text is not UTF-8 (Parquet readers don't look)."""
    if isinstance(values, list):
        return values
    try:
        found: list[Any] = values.to_pylist()
    except UnicodeDecodeError:
        return [_python_value(scalar) for scalar in values]
    return found


def _python_value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return track_values.Undecodable()


def find_duplicates(table: pa.Table) -> list[Problem]:
    """A problem for every row whose track_id stands in an earlier row (by file, then row) of the table."""
    ids = table.column("track_id").combine_chunks()
    counts = pc.value_counts(ids)
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if len(repeated) == 0:
        return []
    rows = table.select(["track_id", FILE, ROW]).filter(pc.is_in(table.column("track_id"), repeated))
    first: dict[str, str] = {}
    problems = []
    for row in rows.sort_by([(FILE, "ascending"), (ROW, "ascending")]).to_pylist():
        key, place = row["track_id"], f"{row[FILE]}, row {row[ROW]}"
        if first.setdefault(key, place) != place:
            message = f"track_id {key!r} is already used in {first[key]}: ids must be unique"
            problems.append(Problem(file=row[FILE], row=row[ROW], column="track_id", message=message))
    return problems
