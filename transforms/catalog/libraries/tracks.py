"""From the fields of a library's track to a row of the catalog. All libraries have the same columns."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from transforms.catalog import values as track_values
from transforms.catalog.delimited.encoding import is_utf8
from transforms.catalog.importers.builder import CatalogBuilder, FurtherValue, RowTags
from transforms.catalog.importers.folder import folder_track_id, genre_tag
from transforms.catalog.metadata.embedded import cleaned
from transforms.catalog.metadata.genres import genre_names
from transforms.catalog.problems import Problem
from transforms.taxonomy.tag_ids import shown

LibraryFields = Mapping[str, tuple[str, Callable[[str], FurtherValue]]]
"""Name of a field in the library -> column of the catalog, and how the field's text is read."""


class LibraryRow(NamedTuple):
    """Where a track is in a library.

    Attributes:
      url: URL of the file.
      number: number of the track, from 1.
      line: number of its line; None if the file has no lines.
    """

    url: str
    number: int
    line: int | None = None

    def problem(self, message: str, column: str | None = None) -> Problem:
        """A problem of this track."""
        return Problem(file=self.url, row=self.number, column=column, message=message, line=self.line)


def clean_text(value: str) -> str | None:
    """Text without control characters; None if nothing is left."""
    if not is_utf8(value):
        raise ValueError(f"{shown(value)} is not UTF-8: save the file as UTF-8, or give its encoding")
    return cleaned(value)


def known_year(value: str) -> int | None:
    """A year; 0 means that it is unknown."""
    return track_values.year(value) if value.strip(" 0") else None


def read_fields(
    imported: CatalogBuilder, row: LibraryRow, given: Mapping[str, str], fields: LibraryFields
) -> dict[str, Any]:
    """The columns that are made of a track's fields. A value that cannot be read is left out and counted."""
    values: dict[str, Any] = {}
    for name, (column, read) in fields.items():
        try:
            found = read(given[name]) if name in given else None
        except ValueError as e:
            imported.leave_out(row, column, str(e))
            continue
        if found is not None:
            values.setdefault(column, found)
    return values


def genre_tags(imported: CatalogBuilder, row: LibraryRow, genres: Iterable[str]) -> RowTags:
    """The tags of genres in all spellings."""
    names, faults = genre_names(genres)
    for fault in faults:
        imported.leave_out(row, "tags", fault)
    return dict.fromkeys(tag for name in names if (tag := genre_tag(name)))


def path_id(path: str) -> str:
    """The id of a track whose library has no ids, by its path as the library writes it."""
    return folder_track_id(path.replace("\\", "/"))
