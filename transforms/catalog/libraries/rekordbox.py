"""Rekordbox's collection in XML, as `File > Export Collection in xml format` writes it.

Source: AlphaTheta, rekordbox developer information, "Format list of the XML", version 1.0.0.
"""

import re

from transforms.catalog.importers.builder import CatalogBuilder, Library
from transforms.catalog.importers.places import PathMap
from transforms.catalog.libraries.tracks import (
    LibraryFields,
    LibraryRow,
    clean_text,
    genre_tags,
    known_year,
    read_fields,
)
from transforms.catalog.libraries.xml_records import xml_records
from transforms.catalog.metadata import further_values

_STREAM = re.compile(
    r"(?:file://localhost/*)?(?:soundcloud|tidal|beatport|beatsource|spotify|applemusic|deezer)[\w-]*:"
)
"""The location of a track of a streaming service."""
_BEST = 255
"""The rating of five stars; each star is 51."""
_FIELDS: LibraryFields = {
    "Name": ("title", clean_text),
    "Artist": ("artist", clean_text),
    "Album": ("album", clean_text),
    "Year": ("year", known_year),
    "AverageBpm": ("bpm", further_values.tempo),
    "Tonality": ("musical_key", clean_text),
    "Rating": ("rating", lambda value: further_values.stars(value, _BEST)),
    "PlayCount": ("play_count", further_values.natural_number),
    "DateAdded": ("added", further_values.date),
    "LastPlayed": ("last_played", further_values.date),
    "TotalTime": ("stated_duration_s", further_values.seconds),
    "Composer": ("composer", clean_text),
    "Remixer": ("remixer", clean_text),
    "Label": ("label", clean_text),
    "Mix": ("mix", clean_text),
    "Grouping": ("grouping", clean_text),
    "Comments": ("comment", clean_text),
    "Colour": ("colour", clean_text),
    "TrackNumber": ("track_number", further_values.position),
    "DiscNumber": ("disc_number", further_values.position),
}


def import_rekordbox(url: str, paths: PathMap) -> CatalogBuilder:
    """Makes the catalog of all tracks of a collection. A track's id is Rekordbox's.

    Raises:
      ValueError: the file is no such collection, or is damaged.
    """
    imported = CatalogBuilder(paths=paths)
    number = 0
    for number, track in enumerate(xml_records(url, ("DJ_PLAYLISTS", "COLLECTION", "TRACK"), "a Rekordbox XML"), 1):
        row, given = LibraryRow(url, number, track.line), track.attributes
        if _STREAM.match(given.get("Location", "")):
            imported.passed_over.add(f"{url}, row {number}: {given.get('Name', '')}", "stream")
            continue
        values = read_fields(imported, row, given, _FIELDS)
        values["tags"] = genre_tags(imported, row, [given.get("Genre", "")])
        imported.add(row, {"track_id": given.get("TrackID", ""), "uri": given.get("Location", ""), **values})
    imported.sources.append(Library(url=url, form="Rekordbox XML", rows=number))
    return imported
