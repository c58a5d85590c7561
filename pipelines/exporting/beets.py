"""The tags as flexible attributes in a copy of a Beets library (beets.readthedocs.io, "Flexible attributes")."""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from pipelines.exporting.audio_copies import WRITTEN, FileTally
from pipelines.exporting.field_names import fields_of
from pipelines.exporting.tagged_tracks import TaggedTrack
from pipelines.terminal.errors import UsageError
from transforms.embedded_tags.splices import SEPARATOR
from transforms.storage import SourceRoots

NOT_IN_LIBRARY = "not in the library"
_PATH_INDEX = "catalog_tagger_paths"


def write_beets(
    path: Path, library: str, tracks: Iterable[TaggedTrack], roots: SourceRoots, names: Mapping[str, str]
) -> FileTally:
    """Copies a library and gives its items the tags: attributes such as `tags_mood`.

    A track is the item with the same path. Paths in a library are absolute, or relative to its music folder, which must
    then be the root of the catalog.

    Args:
      path: the copy.
      library: the SQLite file of Beets; it is not changed.
      tracks: the tracks.
      roots: where their files are.
      names: category -> field; in capitals, but attributes are in small letters.

    Raises:
      UsageError: this is no library of Beets.
    """
    tally = FileTally()
    _copy(library, path)
    with contextlib.closing(sqlite3.connect(path)) as copy, copy:
        copy.execute(f"CREATE INDEX {_PATH_INDEX} ON items (path)")
        for track in tracks:
            url = roots.url(track.uri)
            items = copy.execute(
                "SELECT id FROM items WHERE path IN (?, ?, ?)",
                [os.fsencode(place) for place in (url, os.path.realpath(url), track.uri)],
            ).fetchall()
            tally.add(WRITTEN if items else NOT_IN_LIBRARY, "" if items else url)
            for (item,) in items:
                _set(copy, item, fields_of(track, names))
        copy.execute(f"DROP INDEX {_PATH_INDEX}")
    return tally


def _set(copy: sqlite3.Connection, item: int, fields: Mapping[str, Iterable[str]]) -> None:
    for name, values in fields.items():
        key, value = name.lower(), SEPARATOR.join(values)
        copy.execute("DELETE FROM item_attributes WHERE entity_id = ? AND key = ?", (item, key))
        if value:
            copy.execute("INSERT INTO item_attributes (entity_id, key, value) VALUES (?, ?, ?)", (item, key, value))


def _copy(library: str, path: Path) -> None:
    """Copies the library as one consistent state, with what its journal has."""
    if not Path(library).is_file():
        raise UsageError(f"--beets {library}: no such file: `beet config` names the library")
    try:
        source = sqlite3.connect(f"file:{quote(str(Path(library).absolute()))}?mode=ro", uri=True)
        with contextlib.closing(source), contextlib.closing(sqlite3.connect(path)) as copy:
            source.backup(copy)
            if copy.execute("SELECT 1 FROM sqlite_master WHERE type = 'trigger' LIMIT 1").fetchone():
                raise UsageError(f"--beets {library}: it has triggers, which no library of Beets has and none is run")
            copy.execute("SELECT id, path FROM items LIMIT 1").fetchall()
            copy.execute("SELECT entity_id, key, value FROM item_attributes LIMIT 1").fetchall()
    except sqlite3.Error as error:
        raise UsageError(f"--beets {library}: this is no library of Beets ({error})") from error
