"""Builds a catalog row by row from other tables, and a taxonomy of the tags in them."""

import csv
import dataclasses
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from transforms import storage
from transforms.catalog import values as track_values
from transforms.catalog.problems import Problem
from transforms.schemas.catalog import CATALOG
from transforms.taxonomy.categories import Category, CategoryKind, Tag
from transforms.taxonomy.hierarchy import Taxonomy, readable_name

RowTags = dict[str, float | None]
"""Tag id -> weight, or None if no weight was given."""

_KNOWN = [name for name in CATALOG.names if name != "tags"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceTable:
    """A text table with a header.

    Attributes:
      url: URL of the file.
      names: names of its columns.
      rows: number of each row (from 1, without the header) and its fields.
    """

    url: str
    names: list[str]
    rows: list[tuple[int, list[str]]]

    def problem(self, row: int, message: str, column: str | None = None) -> Problem:
        """A problem of a row."""
        return Problem(file=self.url, row=row, column=column, message=message)

    def place(self, name: str) -> int:
        """Position of a column.

        Raises:
          ValueError: no column has this name.
        """
        if name not in self.names:
            raise ValueError(f"{self.url}: no column {name!r}: the columns are {', '.join(self.names)}")
        return self.names.index(name)


def read_table(url: str, *, names: Sequence[str] | None = None, headers: int = 1) -> SourceTable:
    """Reads a table that is separated by tabs if its first line contains one, else by commas.

    Any line ends are read, with or without a byte order mark.

    Args:
      url: URL of the file.
      names: names of its columns, for a file without a header.
      headers: number of header lines. The names of several lines are joined by a point.

    Raises:
      ValueError: the file is empty or not UTF-8.
    """
    try:
        text = storage.read_bytes(url).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{url}: byte {error.start} is not UTF-8: save the file as UTF-8") from error
    tabs = "\t" in text.partition("\n")[0]
    lines = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter="\t" if tabs else ",") if row]
    if not lines:
        raise ValueError(f"{url}: the file is empty")
    if names is not None:
        return SourceTable(url=url, names=list(names), rows=list(enumerate(lines, 1)))
    head = [".".join(part.strip() for part in parts if part.strip()) for parts in zip(*lines[:headers], strict=False)]
    return SourceTable(url=url, names=head, rows=list(enumerate(lines[headers:], 1)))


@dataclasses.dataclass(kw_only=True)
class CatalogBuilder:
    """Collects the rows and the taxonomy of a new catalog.

    Attributes:
      rows: track_id -> columns; `tags` is a `RowTags`.
      problems: problems of rows that were left out.
      joined: number of rows whose tags were added to a track of an earlier row.
      kinds: category -> kind, for categories that are not `multilabel`.
      names: tag -> display name, if it is not derived from the slug.
      parents: tag -> broader tags.
      aliases: tag -> other ids.
    """

    rows: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    joined: int = 0
    kinds: dict[str, CategoryKind] = dataclasses.field(default_factory=dict)
    names: dict[str, str] = dataclasses.field(default_factory=dict)
    parents: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    aliases: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def add(self, source: SourceTable, number: int, row: Mapping[str, Any]) -> None:
        """Adds a track, or adds tags to an earlier row of the same track. An invalid row is added to `problems`."""
        try:
            key = track_values.track_id(row["track_id"])
            values = {
                **row,
                "track_id": key,
                "uri": track_values.uri(row["uri"], remote_root=False),
                "year": track_values.year(row.get("year")),
            }
        except ValueError as e:
            self.problems.append(source.problem(number, str(e)))
            return
        known = self.rows.setdefault(key, values)
        if known["uri"] != values["uri"]:
            message = f"track_id {key!r} has two uris: {known['uri']!r} in an earlier row"
            self.problems.append(source.problem(number, message))
            return
        self.joined += known is not values
        known["tags"] = {**known["tags"], **values["tags"]}

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
