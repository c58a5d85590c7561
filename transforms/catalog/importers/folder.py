"""Makes a catalog from the paths and the embedded metadata of the audio files in a folder."""

import dataclasses
import hashlib
import os
import re
import unicodedata
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from transforms.catalog import values as track_values
from transforms.catalog.importers.audio_search import PassedOver, audio_files
from transforms.catalog.importers.builder import further_column
from transforms.catalog.limits import URI_CHARS
from transforms.catalog.metadata.embedded import EmbeddedTags, UnreadableTags, read_embedded
from transforms.catalog.metadata.path_pattern import PathPattern
from transforms.catalog.problems import Problem, ProblemTally
from transforms.formats.hashing import short_id
from transforms.schemas.catalog import ALBUM, CATALOG
from transforms.storage import SourceRoots
from transforms.taxonomy.tag_ids import slug

_FOLDER_COLUMNS = ("track_id", "uri", "artist_id", "album_id", "title", "artist", "album", "year", "tags")


def folder_schema() -> pa.Schema:
    """First columns of a catalog made from a folder: known columns, and the name of the album."""
    fields = {field.name: field for field in (*CATALOG, ALBUM)}
    return pa.schema([fields[name] for name in _FOLDER_COLUMNS])


@dataclasses.dataclass(kw_only=True)
class ImportedFolder:
    """The catalog of a folder, and what is not in it.

    Attributes:
      table: one row per audio file: the columns of `folder_schema`, then further ones that have values.
      passed_over: the files and folders that gave no row.
      without_tags: number of files that name neither title, artist, album nor genre.
      without_metadata: files whose metadata cannot be read.
      without_pattern: files whose paths do not have the form of the pattern.
      without_ids: number of files without an id of MusicBrainz.
      values_left_out: values that cannot be used; their tracks are in the catalog.
    """

    table: pa.Table
    passed_over: PassedOver = dataclasses.field(default_factory=PassedOver)
    without_tags: int = 0
    without_metadata: ProblemTally = dataclasses.field(default_factory=ProblemTally)
    without_pattern: ProblemTally = dataclasses.field(default_factory=ProblemTally)
    without_ids: int = 0
    values_left_out: ProblemTally = dataclasses.field(default_factory=ProblemTally)


def import_folder(
    root: Path, uri_root: Path | None = None, *, pattern: PathPattern | None = None, musicbrainz: bool = False
) -> ImportedFolder:
    """Makes the catalog of all audio files below a folder, in order of their paths.

    Every file that is audio by its bytes gets a row, even if its metadata cannot be read. A track's id depends only on
    its path below the folder, so that it does not change when the folder moves or grows.

    Args:
      root: the folder.
      uri_root: folder that uris are relative to; `root` if not given. `/` makes them absolute.
      pattern: what paths say. It fills in values that the files themselves do not state.
      musicbrainz: whether the ids that MusicBrainz Picard writes are columns, and the keys of artists and albums.

    Raises:
      NotADirectoryError: root is not a folder.
      PermissionError: root cannot be listed.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: no such folder")
    check = SourceRoots(os.fspath(root), () if uri_root in (None, Path("/")) else (os.fspath(uri_root),)).check()
    found = ImportedFolder(table=folder_schema().empty_table())
    rows = []
    for path, stream in audio_files(root, check, found.passed_over):
        relative = os.fspath(path.relative_to(root))
        uri = relative if uri_root is None else file_uri(path, uri_root)
        if len(uri) > URI_CHARS:
            found.passed_over.add(uri, f"path of more than {URI_CHARS} characters", lost=True)
            continue
        embedded = _embedded(path, stream, found)
        row = _row(relative, uri, embedded) | (_musicbrainz(embedded) if musicbrainz else {})
        found.without_ids += musicbrainz and not embedded.musicbrainz
        rows.append(row if pattern is None else _with_pattern(row, relative, pattern, found))
    found.table = _table(rows)
    return found


def _embedded(path: Path, stream: BinaryIO, found: ImportedFolder) -> EmbeddedTags:
    """The metadata of a file. What is missing or wrong in it is counted."""
    try:
        embedded = read_embedded(stream, path.name)
    except UnreadableTags as e:
        message = f"catalogued without metadata, which cannot be read ({e})"
        found.without_metadata.add(_path_problem(path, None, message))
        embedded = EmbeddedTags()
    for column, message in embedded.faults:
        found.values_left_out.add(_path_problem(path, column, message))
    found.without_tags += embedded.is_empty
    return embedded


def _with_pattern(row: dict[str, Any], relative: str, pattern: PathPattern, found: ImportedFolder) -> dict[str, Any]:
    """The row, with values of its path where it has none of its own."""
    values: dict[str, Any] | None = pattern.read(relative)
    if values is None:
        found.without_pattern.add(Problem(file=relative, row=None, column=None, message=f"not of form {pattern.text}"))
        return row
    if genre := genre_tag(values.pop("genre", "")):
        values["tags"] = [{"tag": genre, "weight": None}]
    try:
        track_values.year(values.get("year"))
    except ValueError as e:
        found.values_left_out.add(Problem(file=relative, row=None, column="year", message=str(e)))
        del values["year"]
    merged = row | {name: value for name, value in values.items() if row.get(name) is None}
    return merged | {"album_id": merged["album_id"] or _album_id(relative, merged["album"])}


def _musicbrainz(embedded: EmbeddedTags) -> dict[str, Any]:
    """The ids that MusicBrainz Picard writes, and the keys that follow from them."""
    ids = embedded.musicbrainz
    artist = ids.get("musicbrainz_artist_id") or ids.get("musicbrainz_album_artist_id")
    keys = {"artist_id": artist, "album_id": ids.get("musicbrainz_release_id")}
    return {**ids, **{name: value for name, value in keys.items() if value}}


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    known = pa.Table.from_pylist(rows, schema=folder_schema())
    for name in sorted(
        {name for row in rows for name, value in row.items() if value is not None} - set(known.schema.names)
    ):
        known = known.append_column(name, further_column([row.get(name) for row in rows]))
    return known


def file_uri(path: Path, uri_root: Path) -> str:
    """How a catalog names a file: relative to a folder above it, or absolute if that is `/`."""
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
        "album_id": _album_id(relative, embedded.album),
        "title": embedded.title,
        "artist": embedded.artist,
        "album": embedded.album,
        "year": embedded.year,
        "tags": [{"tag": tag, "weight": None} for tag in genres] or None,
        **embedded.further,
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


def _album_id(relative: str, album: str | None) -> str | None:
    """Id of an album by its folder and name, because different albums may have the same name."""
    return None if album is None else short_id("album", relative.rpartition("/")[0], album)


def genre_tag(genre: str) -> str | None:
    """`genre/<slug>` of a genre's name; None if the slug is empty.

    >>> genre_tag("Drum & Bass / Jungle")
    'genre/drum_and_bass_jungle'
    """
    genre_slug = slug(genre)
    return f"genre/{genre_slug}" if genre_slug else None
