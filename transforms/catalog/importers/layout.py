"""What the columns of a text table mean."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from transforms.catalog.importers.assignments import REQUIRED, Assignment, missing_columns, source_columns
from transforms.catalog.importers.column_types import Cell, ColumnType
from transforms.catalog.importers.matching import MatchBy
from transforms.catalog.importers.places import PathMap
from transforms.taxonomy.categories import CategoryKind


@dataclasses.dataclass(frozen=True, kw_only=True)
class CsvLayout:
    """The meaning of the columns of a table.

    Attributes:
      renamed: catalog column -> column of the table, such as `track_id` -> `clip_id`, or a template with columns in
        braces: `{album}-{disc}-{track}`. Both sides of a pair may be exchanged.
      tags: columns with full tag ids (`mood/calm:0.7|genre/rock`). A column `tags` without another use is one.
      lists: (category, column) of columns with names of one category.
      wide: (category, columns) with one column per tag, which contains 0, 1 or a weight. `*` means all columns without
        another use.
      separator: text between the names of a list; None if it is to be found in the data.
      kinds: category -> kind, for categories that are not `multilabel`.
      names: names of the columns of a table without a header.
      encoding: encoding of a table that is not in UTF-8 and has no byte order mark.
      uri_bases: prefixes to remove from uris, such as `https://host/music/` if the files were copied from there.
      typed: whether further columns get the types that their values have; otherwise they are text.
      types: further column -> type, if it is not to be found.
      readers: column of the table -> how its text is read, if neither its name nor its values tell.
      formats: column of the table -> what `readers` take its text for, for people.
      paths: where the folders of other machines are here.
      match: what the rows of the table and the files of a folder are joined by.
    """

    renamed: Mapping[str, str]
    tags: Sequence[str] = ()
    lists: Sequence[tuple[str, str]] = ()
    wide: Sequence[tuple[str, Sequence[str]]] = ()
    separator: str | None = None
    kinds: Mapping[str, CategoryKind] = dataclasses.field(default_factory=dict)
    names: Sequence[str] | None = None
    uri_bases: Sequence[str] = ()
    encoding: str | None = None
    typed: bool = True
    types: Mapping[str, ColumnType] = dataclasses.field(default_factory=dict)
    readers: Mapping[str, Callable[[str], Cell]] = dataclasses.field(default_factory=dict)
    formats: Mapping[str, str] = dataclasses.field(default_factory=dict)
    paths: PathMap = dataclasses.field(default_factory=PathMap)
    match: MatchBy | None = None

    def __post_init__(self) -> None:
        if self.names is not None and not all(name.strip() for name in self.names):
            raise ValueError(f"a name is empty in {','.join(self.names)!r}: give one name per column")
        if self.separator == "":
            raise ValueError("the separator of the names in a list is empty: give the text between two names")

    def resolved(self, url: str, names: Sequence[str]) -> "CsvLayout":
        """The layout for a table with these columns.

        Raises:
          ValueError: it has no column for the track's id or its file.
        """
        renamed = dict(Assignment(*pair).resolved(names) for pair in self.renamed.items())
        renamed = {name: name for name in REQUIRED if name in names} | renamed
        missing = [name for name in REQUIRED if name not in renamed]
        if missing and self.match is None:
            raise missing_columns(url, missing, names)
        return dataclasses.replace(self, renamed=renamed)

    @property
    def tag_columns(self) -> set[str]:
        """Columns of the table that tags are read from, and `*`."""
        listed = {column for _, column in self.lists}
        return {*self.tags, *listed, *(column for _, columns in self.wide for column in columns)}

    @property
    def used_columns(self) -> set[str]:
        """Columns of the table that columns of the catalog are made of by name."""
        return {name for column in self.renamed.values() for name in source_columns(column)}

    @property
    def takes_all_tags(self) -> bool:
        """Whether every column without another use is a tag."""
        return any("*" in columns for _, columns in self.wide)

    def reads_tags_of(self, name: str) -> bool:
        """Whether a column has tag ids because it is called `tags`."""
        return name == "tags" and not self.tag_columns & {"tags", "*"}
