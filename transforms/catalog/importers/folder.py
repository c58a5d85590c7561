"""Makes a catalog from the paths and the embedded metadata of the audio files in a folder."""

import dataclasses
import hashlib
import os
import re
import unicodedata
from pathlib import Path

import pyarrow as pa

from transforms.catalog.importers.audio_search import PassedOver, audio_files
from transforms.catalog.importers.embedded import EmbeddedTags, UnreadableTags, read_embedded
from transforms.catalog.problems import Problem, ProblemTally
from transforms.formats.hashing import short_id
from transforms.schemas.catalog import ALBUM, CATALOG
from transforms.storage import SourceRoots
from transforms.taxonomy.tag_ids import slug

_FOLDER_COLUMNS = ("track_id", "uri", "artist_id", "album_id", "title", "artist", "album", "year", "tags")


def folder_schema() -> pa.Schema:
    """Columns of a catalog made from a folder: known columns, and the name of the album."""
    fields = {field.name: field for field in (*CATALOG, ALBUM)}
    return pa.schema([fields[name] for name in _FOLDER_COLUMNS])


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportedFolder:
    """The catalog of a folder, and what is not in it.

    Attributes:
      table: one row per audio file.
      passed_over: the files and folders that gave no row.
      without_metadata: files whose metadata cannot be read.
      values_left_out: values that cannot be used; their tracks are in the catalog.
    """

    table: pa.Table
    passed_over: PassedOver
    without_metadata: ProblemTally
    values_left_out: ProblemTally


def import_folder(root: Path, uri_root: Path | None = None) -> ImportedFolder:
    """Makes the catalog of all audio files below a folder, in order of their paths.

    Every file that is audio by its bytes gets a row, even if its metadata cannot be read. A track's id depends only on
    its path below the folder, so that it does not change when the folder moves or grows.

    Args:
      root: the folder.
      uri_root: folder that uris are relative to; `root` if not given. `/` makes them absolute.

    Raises:
      NotADirectoryError: root is not a folder.
      PermissionError: root cannot be listed.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: no such folder")
    check = SourceRoots(os.fspath(root), () if uri_root in (None, Path("/")) else (os.fspath(uri_root),)).check()
    passed_over, without, left_out = PassedOver(), ProblemTally(), ProblemTally()
    rows = []
    for path, stream in audio_files(root, check, passed_over):
        relative = os.fspath(path.relative_to(root))
        try:
            embedded = read_embedded(stream, path.name)
        except UnreadableTags as e:
            without.add(_path_problem(path, None, f"catalogued without metadata, which cannot be read ({e})"))
            embedded = EmbeddedTags()
        for column, message in embedded.faults:
            left_out.add(_path_problem(path, column, message))
        rows.append(_row(relative, relative if uri_root is None else _uri(path, uri_root), embedded))
    table = pa.Table.from_pylist(rows, schema=folder_schema())
    return ImportedFolder(table=table, passed_over=passed_over, without_metadata=without, values_left_out=left_out)


def _uri(path: Path, uri_root: Path) -> str:
    absolute = os.path.normpath(path.absolute())
    return absolute if uri_root == Path("/") else os.path.relpath(absolute, uri_root)


def _path_problem(path: Path, column: str | None, message: str) -> Problem:
    return Problem(file=os.fspath(path), row=None, column=column, message=message)


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
