"""Tables of a delivery whose columns have DDEX's names: ISRC, ICPN, DisplayArtist, ReleaseDate, Duration and others.

Source: DDEX's data dictionary (ERN 4: names of the fields of a sound recording and its release; durations and dates in
ISO 8601). DDEX defines messages and no such table: the names are compared without case, spaces and marks.
"""

import dataclasses
from collections.abc import Callable, Sequence

from transforms.catalog.importers.assignments import missing_columns, plain_name
from transforms.catalog.importers.column_types import Cell
from transforms.catalog.importers.layout import CsvLayout
from transforms.catalog.importers.source_table import read_table
from transforms.catalog.metadata import further_values

_NAMES: dict[str, tuple[str, ...]] = {
    "uri": (
        "filepath",
        "filename",
        "audiofilename",
        "audiofile",
        "uri",
        "filenameuri",
        "fileuri",
        "soundrecordingfile",
    ),
    "isrc": ("isrc", "soundrecordingisrc", "resourceisrc", "trackisrc"),
    "icpn": ("icpn", "upc", "ean", "upcean", "barcode", "releaseicpn", "releaseupc"),
    "title": ("displaytitletext", "displaytitle", "tracktitle", "title", "titletext", "soundrecordingtitle"),
    "artist": ("displayartistname", "displayartist", "trackartist", "mainartist", "artistname", "artist"),
    "album": ("releasetitle", "releasedisplaytitle", "albumtitle", "album"),
    "album_artist": ("releasedisplayartist", "releaseartist", "albumartist"),
    "label": ("labelname", "label"),
    "release_date": ("releasedate", "digitalreleasedate"),
    "original_release_date": ("originalreleasedate",),
    "stated_duration_s": ("duration", "trackduration"),
    "language": ("languageofperformance", "languageandscriptcode", "language"),
    "track_number": ("sequencenumber", "tracknumber", "trackposition"),
    "disc_number": ("volumenumber", "discnumber", "disknumber"),
    "parental_warning": ("parentalwarningtype", "parentalwarning"),
    "p_line": ("pline", "plinetext"),
    "c_line": ("cline", "clinetext"),
    "bpm": ("beatsperminute", "bpm"),
    "musical_key": ("musicalkey", "key"),
    "grid": ("grid",),
}
"""Column of the catalog -> names of columns, in lower case and without spaces and marks."""
_GENRES = ("genre", "genretext", "subgenre", "primarygenre", "secondarygenre")
_READERS: dict[str, tuple[str, Callable[[str], Cell]]] = {
    "isrc": ("ISRC", further_values.isrc),
    "release_date": ("date", further_values.date),
    "original_release_date": ("date", further_values.date),
    "stated_duration_s": ("length in seconds", further_values.seconds),
    "track_number": ("integer", further_values.position),
    "disc_number": ("integer", further_values.position),
    "bpm": ("number", further_values.tempo),
}


def delivery_layout(url: str, given: CsvLayout) -> CsvLayout:
    """The layout of a table by the names of its columns. What a user gives applies before them.

    A track's id is its ISRC.

    Raises:
      ValueError: the table has no ISRC.
    """
    names = [name for name in read_table(url, names=given.names, encoding=given.encoding).names if name]
    columns = _columns(names)
    if "isrc" not in columns and "track_id" not in given.renamed:
        raise ValueError(f"{missing_columns(url, ['isrc'], names)}: a table of a delivery has one ISRC in each row")
    if "isrc" in columns:
        columns = {"track_id": columns["isrc"], **columns}
    renamed = {**columns, **given.renamed}
    readers = {columns[name]: read for name, (_, read) in _READERS.items() if name in columns}
    formats = {columns[name]: form for name, (form, _) in _READERS.items() if name in columns}
    genres = [("genre", name) for name in names if plain_name(name) in _GENRES]
    lists = [*given.lists, *(pair for pair in genres if pair[1] not in given.tag_columns | set(renamed.values()))]
    return dataclasses.replace(given, renamed=renamed, readers=readers, formats=formats, lists=lists)


def _columns(names: Sequence[str]) -> dict[str, str]:
    """Column of the catalog -> the table's column with the first of its names."""
    there = {plain_name(name): name for name in reversed(names)}
    found = {column: next((there[name] for name in known if name in there), None) for column, known in _NAMES.items()}
    return {column: name for column, name in found.items() if name is not None}
