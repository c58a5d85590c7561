"""Builds a catalog row by row from other tables and libraries, and a taxonomy of the tags in them."""

import dataclasses
import datetime
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import pyarrow as pa

from transforms.catalog import limits
from transforms.catalog import values as track_values
from transforms.catalog.delimited.table import TextTable
from transforms.catalog.importers.audio_search import PassedOver
from transforms.catalog.importers.places import PathMap, UnmappedPath, UnmappedPaths
from transforms.catalog.importers.source_table import SourceRow, SourceTable
from transforms.catalog.problems import Problem, ProblemTally
from transforms.schemas.catalog import CATALOG
from transforms.taxonomy.categories import Category, CategoryKind, Tag
from transforms.taxonomy.hierarchy import Taxonomy, readable_name

RowTags = dict[str, float | None]
"""Tag id -> weight, or None if no weight was given."""

FurtherValue = str | int | float | bool | datetime.date | list[str] | None
"""A value of a further column. All values of a column that are not None should have one type."""

_REQUIRED = ("track_id", "uri")
_KNOWN = [name for name in CATALOG.names if name != "tags"]


class Row(Protocol):
    """A row of a table, or a track of a library: where it is."""

    def problem(self, message: str, column: str | None = None) -> Problem:
        """A problem of this row."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Library:
    """A file of another program that was read.

    Attributes:
      url: URL of the file.
      form: what it is, such as `Rekordbox XML`.
      rows: number of its tracks.
    """

    url: str
    form: str
    rows: int


@dataclasses.dataclass(kw_only=True)
class CatalogBuilder:
    """Collects the rows and the taxonomy of a new catalog.

    Attributes:
      rows: track_id -> columns; `tags` is a `RowTags`.
      paths: where the folders of other machines are here.
      sources: the tables and libraries that were read, with the form in which each is written.
      read: number of rows that were read.
      lost: the rows that became no track, without those of `unmapped`.
      unmapped: the rows that became no track because nothing maps their path of Windows.
      passed_over: what a library has that is not an audio file, such as streams.
      values_left_out: values that are missing in their tracks because they cannot be used.
      warnings: what a user should look at, in one line each.
      joined: number of rows whose tags were added to a track of an earlier row.
      kinds: category -> kind, for categories that are not `multilabel`.
      names: tag -> display name, if it is not derived from the slug.
      parents: tag -> broader tags.
      aliases: tag -> other ids.
    """

    rows: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    paths: PathMap = dataclasses.field(default_factory=PathMap)
    sources: list[TextTable | Library] = dataclasses.field(default_factory=list)
    read: int = 0
    lost: ProblemTally = dataclasses.field(default_factory=ProblemTally)
    unmapped: UnmappedPaths = dataclasses.field(default_factory=UnmappedPaths)
    passed_over: PassedOver = dataclasses.field(default_factory=PassedOver)
    values_left_out: ProblemTally = dataclasses.field(default_factory=ProblemTally)
    warnings: list[str] = dataclasses.field(default_factory=list)
    joined: int = 0
    kinds: dict[str, CategoryKind] = dataclasses.field(default_factory=dict)
    names: dict[str, str] = dataclasses.field(default_factory=dict)
    parents: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    aliases: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def rows_of(self, source: SourceTable, *, ragged: bool = False) -> Iterator[SourceRow]:
        """Yields the rows of a table. Rows that cannot be read are counted as lost.

        Args:
          source: the table.
          ragged: whether rows may have another number of fields than the table has columns.
        """
        for row in source.rows():
            if isinstance(row.fields, ValueError):
                self.lose(row, str(row.fields))
            elif not ragged and len(row.fields) != len(source.names):
                self.lose(row, source.uneven(row))
            else:
                yield row

    @property
    def lost_count(self) -> int:
        """Number of all rows that became no track."""
        return self.lost.count + self.unmapped.count

    def lose(self, row: Row, message: str) -> None:
        """Counts a row that becomes no track."""
        self.read += 1
        self.lost.add(row.problem(message))

    def leave_out(self, row: Row, column: str, message: str) -> None:
        """Counts a value that is left out of its track."""
        self.values_left_out.add(row.problem(message, column))

    def add(self, row: Row, values: Mapping[str, Any], base: str = "") -> None:
        """Adds a track, or adds tags to an earlier row of the same track.

        A row with a wrong track_id or uri is lost. Another value that is wrong is left out.

        Args:
          row: where the values are from.
          values: catalog column -> value.
          base: what a relative uri starts from, if that is not the catalog root.
        """
        try:
            key = track_values.track_id(values["track_id"])
            uri = track_values.uri(self.paths.place(values["uri"] or "", base), remote_root=False)
        except UnmappedPath as e:
            self.read += 1
            self.unmapped.add(e.path, row.problem(""))
            return
        except ValueError as e:
            self.lose(row, str(e))
            return
        known = self.rows.get(key)
        if known is not None and known["uri"] != uri:
            self.lose(row, f"track_id {key!r} has two uris: {known['uri']!r} in an earlier row")
            return
        self.read += 1
        optional = {name: self._optional(row, name, value) for name, value in values.items() if name not in _REQUIRED}
        if known is None:
            self.rows[key] = {"track_id": key, "uri": uri, **optional}
        else:
            self.joined += 1
            known["tags"] = {**known["tags"], **optional["tags"]}

    def _optional(self, row: Row, name: str, value: Any) -> Any:
        if name == "tags":
            return value
        try:
            if name == "year":
                return track_values.year(value)
            return track_values.text(value) if name in _KNOWN else _further(value)
        except ValueError as e:
            self.leave_out(row, name, str(e))
            return None

    def tag_counts(self) -> Counter[str]:
        """Number of tracks that carry each tag with a weight over 0."""
        return Counter(tag for row in self.rows.values() for tag, weight in row["tags"].items() if weight != 0)

    def keep_tags(self, kept: Iterable[str]) -> None:
        """Drops all tags except these."""
        wanted = set(kept)
        for row in self.rows.values():
            row["tags"] = {tag: weight for tag, weight in row["tags"].items() if tag in wanted}

    def table(self) -> pa.Table:
        """The catalog, sorted by track_id: known columns that have values, then other columns that have values.

        Raises:
          ValueError: there are too many columns.
        """
        rows = [self.rows[key] for key in sorted(self.rows)]
        used = {name for row in rows for name, value in row.items() if value not in (None, "", [])}
        names = [name for name in _KNOWN if name in used]
        names += sorted(used - set(CATALOG.names))
        limits.check_columns(names)
        columns = {name: _column(name, [row.get(name) for row in rows]) for name in names}
        tags = [[{"tag": tag, "weight": weight} for tag, weight in sorted(row["tags"].items())] or None for row in rows]
        return pa.table({**columns, "tags": pa.array(tags, CATALOG.field("tags").type)})

    def taxonomy(self) -> Taxonomy:
        """The taxonomy of all tags that tracks carry, with their parents.

        Raises:
          ValueError: no track carries a tag.
        """
        used = set(self.tag_counts()) | {tag for row in self.rows.values() for tag in row["tags"]}
        waiting = list(used)
        while waiting:
            above = [parent for parent in self.parents.get(waiting.pop(), ()) if parent not in used]
            used.update(above)
            waiting += above
        if not used:
            raise ValueError("no track carries a tag: there is no taxonomy to write")
        return Taxonomy(categories=tuple(self._categories(sorted(used))))

    def _categories(self, tags: list[str]) -> Iterator[Category]:
        groups: dict[str, list[Tag]] = {}
        for tag in tags:
            made = Tag(
                id=tag,
                name=self.names.get(tag) or readable_name(tag),
                parents=self.parents.get(tag, ()),
                aliases=self.aliases.get(tag, ()),
            )
            groups.setdefault(made.category, []).append(made)
        for name, members in groups.items():
            # A small subset may contain a single tag of a category, and one class is not multiclass.
            kind = self.kinds.get(name, "multilabel") if len(members) > 1 else "multilabel"
            yield Category(name=name, kind=kind, tags=tuple(members))


def _further(value: FurtherValue) -> FurtherValue:
    """A value of a further column; raises ValueError for one that cannot be stored."""
    if isinstance(value, list):
        return [found for text in value if (found := track_values.text(text)) is not None]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return track_values.text(value) if isinstance(value, str) else value


def _column(name: str, values: list[Any]) -> pa.Array:
    values = [None if value in ("", []) else value for value in values]
    return pa.array(values, CATALOG.field(name).type) if name in CATALOG.names else further_column(values)


def further_column(values: list[Any]) -> pa.Array:
    """A further column, in the one type that its values share, or as text."""
    kind = _type({type(value) for value in values} - {type(None)})
    if kind == pa.string():
        values = [value if value is None or isinstance(value, str) else str(value) for value in values]
    return pa.array(values, kind)


def _type(kinds: set[type]) -> pa.DataType:
    """The type of a column with values of these types; text if no single type fits."""
    if kinds == {int, float}:
        return pa.float64()
    (kind,) = kinds if len(kinds) == 1 else (str,)
    return {
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        datetime.date: pa.date32(),
        datetime.datetime: pa.timestamp("us", "UTC"),
        list: pa.list_(pa.string()),
    }.get(kind, pa.string())
