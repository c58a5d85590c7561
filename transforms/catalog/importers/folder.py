"""Makes a catalog from the paths and the embedded metadata of the audio files in a folder."""

import dataclasses
import hashlib
import os
import re
import struct
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from transforms.audio.containers.sniff import KINDS
from transforms.catalog.problems import Problem
from transforms.formats.hashing import short_id
from transforms.schemas.catalog import ALBUM, CATALOG
from transforms.storage import SourceRoots
from transforms.taxonomy.tag_ids import slug

AUDIO_SUFFIXES = frozenset(f".{suffix}" for kind in KINDS for suffix in kind.suffixes)
"""Suffixes of files that count as audio. Their content is checked when they are decoded."""

_FOLDER_COLUMNS = ("track_id", "uri", "artist_id", "album_id", "title", "artist", "album", "year", "tags")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddedTags:
    """The embedded metadata of a file. None if the file does not state a value."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    year: int | None = None
    genres: tuple[str, ...] = ()


def folder_schema() -> pa.Schema:
    """Columns of a catalog made from a folder: known columns, and the name of the album."""
    fields = {field.name: field for field in (*CATALOG, ALBUM)}
    return pa.schema([fields[name] for name in _FOLDER_COLUMNS])


def import_folder(root: Path, uri_root: Path | None = None) -> tuple[pa.Table, list[Problem]]:
    """Makes the catalog of all audio files below a folder, in order of their paths, and lists problems.

    Every file with a suffix of audio gets a row, even if its metadata cannot be read. A track's id depends only on its
    path below the folder, so that it does not change when the folder moves or grows.

    Args:
      root: the folder. Links to folders are not followed. Hidden files are skipped. A link to a file is left out if
        the file is outside of the folder that `tag` will read.
      uri_root: folder that uris are relative to; `root` if not given. `/` makes them absolute.

    Raises:
      NotADirectoryError: root is not a folder.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: no such folder")
    check = SourceRoots(os.fspath(root), () if uri_root in (None, Path("/")) else (os.fspath(uri_root),)).check()
    rows, problems = [], []
    for path in audio_files(root):
        if (refused := check.refusal(os.fspath(path))) is not None:
            problems.append(_path_problem(path, f"left out because it leads to {refused.place}: copy the file here"))
            continue
        relative = os.fspath(path.relative_to(root))
        uri = relative if uri_root is None else _uri(path, uri_root)
        if not _is_utf8(relative):
            problems.append(_path_problem(path, "left out because the name is not UTF-8: rename the file"))
            continue
        embedded, fault = read_embedded(path)
        if fault is not None:
            problems.append(_path_problem(path, f"catalogued without metadata, which cannot be read ({fault})"))
        rows.append(_row(relative, uri, embedded))
    return pa.Table.from_pylist(rows, schema=folder_schema()), problems


def audio_files(root: Path) -> Iterator[Path]:
    """Yields the audio files below a folder by their suffixes, in order of their paths."""
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
    """A readable id that depends only on the path: the file's name and a hash of the path.

    >>> folder_track_id("Album/01 Song.mp3")
    '01_song-038f68820f'
    """
    stem = unicodedata.normalize("NFKD", Path(relative).stem).encode("ascii", "ignore").decode().lower()
    readable = re.sub(r"[^a-z0-9]+", "_", stem).strip("_")[:40].strip("_")
    key = hashlib.sha256(relative.encode()).hexdigest()[:10]
    return f"{readable}-{key}" if readable else key


def _album_id(relative: str, embedded: EmbeddedTags) -> str | None:
    """Id of an album by its folder and name, because different albums may have the same name."""
    if embedded.album is None:
        return None
    return short_id("album", relative.rpartition("/")[0], embedded.album)


def genre_tag(genre: str) -> str | None:
    """`genre/<slug>` of a genre's name; None if the slug is empty.

    >>> genre_tag("Drum & Bass / Jungle")
    'genre/drum_and_bass_jungle'
    """
    genre_slug = slug(genre)
    return f"genre/{genre_slug}" if genre_slug else None


def read_embedded(path: Path) -> tuple[EmbeddedTags, str | None]:
    """The embedded metadata of a file, and the reason if it could not be read, else None."""
    import tinytag

    try:
        embedded = tinytag.TinyTag.get(path, image=False, duration=False)
    except (tinytag.TinyTagException, OSError, ValueError, LookupError, ArithmeticError, TypeError, struct.error) as e:
        return EmbeddedTags(), f"{type(e).__name__}: {e}"
    genres = [embedded.genre, *(embedded.other.get("genre") or ())]
    return EmbeddedTags(
        title=_clean(embedded.title),
        artist=_clean(embedded.artist),
        album=_clean(embedded.album),
        year=_year(embedded.year),
        genres=tuple(part for genre in genres if genre for part in re.split(r"[;|\0]", genre) if part.strip()),
    ), None


def _clean(text: str | None) -> str | None:
    """Text without padding and unprintable characters; None if nothing remains."""
    cleaned = "".join(c for c in text or "" if c.isprintable() or c == " ").strip()
    return cleaned or None


def _year(text: str | None) -> int | None:
    """The year in `2004`, `2004-05-01` or `01.05.2004`, or None."""
    match = re.search(r"(?<!\d)([12]\d{3})(?!\d)", text or "")
    return int(match[1]) if match else None
