"""Reads catalogs in Parquet, CSV or JSON Lines as validated Arrow batches of one schema.

The schema of a catalog is fixed before its first row is read. It follows from Parquet footers, CSV headers, and one
pass over JSON Lines. Every shard therefore gives the same columns in the same order on any worker: the known columns,
the further columns by name, then file and row. Further columns keep their type if it is the same in all files. Mixed
numbers become floats, other mixtures of plain values become text. Columns of a CSV are text.
"""

import dataclasses
from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from transforms.catalog import files as catalog_files
from transforms.catalog.columns import catalog_schema, file_problems
from transforms.catalog.files import CatalogFile, RawBatch
from transforms.catalog.parquet_rows import RowGroup
from transforms.catalog.problems import CatalogError, Problem
from transforms.catalog.rows import canonical_rows
from transforms.formats.parquet import ParquetError
from transforms.schemas.catalog import FILE, ROW


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardRows:
    """The rows of a shard.

    Attributes:
      count: number of the rows, valid or not, when the shards were listed.
      number: number of the row group of a Parquet file; None for text files. The same holds for `group`.
      group: the row group.
    """

    count: int
    number: int | None = None
    group: RowGroup | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogShard:
    """A part of a catalog that one worker reads: a row group of a Parquet file, or a whole text file.

    Attributes:
      file: the file and its columns.
      part: its rows in the file.
      root: folder that relative uris start from.
      schema: schema of the batches, the same for all shards of a catalog.
    """

    file: CatalogFile
    part: ShardRows
    root: str
    schema: pa.Schema


def list_shards(url: str, root: str | None = None) -> list[CatalogShard]:
    """Lists all shards of a catalog, in order. Text files are read to count their rows, and for the keys of JSON Lines.

    Args:
      url: a file, a folder or a glob (`*`, `?`, `[...]`, `**`).
      root: folder that relative uris start from; the catalog's folder if not given.

    Raises:
      CatalogError: there is no file, or files lack required columns or types. All of them are named.
    """
    files = _probe_all(url)
    schema = catalog_schema(files)
    root = default_root(url) if root is None else root
    return [
        # Only its own row group travels with a shard: with all, the list would grow with the square of their number.
        CatalogShard(file=dataclasses.replace(file, row_groups=()), part=part, root=root, schema=schema)
        for file in files
        for part in _parts(file)
    ]


def _parts(file: CatalogFile) -> Iterator[ShardRows]:
    if file.format == "parquet":
        for number, group in enumerate(file.row_groups):
            yield ShardRows(count=group.rows, number=number, group=group)
    else:
        yield ShardRows(count=catalog_files.count(file))


def default_root(url: str) -> str:
    """The catalog's folder: the folder that contains a file, or the folder above the first wildcard of a glob."""
    folder, glob = catalog_files.split_glob(url)
    if glob:
        return folder
    if url.lower().endswith(catalog_files.CATALOG_SUFFIXES):
        return url.rpartition("/")[0] or ("/" if url.startswith("/") else ".")
    return url


def count_rows(shards: Collection[CatalogShard]) -> int:
    """Number of rows of the shards, valid or not, as they were counted when the shards were listed."""
    return sum(shard.part.count for shard in shards)


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


def read_shard(shard: CatalogShard, batch_rows: int = 4096) -> Iterator[tuple[pa.RecordBatch, list[Problem]]]:
    """Reads canonical batches of `shard.schema` and the problems of the rows that were left out.

    Args:
      shard: from `list_shards`.
      batch_rows: most rows in memory at once.

    Yields:
      A batch of valid rows with all problems of the invalid ones. For repeated ids, see `repeated_ids`.

    Raises:
      CatalogError: the file is damaged, or has another number of rows than were counted at first.
    """
    done = 0
    try:
        for raw in _raw_batches(shard, batch_rows):
            done += len(raw.rows) + len(raw.problems)
            yield canonical_rows(raw, shard.file.url, shard.root, shard.schema)
    except ParquetError as error:
        raise _shard_error(shard, str(error).removeprefix(f"{shard.file.url}: ")) from error
    if done != shard.part.count:
        raise _shard_error(
            shard,
            f"{done} rows were read, but {shard.part.count} were counted at first: the file was changed meanwhile, or "
            "is damaged: run the command again",
        )


def _raw_batches(shard: CatalogShard, batch_rows: int) -> Iterator[RawBatch]:
    number, group = shard.part.number, shard.part.group
    if number is not None and group is not None:
        yield from catalog_files.parquet_batches(shard.file.url, number, group, batch_rows)
        return
    try:
        yield from catalog_files.raw_batches(shard.file, batch_rows)
    except ValueError as error:  # the file was replaced since it was counted
        raise _shard_error(shard, str(error).removeprefix(f"{shard.file.url}: ")) from error


def _shard_error(shard: CatalogShard, message: str) -> CatalogError:
    place = "" if shard.part.number is None else f"row group {shard.part.number}: "
    return CatalogError([Problem(file=shard.file.url, row=None, column=None, message=f"{place}{message}")])


def repeated_ids(table: pa.Table) -> list[Problem]:
    """Lists a problem for every row whose track_id is in an earlier row (by file, then row) of the table."""
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
            problems.append(Problem(file=row[FILE], row=row[ROW], column="track_id", message=message, gate="unique"))
    return problems
