"""The library of Beets, an SQLite file (`beet config -d` names it).

Source: beets' documentation of fields, and the table `items` of its library.
"""

import re
from collections.abc import Mapping
from typing import Any

from transforms.catalog.importers.builder import CatalogBuilder, Library
from transforms.catalog.importers.places import PathMap
from transforms.catalog.libraries.sqlite_file import SqliteTables, open_sqlite
from transforms.catalog.libraries.tracks import (
    LibraryFields,
    LibraryRow,
    clean_text,
    genre_tags,
    known_year,
    read_fields,
)
from transforms.catalog.metadata import further_values

_BEST = 1
"""The best rating that the plugin `mpdstats` writes."""
_FIELDS: LibraryFields = {
    "title": ("title", clean_text),
    "artist": ("artist", clean_text),
    "album": ("album", clean_text),
    "albumartist": ("album_artist", clean_text),
    "mb_artistid": ("artist_id", clean_text),
    "mb_albumid": ("album_id", clean_text),
    "year": ("year", known_year),
    "country": ("country", clean_text),
    "language": ("language", clean_text),
    "bpm": ("bpm", further_values.tempo),
    "initial_key": ("musical_key", clean_text),
    "rating": ("rating", lambda value: further_values.stars(value, _BEST)),
    "play_count": ("play_count", further_values.natural_number),
    "skip_count": ("skip_count", further_values.natural_number),
    "last_played": ("last_played", further_values.unix_moment),
    "added": ("added", further_values.unix_moment),
    "length": ("stated_duration_s", further_values.seconds),
    "isrc": ("isrc", further_values.isrc),
    "label": ("label", clean_text),
    "catalognum": ("catalog_number", clean_text),
    "barcode": ("barcode", clean_text),
    "composer": ("composer", clean_text),
    "remixer": ("remixer", clean_text),
    "grouping": ("grouping", clean_text),
    "comments": ("comment", clean_text),
    "track": ("track_number", further_values.position),
    "disc": ("disc_number", further_values.position),
    "mb_trackid": ("musicbrainz_recording_id", clean_text),
    "mb_releasetrackid": ("musicbrainz_track_id", clean_text),
    "release_date": ("release_date", further_values.date),
}
_GENRES = ("genres", "genre")
_DATE = ("year", "month", "day")
_SEPARATORS = re.compile(r"\\?\u2400|, |;")
"""Between the genres of a track: that of lists of beets, that of the plugin `lastgenre`, and that of many files."""


def import_beets(url: str, paths: PathMap, folder: str = "") -> CatalogBuilder:
    """Makes the catalog of all tracks of a library. A track's id is that of its item.

    Args:
      url: URL of the library.
      paths: where the folders of other machines are here.
      folder: what relative paths start from: newer libraries have such.

    Raises:
      ValueError: the file is no such library, or is damaged.
    """
    imported = CatalogBuilder(paths=paths)
    number = 0
    with open_sqlite(url, "a Beets library") as tables:
        there = tables.columns("items")
        if not {"id", "path"} <= set(there):
            raise ValueError(f"{url}: this is not a Beets library: it has no table `items` with tracks")
        further = _attributes(tables)
        wanted = [name for name in there if name in {"id", "path", *_FIELDS, *_GENRES, *_DATE}]
        for number, values in enumerate(tables.rows("items", wanted), 1):
            stored = dict(zip(wanted, values, strict=True))
            given = {name: _text(value) for name, value in stored.items() if name != "path" and value is not None}
            _add(
                imported, LibraryRow(url, number), stored["path"], further.get(given.get("id", ""), {}) | given, folder
            )
    imported.sources.append(Library(url=url, form="Beets library", rows=number))
    return imported


def _add(imported: CatalogBuilder, row: LibraryRow, stored: Any, given: Mapping[str, str], folder: str) -> None:
    try:
        path = stored.decode() if isinstance(stored, bytes) else str(stored or "")
    except UnicodeDecodeError:
        imported.lose(row, f"the path {stored!r} is not UTF-8: rename the file, and move it with beets")
        return
    values = read_fields(imported, row, {**given, "release_date": _date(given)}, _FIELDS)
    genres = next((given[name] for name in _GENRES if given.get(name)), "")
    values["tags"] = genre_tags(imported, row, _SEPARATORS.split(genres))
    imported.add(row, {"track_id": given.get("id", ""), "uri": path, **values}, folder)


def _date(given: Mapping[str, str]) -> str:
    """The date of release, if it is known to the day."""
    parts = [given.get(name, "0") for name in _DATE]
    return "-".join(parts) if all(part.isdecimal() and int(part) for part in parts) else ""


def _attributes(tables: SqliteTables) -> dict[str, dict[str, str]]:
    """Item -> attributes that plugins and users have added, as far as they become columns."""
    found: dict[str, dict[str, str]] = {}
    if {"entity_id", "key", "value"} <= set(tables.columns("item_attributes")):
        for entity, key, value in tables.rows("item_attributes", ("entity_id", "key", "value")):
            name = _text(key)
            if value is not None and (name in _FIELDS or name in _GENRES):
                found.setdefault(_text(entity), {})[name] = _text(value)
    return found


def _text(value: Any) -> str:
    """A stored value as text. What is not UTF-8 has single surrogates, which are refused later."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
