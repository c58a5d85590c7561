"""A catalog from a folder of audio files: their paths and their embedded tags."""

import dataclasses
import hashlib
import os
import re
import struct
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from transforms.catalog.problems import Problem
from transforms.formats.hashing import short_id
from transforms.schemas.catalog import ALBUM, CATALOG
from transforms.taxonomy.tag_ids import slug

AUDIO_SUFFIXES = tuple(
    f".{name}"
    for names in ("wav wave w64 rf64 aiff aif aifc au snd caf", "flac ape wv", "mp3 ogg oga opus m4a m4b mp4 aac wma")
    for name in names.split()
)
"""Endings of files that are taken for audio; whether they are is found out when they are read."""

_FOLDER_COLUMNS = ("track_id", "uri", "artist_id", "album_id", "title", "artist", "album", "year", "tags")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddedTags:
    """What a file says about itself; None where it says nothing."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    year: int | None = None
    genres: tuple[str, ...] = ()


def folder_schema() -> pa.Schema:
    """Columns of a catalog that was made from a folder: the catalog's own, and the album's name."""
    fields = {field.name: field for field in (*CATALOG, ALBUM)}
    return pa.schema([fields[name] for name in _FOLDER_COLUMNS])


def import_folder(root: Path, uri_root: Path | None = None) -> tuple[pa.Table, list[Problem]]:
    """The catalog of all audio files below a folder, by path; and the files whose metadata could not be read.

    Every file that looks like audio gets a row, readable or not. A track's id follows from its path below the folder,
    so it stays the same when the folder moves or grows.

    Args:
      root: the folder. Links to folders are not followed, hidden files are passed over.
      uri_root: folder that uris are relative to, `root` if not given; `/` makes them absolute.

    Raises:
      NotADirectoryError: root is no folder.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: no such folder")
    rows, problems = [], []
    for path in audio_files(root):
        relative = os.fspath(path.relative_to(root))
        uri = relative if uri_root is None else _uri(path, uri_root)
        if not _is_utf8(relative):
            problems.append(_path_problem(path, "the name is not UTF-8: rename the file; it is left out"))
            continue
        embedded, fault = read_embedded(path)
        if fault is not None:
            problems.append(_path_problem(path, f"metadata cannot be read ({fault}); the file is catalogued without"))
        rows.append(_row(relative, uri, embedded))
    return pa.Table.from_pylist(rows, schema=folder_schema()), problems


def audio_files(root: Path) -> Iterator[Path]:
    """Audio files below a folder by their endings, in order of their paths."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix.lower() in AUDIO_SUFFIXES and not name.startswith(".") and path.is_file():
                yield path


def _uri(path: Path, uri_root: Path) -> str:
    absolute = os.path.normpath(path.absolute())
    return absolute if uri_root == Path("/") else os.path.relpath(absolute, uri_root)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _path_problem(path: Path, message: str) -> Problem:
    shown = os.fspath(path).encode(errors="backslashreplace").decode()
    return Problem(file=shown, row=None, column=None, message=message)


def _row(relative: str, uri: str, embedded: EmbeddedTags) -> dict[str, object]:
    genres = sorted({tag for genre in embedded.genres if (tag := genre_tag(genre))})
    return {
        "track_id": folder_track_id(relative),
        "uri": uri,
        "artist_id": None,
        "album_id": _album_id(relative, embedded),
        "title": embedded.title,
        "artist": embedded.artist,
        "album": embedded.album,
        "year": embedded.year,
        "tags": [{"tag": tag, "weight": None} for tag in genres] or None,
    }


def folder_track_id(relative: str) -> str:
    """A readable id that follows from the path alone: its last name and a hash of all of it.

    >>> folder_track_id("Album/01 Song.mp3")
    '01_song-038f68820f'
    """
    stem = unicodedata.normalize("NFKD", Path(relative).stem).encode("ascii", "ignore").decode().lower()
    readable = re.sub(r"[^a-z0-9]+", "_", stem).strip("_")[:40].strip("_")
    key = hashlib.sha256(relative.encode()).hexdigest()[:10]
    return f"{readable}-{key}" if readable else key


def _album_id(relative: str, embedded: EmbeddedTags) -> str | None:
    """An album is its name within one folder: many albums have the same name."""
    if embedded.album is None:
        return None
    return short_id("album", relative.rpartition("/")[0], embedded.album)


def genre_tag(genre: str) -> str | None:
    """`genre/<slug>` of a genre's name, None where nothing is left of it.

    >>> genre_tag("Drum & Bass / Jungle")
    'genre/drum_and_bass_jungle'
    """
    name = slug(genre)
    return f"genre/{name}" if name else None


def read_embedded(path: Path) -> tuple[EmbeddedTags, str | None]:
    """What a file says about itself, and why that could not be read, if so."""
    import tinytag

    try:
        metadata = tinytag.TinyTag.get(path, image=False, duration=False)
    except (tinytag.TinyTagException, OSError, ValueError, LookupError, ArithmeticError, TypeError, struct.error) as e:
        return EmbeddedTags(), f"{type(e).__name__}: {e}"
    genres = [metadata.genre, *(metadata.other.get("genre") or ())]
    return EmbeddedTags(
        title=_clean(metadata.title),
        artist=_clean(metadata.artist),
        album=_clean(metadata.album),
        year=_year(metadata.year),
        genres=tuple(part for genre in genres if genre for part in re.split(r"[;|\0]", genre) if part.strip()),
    ), None


def _clean(text: str | None) -> str | None:
    """Text without padding and characters that no field should hold; None where nothing is left."""
    cleaned = "".join(c for c in text or "" if c.isprintable() or c == " ").strip()
    return cleaned or None


def _year(text: str | None) -> int | None:
    """The year of `2004`, `2004-05-01` or `01.05.2004`."""
    match = re.search(r"(?<!\d)([12]\d{3})(?!\d)", text or "")
    return int(match[1]) if match else None
