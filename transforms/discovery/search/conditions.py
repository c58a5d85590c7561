"""Conditions that a track must meet: ranges, values, text, keys, an SQL predicate, positive tags."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.discovery.search.columns import column_of
from transforms.discovery.search.keys import camelot_code, compatible_codes, wanted_code
from transforms.discovery.search.request import SearchRequest, ValueRange
from transforms.discovery.search.texts import TEXT_COLUMNS, RowMask, has_words, joined_texts, row_mask, text_words
from transforms.discovery.search.vocabulary import DiscoveryError, Term
from transforms.formats.arrow import one_array
from transforms.table.duckdb_views import NotReadOnly, check_question
from transforms.table.reader import SnapshotReader


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition on the columns of `tracks`.

    Attributes:
      label: the condition as a user reads it.
      columns: the columns that it needs; None: all.
      mask: rows of these columns -> which tracks meet it.
      words: of a text, see `text_words`: a `TextIndex` can answer instead of `mask`; empty for other conditions.
      term: of a tag that tracks must have, or must not have; None for other conditions.
      wanted: whether they must have it.
    """

    label: str
    columns: tuple[str, ...] | None
    mask: Callable[[pa.Table], RowMask]
    words: tuple[str, ...] = ()
    term: Term | None = None
    wanted: bool = True


def conditions_of(snapshot: SnapshotReader, request: SearchRequest) -> list[Condition]:
    """The conditions of a request on columns.

    Raises:
      DiscoveryError: a column does not exist or has another type, or a value cannot be read.
    """
    found = [_in_range(snapshot, word, span) for word, span in request.ranges.items()]
    found += [_one_of(snapshot, word, values) for word, values in request.only.items()]
    if request.key is not None:
        found.append(_key(snapshot, request.key))
    if request.text is not None:
        found.append(_text(snapshot, request.text))
    if request.where is not None:
        found.append(_where(snapshot, request.where))
    return found


def tag_condition(term: Term, wanted: bool) -> Condition:
    """Tracks that have a term, or have it not. `top_tags` has all positive tags, also those whose rows of `track_tags`
    a publication leaves out.
    """
    tags = pa.array(term.tags, pa.string())

    def mask(rows: pa.Table) -> RowMask:
        lists = one_array(rows["top_tags"])
        is_own = row_mask(pc.is_in(pc.list_flatten(lists).field("tag"), value_set=tags))
        found = np.zeros(len(lists), np.bool_)
        found[np.asarray(pc.list_parent_indices(lists))[is_own]] = True
        return found if wanted else ~found

    return Condition(f"{'has' if wanted else 'has not'} {term.label}", ("top_tags",), mask, term=term, wanted=wanted)


def _in_range(snapshot: SnapshotReader, word: str, span: ValueRange) -> Condition:
    column = column_of(snapshot, word)
    kind = snapshot.schema("tracks").field(column).type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise DiscoveryError(f"range of {column}: the column has {kind}, not numbers: use --only {column}=VALUE")

    def mask(rows: pa.Table) -> RowMask:
        values = rows[column].cast(pa.float64()).to_numpy()  # null becomes NaN, which is in no range
        low = -np.inf if span.low is None else span.low
        high = np.inf if span.high is None else span.high
        return np.asarray((values >= low) & (values <= high), np.bool_)

    return Condition(f"{column} {span}", (column,), mask)


def _one_of(snapshot: SnapshotReader, word: str, values: Sequence[str]) -> Condition:
    column = column_of(snapshot, word)
    kind = snapshot.schema("tracks").field(column).type
    if pa.types.is_nested(kind):
        raise DiscoveryError(f"values of {column}: the column has {kind}, not single values: use --where")
    if not values:
        raise DiscoveryError(f"values of {column}: none is given: write {column}=A,B")
    wanted = _folded(pa.array(values, pa.string()))

    def mask(rows: pa.Table) -> RowMask:
        return row_mask(pc.is_in(_folded(rows[column].cast(pa.string())), value_set=wanted))

    return Condition(f"{column} is {' or '.join(values)}", (column,), mask)


def _folded(texts: Any) -> Any:
    """Texts in the form in which values are compared: lower case, and one spelling of each accent."""
    return pc.utf8_lower(pc.utf8_normalize(texts, "NFC"))


def _key(snapshot: SnapshotReader, key: str) -> Condition:
    column = column_of(snapshot, "key")
    if (code := wanted_code(key)) is None:
        raise DiscoveryError(f"key {key!r}: this is no key: write one as `A minor`, `Am` or `8A`")
    codes = compatible_codes(code)

    def mask(rows: pa.Table) -> RowMask:
        texts = one_array(rows[column].cast(pa.string())).dictionary_encode()
        fits = [camelot_code(text) in codes for text in texts.dictionary.to_pylist()]
        return row_mask(pa.array(fits, pa.bool_()).take(texts.indices))

    return Condition(f"{column} is compatible with {code} ({', '.join(codes)})", (column,), mask)


def _text(snapshot: SnapshotReader, text: str) -> Condition:
    words = text_words(text)
    columns = tuple(name for name in TEXT_COLUMNS if name in snapshot.schema("tracks").names)

    def mask(rows: pa.Table) -> RowMask:
        return has_words(joined_texts(rows), words)

    return Condition(f"title or artist has {' and '.join(words)}", columns, mask, tuple(words))


def _where(snapshot: SnapshotReader, predicate: str) -> Condition:
    _matching(snapshot.schema("tracks").empty_table(), predicate)

    def mask(rows: pa.Table) -> RowMask:
        ids = _matching(rows, predicate)
        return row_mask(pc.is_in(rows["track_id"], value_set=ids))

    return Condition(f"where {predicate}", None, mask)


def _matching(rows: pa.Table, predicate: str) -> pa.Array:
    """Ids of the rows for which an SQL predicate is true. The connection opens no file."""
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise DiscoveryError("--where needs DuckDB: pip install 'catalog-tagger[query]'") from error
    settings: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": False,
        "python_enable_replacements": False,
        "lock_configuration": True,
    }
    with duckdb.connect(":memory:", config=settings) as connection:
        # By this name, a subquery cannot read the rows: they are those of one bucket, not of the table.
        connection.register("rows of one bucket", rows)
        sql = f'SELECT track_id FROM "rows of one bucket" AS tracks WHERE (\n{predicate}\n)'
        try:
            check_question(connection, sql)
            found: Any = connection.sql(sql).to_arrow_table()
        except NotReadOnly as error:
            raise DiscoveryError(f"--where {predicate!r}: give one predicate, without a semicolon") from error
        except duckdb.Error as error:
            text = " ".join(str(error).split("\n\nLINE ")[0].split())
            if isinstance(error, duckdb.CatalogException) and "Table" in text:
                text = "a predicate reads the columns of one track, and no table: `query` answers such questions"
            raise DiscoveryError(f"--where {predicate!r}: {text}") from error
    return one_array(found["track_id"])
