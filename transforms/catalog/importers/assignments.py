"""Which column of a table is which column of the catalog, as a user writes it: `uri=FilePath` or `FilePath AS uri`."""

import re
import string
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from transforms.catalog.importers.source_table import SourceTable
from transforms.catalog.limits import listed

REQUIRED = ("track_id", "uri")

_SQL = re.compile(r"(.+)\s+AS\s+(.+)", re.IGNORECASE | re.DOTALL)
_EQUALS = re.compile(r"\w+=")


class Assignment(NamedTuple):
    """A column of the catalog and where it is from.

    Attributes:
      target: column of the catalog.
      source: column of the table, or a template with columns in braces: `{album}-{disc}-{track}`.
    """

    target: str
    source: str

    def resolved(self, names: Collection[str]) -> "Assignment":
        """The assignment in the order that fits the table's columns. If both orders fit, it is as it was written."""
        swapped = Assignment(self.source, self.target)
        fits_only_swapped = not self._fits(names) and swapped._fits(names) and "{" not in swapped.target
        return swapped if fits_only_swapped else self

    def _fits(self, names: Collection[str]) -> bool:
        return all(name in names for name in source_columns(self.source))


def parse_assignment(text: str) -> Assignment:
    """Reads `NAME=COLUMN` or `COLUMN AS NAME`. Names may be in double quotes, as in SQL.

    >>> parse_assignment('"File Path" as uri')
    Assignment(target='uri', source='File Path')

    Raises:
      ValueError: the text is neither.
    """
    if not _EQUALS.match(text) and (sql := _SQL.fullmatch(text.strip())):
        return Assignment(_unquoted(sql[2]), _unquoted(sql[1]))
    left, equals, right = text.partition("=")
    if not (left.strip() and equals and right.strip()):
        raise ValueError(f"--column={text}: write COLUMN AS NAME or NAME=COLUMN, for example 'FilePath AS uri'")
    return Assignment(_unquoted(left), _unquoted(right))


def _unquoted(name: str) -> str:
    stripped = name.strip()
    return stripped[1:-1] if len(stripped) > 2 and stripped[0] == stripped[-1] == '"' else stripped


def source_columns(source: str) -> list[str]:
    """The table's columns that a name or a template with columns in braces uses."""
    names = [name for _, name, _, _ in string.Formatter().parse(source) if name is not None] if "{" in source else []
    return names or [source]


def field_reader(source: SourceTable, column: str) -> Callable[[Sequence[str]], str]:
    """The function from the fields of a row to the text of a column or template."""
    places = {name: source.place(name) for name in source_columns(column)}
    if column in places:
        return lambda fields: fields[places[column]]
    return lambda fields: column.format_map({name: fields[place].strip() for name, place in places.items()})


_SPELLINGS = {
    "track_id": ("trackid", "id", "isrc", "songid", "clipid", "uid", "trackno", "tracknumber"),
    "uri": (
        "path",
        "filepath",
        "file",
        "filename",
        "location",
        "audio",
        "audiopath",
        "audiofile",
        "url",
        "filelocation",
    ),
    "title": ("track", "trackname", "tracktitle", "name", "songtitle", "song"),
    "artist": ("artistname", "artists", "band", "performer", "displayartist", "trackartist"),
    "isrc": ("isrccode",),
    "duration": (
        "durations",
        "durationms",
        "length",
        "lengths",
        "lengthms",
        "time",
        "totaltime",
        "tracklength",
        "seconds",
    ),
}
"""Names that columns have in other tables, in lower case and without what is neither letter nor digit."""


def spelled(name: str, names: Sequence[str]) -> list[str]:
    """The columns that may be the catalog's column of this name: first the same name, then others."""
    wanted = (plain_name(name), *_SPELLINGS.get(name, ()))
    return [column for spelling in wanted for column in names if plain_name(column) == spelling]


def plain_name(name: str) -> str:
    """A column's name in lower case, without spaces and marks."""
    return "".join(c for c in name.casefold() if c.isalnum())


def missing_columns(url: str, missing: Sequence[str], names: Sequence[str]) -> ValueError:
    """The error for a table that lacks columns which the catalog requires. Proposes columns that have other names."""
    likely = {name: found[0] for name in missing if (found := spelled(name, names))}
    further = {
        name: found[0]
        for name in _SPELLINGS
        if name not in (*missing, *REQUIRED) and name not in names and (found := spelled(name, names))
    }
    hint = f": give {_flags(likely)} if that is right" if likely else ""
    if unknown := [name for name in missing if name not in likely]:
        hint += f"{',' if hint else ':'} give --column 'COLUMN AS NAME' for {' and '.join(unknown)}"
    used = set(likely.values())
    if further := {name: column for name, column in further.items() if column not in used}:
        hint += f"; for further columns {_flags(further)}"
    return ValueError(f"{url}: no column {' and '.join(map(repr, missing))}: the columns are {listed(names)}{hint}")


def _flags(columns: Mapping[str, str]) -> str:
    return " ".join(f"--column '{column} AS {name}'" for name, column in columns.items())
