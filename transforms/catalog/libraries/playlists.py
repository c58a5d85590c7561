"""Playlists in M3U and M3U8: one file a line, with the extensions that players write.

Source: the M3U format of Nullsoft, and the extensions `#EXTINF`, `#EXTART`, `#EXTALB`, `#EXTGENRE`, `#PLAYLIST`.
"""

import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from transforms import storage
from transforms.catalog.delimited.encoding import FORM_BYTES, is_utf8, open_text, sniff_encoding, text_lines
from transforms.catalog.importers.builder import CatalogBuilder, Library
from transforms.catalog.importers.places import PathMap
from transforms.catalog.libraries.tracks import LibraryFields, LibraryRow, clean_text, genre_tags, path_id, read_fields
from transforms.catalog.limits import TEXT_CHARS
from transforms.catalog.metadata import further_values

_STREAM = re.compile(r"(?!file:|gs:)[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_EXTENSION = re.compile(r"#(EXT[A-Z0-9]+|PLAYLIST):\s*(.*)")
_HLS = "#EXT-X-"
_FIELDS: LibraryFields = {
    "title": ("title", clean_text),
    "EXTART": ("artist", clean_text),
    "artist": ("artist", clean_text),
    "EXTALB": ("album", clean_text),
    "length": ("stated_duration_s", further_values.seconds),
}


def import_playlists(urls: Sequence[str], paths: PathMap, encoding: str | None = None) -> CatalogBuilder:
    """Makes the catalog of all files of some playlists. A file in several of them is one track.

    Relative paths start from the folder of their playlist. A track's id follows from its path as it is here.

    Args:
      urls: URLs of the playlists.
      paths: where the folders of other machines are here.
      encoding: encoding of playlists that are not in UTF-8.

    Raises:
      ValueError: a file is no playlist of files.
    """
    imported = CatalogBuilder(paths=paths)
    for url in urls:
        _add_playlist(imported, url, encoding)
    return imported


def _add_playlist(imported: CatalogBuilder, url: str, encoding: str | None) -> None:
    given: dict[str, str] = {}
    name, number, base = Path(url).stem, 0, _folder(url)
    for place, line in enumerate(_lines(url, encoding), 1):
        if extension := _EXTENSION.match(line):
            key, value = extension[1], extension[2]
            name = value if key == "PLAYLIST" and value and is_utf8(value) else name
            given |= _entry(value) if key == "EXTINF" else {key: value}
        elif line and not line.startswith("#"):
            number += 1
            _add(imported, LibraryRow(url, number, place), line, given, (name, base))
            given = {}
    imported.sources.append(Library(url=url, form="M3U playlist", rows=number))


def _add(
    imported: CatalogBuilder, row: LibraryRow, path: str, given: dict[str, str], playlist: tuple[str, str]
) -> None:
    name, base = playlist
    if _STREAM.match(path):
        imported.passed_over.add(f"{row.url}, line {row.line}: {storage.redact(path)}", "stream")
        return
    if not is_utf8(path):
        imported.lose(row, "not UTF-8: save the playlist as UTF-8, or give its encoding, for example windows-1252")
        return
    try:
        key = path_id(imported.paths.place(path, base))
    except ValueError:
        key = path_id(path)  # the builder reports the path
    known = imported.rows.get(key)
    values = read_fields(imported, row, given, _FIELDS)
    values["tags"] = genre_tags(imported, row, [given.get("EXTGENRE", "")])
    imported.add(row, {"track_id": key, "uri": path, "playlists": [name], **values}, base)
    if known is not None and name not in known["playlists"]:
        known["playlists"].append(name)


def _entry(value: str) -> dict[str, str]:
    """Length, artist and title of `123,Artist - Title`. Attributes in the style of `tvg-id="..."` are passed over."""
    match = re.match(r"\s*(-?\d+(?:\.\d+)?)?[^,\"]*(?:\"[^\"]*\"[^,\"]*)*,(.*)", value)
    if match is None:
        return {}
    artist, dash, title = match[2].partition(" - ")
    known = {"artist": artist, "title": title} if dash else {"title": match[2]}
    return {**known, "length": match[1]} if match[1] and not match[1].startswith("-") else known


def _folder(url: str) -> str:
    return posixpath.dirname(url) if "://" in url else os.fspath(Path(url).absolute().parent)


def _lines(url: str, encoding: str | None) -> Iterator[str]:
    with storage.open_input(url) as stream:
        try:
            head = stream.read(FORM_BYTES)
            if _HLS.encode() in head:
                raise ValueError("this is an HLS playlist of a stream, not of files")
            if b"\0" in head and (encoding or sniff_encoding(head)) == "utf-8":
                raise ValueError("this is not a playlist: it is not text")
            stream.seek(0)
            for line in text_lines(open_text(stream, encoding)):
                yield line.strip()[:TEXT_CHARS]
        except ValueError as e:
            raise ValueError(f"{url}: {e}") from e
