"""Traktor's collection, `collection.nml`.

Source: the files of Traktor Pro 2 and 3 and public descriptions of them; Native Instruments publishes none. A path is
`VOLUME`, `DIR` with `/:` between its parts, and `FILE`.
"""

from collections.abc import Mapping

from transforms.catalog.importers.builder import CatalogBuilder, Library
from transforms.catalog.importers.places import PathMap
from transforms.catalog.libraries.tracks import (
    LibraryFields,
    LibraryRow,
    clean_text,
    genre_tags,
    known_year,
    path_id,
    read_fields,
)
from transforms.catalog.libraries.xml_records import XmlElement, xml_records
from transforms.catalog.metadata import further_values

_BEST = 255
"""The rating of five stars; each star is 51."""
_NOTES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_KEYS = (*_NOTES, *(f"{note}m" for note in _NOTES))
"""Musical key of each value of `MUSICAL_KEY`."""
_FOLDERS_OF_THE_SYSTEM = ("Users", "Library", "Applications", "Volumes", "private", "System")
"""First folders of paths on the volume that a Mac starts from. Other volumes are below `/Volumes`."""
_FIELDS: LibraryFields = {
    "TITLE": ("title", clean_text),
    "ARTIST": ("artist", clean_text),
    "ALBUM.TITLE": ("album", clean_text),
    "ALBUM.TRACK": ("track_number", further_values.position),
    "INFO.RELEASE_DATE": ("release_date", further_values.date),
    "TEMPO.BPM": ("bpm", further_values.tempo),
    "INFO.KEY": ("musical_key", clean_text),
    "MUSICAL_KEY.VALUE": ("musical_key", lambda value: _key(value)),
    "INFO.RANKING": ("rating", lambda value: further_values.stars(value, _BEST)),
    "INFO.PLAYCOUNT": ("play_count", further_values.natural_number),
    "INFO.IMPORT_DATE": ("added", further_values.date),
    "INFO.LAST_PLAYED": ("last_played", further_values.date),
    "INFO.PLAYTIME_FLOAT": ("stated_duration_s", further_values.seconds),
    "INFO.PLAYTIME": ("stated_duration_s", further_values.seconds),
    "INFO.LABEL": ("label", clean_text),
    "INFO.CATALOG_NO": ("catalog_number", clean_text),
    "INFO.COMMENT": ("comment", clean_text),
    "INFO.REMIXER": ("remixer", clean_text),
    "INFO.PRODUCER": ("producer", clean_text),
    "INFO.MIX": ("mix", clean_text),
}


def import_traktor(url: str, paths: PathMap) -> CatalogBuilder:
    """Makes the catalog of all tracks of a collection. A track's id follows from its path, because Traktor has no ids.

    Raises:
      ValueError: the file is no such collection, or is damaged.
    """
    imported = CatalogBuilder(paths=paths)
    number = 0
    for number, entry in enumerate(xml_records(url, ("NML", "COLLECTION", "ENTRY"), "a Traktor NML"), 1):
        row, given = LibraryRow(url, number, entry.line), _flat(entry)
        values = read_fields(imported, row, given, _FIELDS)
        if released := given.get("INFO.RELEASE_DATE", "").partition("/")[0]:
            values |= read_fields(imported, row, {"year": released}, {"year": ("year", known_year)})
        values["tags"] = genre_tags(imported, row, [given.get("INFO.GENRE", "")])
        path = _path(given)
        imported.add(row, {"track_id": path_id(path) if path else "", "uri": path, **values})
    imported.sources.append(Library(url=url, form="Traktor NML", rows=number))
    return imported


def _flat(entry: XmlElement) -> dict[str, str]:
    """The attributes of an entry and, with its name, of each element in it."""
    found = dict(entry.attributes)
    for child in entry.children:
        for name, value in child.attributes.items():
            found.setdefault(f"{child.name}.{name}", value)
    return found


def _path(given: Mapping[str, str]) -> str:
    """The path of a track on the machine of the collection; empty if it has none."""
    name = given.get("LOCATION.FILE", "")
    if not name:
        return ""
    volume, folder = given.get("LOCATION.VOLUME", ""), given.get("LOCATION.DIR", "").replace("/:", "/")
    path = f"{folder.rstrip('/')}/{name}"
    if volume.endswith(":") or not volume or folder.strip("/").partition("/")[0] in _FOLDERS_OF_THE_SYSTEM:
        return f"{volume}{path}" if volume.endswith(":") else path
    return f"/Volumes/{volume}{path}"


def _key(value: str) -> str | None:
    number = further_values.whole_number(value)
    if number is None:
        return None
    if not 0 <= number < len(_KEYS):
        raise ValueError(f"{number} is no musical key from 0 to {len(_KEYS) - 1}")
    return _KEYS[number]
