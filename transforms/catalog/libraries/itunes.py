"""The library of iTunes and Apple Music as a property list, as `File > Library > Export Library` writes it.

Source: Apple, property list DTD 1.0; the keys of a track are those of the exported files.
"""

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
from transforms.catalog.libraries.xml_records import XmlElement, xml_records
from transforms.catalog.metadata import further_values

_BEST = 100
"""The rating of five stars; each star is 20."""
_FIELDS: LibraryFields = {
    "Name": ("title", clean_text),
    "Artist": ("artist", clean_text),
    "Album": ("album", clean_text),
    "Album Artist": ("album_artist", clean_text),
    "Year": ("year", known_year),
    "Release Date": ("released", further_values.moment),
    "BPM": ("bpm", further_values.tempo),
    "Rating": ("rating", lambda value: further_values.stars(value, _BEST)),
    "Play Count": ("play_count", further_values.natural_number),
    "Skip Count": ("skip_count", further_values.natural_number),
    "Play Date UTC": ("last_played", further_values.moment),
    "Date Added": ("added", further_values.moment),
    "Total Time": ("stated_duration_s", further_values.milliseconds),
    "Composer": ("composer", clean_text),
    "Grouping": ("grouping", clean_text),
    "Comments": ("comment", clean_text),
    "Track Number": ("track_number", further_values.position),
    "Disc Number": ("disc_number", further_values.position),
    "Loved": ("loved", lambda value: value == "true"),
}
_VIDEO = ("Has Video", "Movie", "TV Show", "Music Video")


def import_itunes(url: str, paths: PathMap) -> CatalogBuilder:
    """Makes the catalog of all audio files of a library. A track's id is its persistent id.

    Raises:
      ValueError: the file is no such library, or is damaged.
    """
    imported = CatalogBuilder(paths=paths)
    number = 0
    # The tracks are a dictionary of dictionaries; those of playlists are in an array.
    for element in xml_records(url, ("plist", "dict", "dict", "dict"), "an iTunes library"):
        given = _dictionary(element)
        if "Track ID" not in given:
            continue
        number += 1
        row = LibraryRow(url, number, element.line)
        if kind := _not_a_file(given):
            imported.passed_over.add(f"{url}, row {number}: {given.get('Name', '')}", kind)
            continue
        if given.get("Rating Computed") == "true":  # the album's, not the track's
            given.pop("Rating", None)
        values = read_fields(imported, row, given, _FIELDS)
        values["tags"] = genre_tags(imported, row, [given.get("Genre", "")])
        key = given.get("Persistent ID") or given["Track ID"]
        imported.add(row, {"track_id": key, "uri": given.get("Location", ""), **values})
    imported.sources.append(Library(url=url, form="iTunes or Apple Music library", rows=number))
    return imported


def _dictionary(element: XmlElement) -> dict[str, str]:
    """The keys of a dictionary with the texts of their values; truth values are `true` and `false`."""
    found = {}
    for key, value in zip(element.children, element.children[1:], strict=False):
        if key.name == "key" and value.name != "key":
            found[key.text] = value.name if value.name in ("true", "false") else value.text
    return found


def _not_a_file(given: dict[str, str]) -> str | None:
    """What a track is if it is no audio file on a disk."""
    if any(given.get(name) == "true" for name in _VIDEO):
        return "video"
    if given.get("Track Type") == "URL":
        return "stream"
    if "Location" not in given and (given.get("Track Type") == "Remote" or given.get("Apple Music") == "true"):
        return "track in the cloud, without a file"
    return None
