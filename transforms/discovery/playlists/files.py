"""Playlists as files: M3U8, XSPF, CSV and JSON, and the tracks of an existing M3U or CSV.

Sources: the M3U format of Nullsoft with `#EXTINF` and `#PLAYLIST`; XSPF version 1 (xspf.org); RFC 4180 for CSV. An M3U8
of this program has the track's id before each path, as the comment `#CATALOG-TRACK:`, so that it can be extended
wherever the audio is.
"""

import csv
import io
import json
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.compute as pc

from transforms.catalog.delimited.small_table import read_small_table
from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.table.reader import TRACK_ID, SnapshotReader

TRACK_COMMENT = "#CATALOG-TRACK:"
_CONTROL = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

PlaylistRows = Sequence[Mapping[str, Any]]
"""Tracks with `track_id`, `location`, `title`, `artist`, `album`, `duration_s`, `why` and further values; null if it is
not known."""

PLAYLIST_COLUMNS = (
    "place",
    "track_id",
    "location",
    "title",
    "artist",
    "album",
    "duration_s",
    "tempo",
    "key",
    "energy",
    "why",
)
"""Columns of a CSV file."""


def m3u_text(title: str, rows: PlaylistRows) -> str:
    """The playlist as M3U8."""
    lines = ["#EXTM3U", f"#PLAYLIST:{_line(title)}"]
    for row in rows:
        length = -1 if row["duration_s"] is None else round(row["duration_s"])
        named = " - ".join(_line(row[name]) for name in ("artist", "title") if row[name]) or _line(row[TRACK_ID])
        lines += [f"#EXTINF:{length},{named}"]
        lines += [f"{TRACK_COMMENT}{quote(row[TRACK_ID])}", _path_line(row["location"])]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())


def _path_line(location: str) -> str:
    """A path as a line. What a line cannot have is written as a percent-encoded URI."""
    if _CONTROL.search(location) or location != location.strip():
        return _uri(location)
    return f"./{location}" if location.startswith("#") else location


def _uri(location: str) -> str:
    """A path or URL as a URI."""
    encoded = location.encode("utf-8", "surrogateescape")
    if _SCHEME.match(location):
        return quote(encoded, safe="/:?=&%+,;@")
    return f"file://{quote(encoded)}" if location.startswith("/") else quote(encoded)


def xspf_text(title: str, rows: PlaylistRows) -> str:
    """The playlist as XSPF."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<playlist version="1" xmlns="http://xspf.org/ns/0/">']
    lines += [f"  <title>{_xml(title)}</title>", "  <trackList>"]
    for row in rows:
        length = None if row["duration_s"] is None else str(round(row["duration_s"] * 1000))
        values = {
            "location": _uri(row["location"]),
            "identifier": f"urn:catalog-tagger:track:{quote(row[TRACK_ID], safe='')}",
            "title": row["title"],
            "creator": row["artist"],
            "annotation": row["why"] or None,
            "album": row["album"],
            "duration": length,
        }
        inner = "".join(f"<{name}>{_xml(value)}</{name}>" for name, value in values.items() if value is not None)
        lines.append(f"    <track>{inner}</track>")
    return "\n".join([*lines, "  </trackList>", "</playlist>"]) + "\n"


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))


def csv_text(title: str, rows: PlaylistRows) -> str:
    """The playlist as CSV; null is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out)  # RFC 4180: a field with any part of the line end is quoted
    writer.writerow(PLAYLIST_COLUMNS)
    for place, row in enumerate(rows, 1):
        writer.writerow(
            ["" if value is None else value for value in ({**row, "place": place}[c] for c in PLAYLIST_COLUMNS)]
        )
    return out.getvalue()


def json_text_of(title: str, rows: PlaylistRows) -> str:
    """The playlist as one JSON object."""
    tracks = [
        {**{name: row[name] for name in PLAYLIST_COLUMNS[1:]}, "place": place} for place, row in enumerate(rows, 1)
    ]
    return json.dumps({"title": title, "tracks": tracks}, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


WRITERS: Mapping[str, Callable[[str, PlaylistRows], str]] = {
    "m3u8": m3u_text,
    "m3u": m3u_text,
    "xspf": xspf_text,
    "csv": csv_text,
    "json": json_text_of,
}
"""Suffix of a file -> its writer. M3U is written in UTF-8, too."""


def listed_tracks(snapshot: SnapshotReader, name: str, data: bytes, roots: Sequence[str]) -> list[str]:
    """Ids of the tracks of an existing playlist, in its order.

    Args:
      name: path or URL of the file; `.csv` has a column `track_id` or `location`, everything else is M3U. Relative
        paths in it start from the catalog's root, or from its folder.
      data: its content, in UTF-8.
      roots: folders or prefixes that may precede the catalog's relative paths.

    Raises:
      DiscoveryError: an entry is no track of the snapshot, or the file is no playlist.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in (".xspf", ".json"):
        raise DiscoveryError(f"{name}: playlists are read as M3U or CSV, not as {suffix[1:].upper()}: convert it")
    entries = _csv_entries(name, data) if suffix in (".csv", ".tsv") else _m3u_entries(name, data)
    paths = {path for track, path in entries if track is None and path is not None}
    folder = name.rpartition("/")[0] if _SCHEME.match(name) else str(Path.cwd() / Path(name).parent)
    known = _tracks_of(snapshot, {one for path in paths for one in _spellings(path, folder, roots)}) if paths else {}
    found = []
    for track, path in entries:
        spelled = () if path is None else _spellings(path, folder, roots)
        own = track or next((known[one] for one in spelled if one in known), None)
        if own is None:
            raise DiscoveryError(
                f"{name}: {path} is no track of snapshot {snapshot.manifest.number}: remove the line, or give "
                "--catalog-root, the folder that the catalog's paths start from"
            )
        found.append(own)
    return found


def _csv_entries(name: str, data: bytes) -> list[tuple[str | None, str | None]]:
    try:
        table = read_small_table(name, data)
        columns = [column for column in (TRACK_ID, "location", "uri") if column in table.names]
        rows = [row for _, row in table.rows] if columns else []
    except ValueError as error:
        raise DiscoveryError(f"{name}: {error}") from error
    if not columns:
        raise DiscoveryError(f"{name}: no column track_id, location or uri: add one")
    if columns[0] == TRACK_ID:
        return [(row[TRACK_ID], None) for row in rows if row[TRACK_ID]]
    return [(None, row[columns[0]]) for row in rows if row[columns[0]]]


def _m3u_entries(name: str, data: bytes) -> list[tuple[str | None, str | None]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DiscoveryError(f"{name}: this is not UTF-8: save the playlist as UTF-8") from error
    found: list[tuple[str | None, str | None]] = []
    track: str | None = None
    for line in map(str.strip, re.split("[\r\n]", text)):
        if line.startswith(TRACK_COMMENT):
            track = unquote(line.removeprefix(TRACK_COMMENT))
        elif line and not line.startswith("#"):
            found.append((track, line))
            track = None
    return found


def _spellings(path: str, folder: str, roots: Sequence[str]) -> list[str]:
    """What the catalog may call a path of a playlist in a folder, the likeliest first."""
    own = [path]
    if path.startswith("file://"):
        own.append(unquote(path.removeprefix("file://").removeprefix("localhost")))
    elif not _SCHEME.match(path):
        own += [unquote(path), path.replace("\\", "/")]
    own += [_without_dots(one) for one in own]
    own += [_without_dots(f"{folder}/{one}") for one in own if not one.startswith("/") and not _SCHEME.match(one)]
    below = [one.removeprefix(root.rstrip("/") + "/") for one in own for root in roots]
    return list(dict.fromkeys([*own, *below, *map(unquote, below)]))


def _without_dots(path: str) -> str:
    """A path without `.`, and without `..` and what it leaves."""
    scheme = found[0] if (found := _SCHEME.match(path)) else ""
    return scheme + posixpath.normpath(path.removeprefix(scheme))


def _tracks_of(snapshot: SnapshotReader, uris: set[str]) -> dict[str, str]:
    """URI -> the track with this URI, of all that the ledger has; of several, the lowest id."""
    wanted, found = pa.array(sorted(uris), pa.string()), dict[str, str]()
    for batch in snapshot.batches("ledger", [TRACK_ID, "uri"]):
        own = batch.filter(pc.is_in(batch["uri"], value_set=wanted))
        for track, uri in zip(own[TRACK_ID].to_pylist(), own["uri"].to_pylist(), strict=True):
            found[uri] = min(track, found.get(uri, track))
    return found
