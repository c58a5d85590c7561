"""Builds a catalog row by row from other tables, and a taxonomy of the tags in them."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from transforms.catalog import values as track_values
from transforms.catalog.delimited.table import TextTable
from transforms.catalog.importers.source_table import SourceRow, SourceTable
from transforms.catalog.problems import ProblemTally
from transforms.schemas.catalog import CATALOG
from transforms.taxonomy.categories import Category, CategoryKind, Tag
from transforms.taxonomy.hierarchy import Taxonomy, readable_name

RowTags = dict[str, float | None]
"""Tag id -> weight, or None if no weight was given."""

_REQUIRED = ("track_id", "uri")
_KNOWN = [name for name in CATALOG.names if name != "tags"]


@dataclasses.dataclass(kw_only=True)
class CatalogBuilder:
    """Collects the rows and the taxonomy of a new catalog.

    Attributes:
      rows: track_id -> columns; `tags` is a `RowTags`.
      sources: the tables that were read, with the form in which each is written.
      read: number of rows that were read.
      lost: the rows that became no track.
      values_left_out: values that are missing in their tracks because they cannot be used.
      joined: number of rows whose tags were added to a track of an earlier row.
      kinds: category -> kind, for categories that are not `multilabel`.
      names: tag -> display name, if it is not derived from the slug.
      parents: tag -> broader tags.
      aliases: tag -> other ids.
    """

    rows: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    sources: list[TextTable] = dataclasses.field(default_factory=list)
    read: int = 0
    lost: ProblemTally = dataclasses.field(default_factory=ProblemTally)
    values_left_out: ProblemTally = dataclasses.field(default_factory=ProblemTally)
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

    def lose(self, row: SourceRow, message: str) -> None:
        """Counts a row that becomes no track."""
        self.read += 1
        self.lost.add(row.problem(message))

    def leave_out(self, row: SourceRow, column: str, message: str) -> None:
        """Counts a value that is left out of its track."""
        self.values_left_out.add(row.problem(message, column))

    def add(self, row: SourceRow, values: Mapping[str, Any]) -> None:
        """Adds a track, or adds tags to an earlier row of the same track.

        A row with a wrong track_id or uri is lost. Another value that is wrong is left out.
        """
        try:
            key = track_values.track_id(values["track_id"])
            uri = track_values.uri(values["uri"], remote_root=False)
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

    def _optional(self, row: SourceRow, name: str, value: Any) -> Any:
        if name == "tags":
            return value
        try:
            return track_values.year(value) if name == "year" else track_values.text(value)
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
        """The catalog, sorted by track_id: known columns that have values, then other columns with values as text."""
        rows = [self.rows[key] for key in sorted(self.rows)]
        used = {name for row in rows for name, value in row.items() if value not in (None, "")}
        names = [name for name in _KNOWN if name in used]
        names += sorted(used - set(CATALOG.names))
        columns = {name: pa.array([row.get(name) or None for row in rows], _type(name)) for name in names}
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


def _type(name: str) -> pa.DataType:
    return CATALOG.field(name).type if name in CATALOG.names else pa.string()
