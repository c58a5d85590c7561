"""Reads the tables of sources (Parquet, CSV, TSV or JSON Lines) with the reader of catalogs, in batches."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.catalog import files as catalog_files
from transforms.catalog.files import CatalogFile, RawBatch
from transforms.catalog.limits import ID_CHARS
from transforms.catalog.problems import CatalogError, Problem
from transforms.catalog.reader import ShardRows
from transforms.catalog.values import text
from transforms.formats.parquet import ParquetError
from transforms.fusion.policy import Policy
from transforms.fusion.tally import IGNORED, INVALID, MOST_LOST_EXAMPLES, UNKNOWN_TAG, RowTally
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.tag_ids import shown, tag_id, tag_weight

SUBJECT_KEYS = ("track_id", "artist_id", "album_id")
"""Columns that can name what a row is about. A table with `track_id` may have the others."""

STATEMENT_ROWS = 65_536

STATEMENTS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("tag", pa.string(), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
    ]
)
"""What a source says about the track, artist or album `key`. `tag` is an id of the taxonomy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceShard:
    """A part of a source that one worker reads: a row group of a Parquet file, or a whole text file.

    Attributes:
      source: name of the source.
      key: the column of `SUBJECT_KEYS` that names what a row is about.
      file: the file and its columns.
      part: its rows in the file.
    """

    source: str
    key: str
    file: CatalogFile
    part: ShardRows


def list_source(name: str, url: str) -> list[SourceShard]:
    """Lists the shards of a source.

    Args:
      name: name of the source.
      url: a file, a folder or a glob, as for catalogs.

    Raises:
      CatalogError: there is no file, files cannot be read, or lack columns. All are named.
    """
    files: list[CatalogFile] = []
    problems: list[Problem] = []
    for found, kind in catalog_files.find_files(url):
        try:
            files.append(catalog_files.probe(found, kind))
        except CatalogError as error:
            problems += error.problems
    keys = {file.url: _key_of(file) for file in files}
    problems += [
        Problem(
            file=file.url,
            row=None,
            column=None,
            message="a source needs a column `tag`, and one of track_id, artist_id or album_id; its columns are "
            f"{shown(', '.join(file.columns))}",
        )
        for file in files
        if keys[file.url] is None or "tag" not in file.columns
    ]
    if not problems and len(set(keys.values())) > 1:
        message = f"its files have different keys ({', '.join(sorted(map(str, set(keys.values()))))}): give two sources"
        problems.append(Problem(file=url, row=None, column=None, message=message))
    if problems:
        raise CatalogError(problems)
    return [
        SourceShard(source=name, key=keys[file.url] or "", file=dataclasses.replace(file, row_groups=()), part=part)
        for file in files
        for part in _parts(file)
    ]


def _key_of(file: CatalogFile) -> str | None:
    found = [key for key in SUBJECT_KEYS if key in file.columns]
    return found[0] if found and (found[0] == SUBJECT_KEYS[0] or len(found) == 1) else None


def _parts(file: CatalogFile) -> Iterator[ShardRows]:
    if file.format != "parquet":
        yield ShardRows(count=catalog_files.count(file))
    for number, group in enumerate(file.row_groups):
        yield ShardRows(count=group.rows, number=number, group=group)


def read_statements(shard: SourceShard, policy: Policy, taxonomy: Taxonomy) -> Iterator[tuple[pa.Table, RowTally]]:
    """Yields the usable rows of a shard as `STATEMENTS`, and what became of the others.

    Raises:
      CatalogError: the file is damaged, or has another number of rows than when it was listed.
    """
    done = 0
    try:
        for raw in _raw_batches(shard):
            done += len(raw.rows) + len(raw.problems)
            yield _statements(raw, shard, policy, taxonomy)
    except (ParquetError, ValueError) as error:
        if isinstance(error, CatalogError):
            raise
        message = str(error).removeprefix(f"{shard.file.url}: ")
        raise CatalogError([Problem(file=shard.file.url, row=None, column=None, message=message)]) from error
    if done != shard.part.count:
        message = f"{done} rows were read, but {shard.part.count} were counted at first: the file was changed meanwhile"
        raise CatalogError([Problem(file=shard.file.url, row=None, column=None, message=message)])


def _raw_batches(shard: SourceShard) -> Iterator[RawBatch]:
    number, group = shard.part.number, shard.part.group
    if number is not None and group is not None:
        return catalog_files.parquet_batches(shard.file.url, number, group, STATEMENT_ROWS)
    return catalog_files.raw_batches(shard.file, STATEMENT_ROWS)


def _statements(raw: RawBatch, shard: SourceShard, policy: Policy, taxonomy: Taxonomy) -> tuple[pa.Table, RowTally]:
    count = len(raw.rows)
    keys, tags = _texts(raw.columns[shard.key]), _texts(raw.columns["tag"])
    weights = _weights(raw.columns["weight"]) if "weight" in raw.columns else np.ones(count)
    resolved, reasons = _resolved(tags, shard.source, policy, taxonomy)
    empty = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(keys), ""), True).to_numpy(zero_copy_only=False)
    reasons[empty | np.isnan(weights)] = _CODES.index(INVALID)
    good = reasons == _CODES.index("")
    tally = RowTally.of(shard.source, INVALID, len(raw.problems), map(str, raw.problems[:MOST_LOST_EXAMPLES]))
    for code, outcome in enumerate(_CODES[1:], 1):
        rows = np.flatnonzero(reasons == code)
        examples = [_example(raw, shard, int(row)) for row in rows[:MOST_LOST_EXAMPLES]]
        tally += RowTally.of(shard.source, outcome, len(rows), examples)
    mask = pa.array(good)
    values = {
        "key": keys.filter(mask),
        "source": pa.repeat(shard.source, int(good.sum())),
        "tag": resolved.filter(mask),
        "weight": pa.array(weights[good], pa.float32()),
    }
    return pa.table(values).cast(STATEMENTS), tally


_CODES = ("", INVALID, UNKNOWN_TAG, IGNORED)


def _resolved(tags: pa.Array, name: str, policy: Policy, taxonomy: Taxonomy) -> tuple[pa.Array, np.ndarray]:
    """The id of each tag in the taxonomy, and the place in `_CODES` of what is wrong with it: int [rows]."""
    encoded = tags.dictionary_encode()
    found = [_tag(tag, name, policy, taxonomy) for tag in encoded.dictionary.to_pylist()]
    place = encoded.indices
    codes = pa.array([_CODES.index(reason) for _, reason in found], pa.int8()).take(place)
    ids = pa.array([tag for tag, _ in found], pa.string()).take(place)
    return ids, pc.fill_null(codes, _CODES.index(INVALID)).to_numpy().copy()


def _tag(written: str, name: str, policy: Policy, taxonomy: Taxonomy) -> tuple[str | None, str]:
    try:
        found = taxonomy.resolve(tag_id(written))
    except ValueError:
        return None, INVALID
    if found is None:
        return None, UNKNOWN_TAG
    return found, "" if policy.uses(name, found.partition("/")[0]) else IGNORED


def _texts(column: pa.Array | Sequence[Any]) -> pa.Array:
    """Texts of at most `ID_CHARS` characters; null for what is no text. Whole numbers are converted."""
    try:
        array = column if isinstance(column, pa.Array) else pa.array(column, pa.string())
        if pa.types.is_integer(array.type) or pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            array = array.cast(pa.string())
            return pc.if_else(pc.less_equal(pc.utf8_length(array), ID_CHARS), array, None)
    except (pa.ArrowException, UnicodeError, TypeError):
        pass  # one by one
    return pa.array([_or_none(lambda v: text(v, ID_CHARS), value) for value in _listed(column)], pa.string())


def _weights(column: pa.Array | Sequence[Any]) -> np.ndarray:
    """Weights: float64 [rows]; 1 where there is no value, NaN where the value is no number from 0 to 1."""
    try:
        array = column if isinstance(column, pa.Array) else pa.array(column, pa.string())
        if not pa.types.is_boolean(array.type):
            values = pc.fill_null(array.cast(pa.float64()), 1.0).to_numpy(zero_copy_only=False)
            return np.where((values >= 0) & (values <= 1), values, np.nan)
    except (pa.ArrowException, UnicodeError, TypeError):
        pass  # one by one
    return np.array([_weight(value) for value in _listed(column)], np.float64)


def _weight(value: Any) -> float:
    if isinstance(value, float):
        return value if 0 <= value <= 1 else np.nan
    found = _or_none(lambda v: (tag_weight(v, ""),), value)
    return np.nan if found is None else 1.0 if found[0] is None else found[0]


def _or_none(read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except ValueError:
        return None


def _listed(column: pa.Array | Sequence[Any]) -> Sequence[Any]:
    found: Sequence[Any] = column.to_pylist() if isinstance(column, pa.Array) else column
    return found


def _example(raw: RawBatch, shard: SourceShard, row: int) -> str:
    names = [name for name in (shard.key, "tag", "weight") if name in raw.columns]
    cells = ", ".join(f"{name} {shown(_cell(raw.columns[name], row))}" for name in names)
    line = None if raw.lines is None else raw.lines[row]
    return str(Problem(file=shard.file.url, row=raw.rows[row], column=None, message=cells, line=line))


def _cell(column: pa.Array | Sequence[Any], row: int) -> Any:
    return column[row].as_py() if isinstance(column, pa.Array) else column[row]
