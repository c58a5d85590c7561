"""The page and its data as a static folder, for any web server: a copy of a part of one snapshot.

The data files have the answers of the service. `index.html` is written last, so that a folder with a page is complete.
"""

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.serving.explorer.condition import changes_of, quality_of
from pipelines.serving.explorer.details import artist_details, details_of
from pipelines.serving.explorer.facets import bins_by_column, is_whole
from pipelines.serving.explorer.files import POLICY, page_files
from pipelines.serving.explorer.projection import map_document
from pipelines.serving.explorer.similar import MOST_SEARCHED, similar_among
from pipelines.serving.explorer.start import start_of_page
from pipelines.serving.problems import Declined
from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from pipelines.serving.vocabulary import taxonomy_rows_of
from pipelines.terminal.errors import UsageError
from transforms import storage
from transforms.discovery.search.scores import DOUBT, ScoreReader
from transforms.discovery.search.vocabulary import Term

DATA = "data"
_AT_ONCE = 500
_MOST_S = 3600.0
_EMPTY_META = '<meta name="explorer-data" content="">'
_POLICY_META = '<meta http-equiv="Content-Security-Policy" content="{}">'


class Exported(NamedTuple):
    """What an export has.

    Attributes:
      left_out: tracks and artists of the snapshot that it does not have.
    """

    tracks: int
    artists: int
    left_out: int


def export_page(opened: OpenSnapshot, folder: str, most_tracks: int) -> Exported:
    """Writes the page and the data of up to `most_tracks` tracks, a uniform sample, into a new or empty folder.

    Raises:
      UsageError: the folder has files.
      StorageError: the table cannot be read, or the folder cannot be written.
    """
    if next(iter(storage.list_files(folder)), None) is not None:
        raise UsageError(f"--export {folder}: the folder has files: give an empty or new one")
    ids = _sample(opened, most_tracks)
    tracks, artists = _write_tracks(opened, folder, ids)
    for i, artist in enumerate(artists):
        _write(folder, f"artists/{i}.json", _own_tracks(artist_details(opened, artist), set(ids)))
    total = opened.reader.manifest.rows("tracks")
    left_out = total - len(ids)
    categories = list(dict.fromkeys(row["category"] for row in taxonomy_rows_of(opened).values()))
    for i, category in enumerate(categories):
        _write(folder, f"maps/{i}.json", _or_problem(functools.partial(_map, opened, category, set(ids))))
    _write(folder, "quality.json", quality_of(opened))
    _write(folder, "changes.json", _or_problem(lambda: changes_of(opened, _MOST_S)))
    _write(folder, "catalog.json", tracks | {"artists": artists})
    bins = {
        name: own._asdict() | {"is_integer": is_whole(opened.columns[name])}
        for name, own in bins_by_column(opened).items()
    }
    start = start_of_page(opened, audio=False, sign_in=False)
    _write(
        folder,
        "start.json",
        start | {"tracks": len(ids), "left_out": left_out, "categories": categories, "bins": bins, "doubt": DOUBT},
    )
    _write_page(folder)
    return Exported(len(ids), len(artists), left_out)


def _sample(opened: OpenSnapshot, most: int) -> list[str]:
    """Ids of tracks, sorted. A hash assigns tracks to buckets, so the first buckets are a uniform sample."""
    found: list[str] = []
    for bucket in range(opened.reader.buckets):
        if len(found) < most:
            rows = opened.reader.scan("tracks", ["track_id"], bucket=bucket)
            found += sorted(rows["track_id"].to_pylist())[: most - len(found)]
    return sorted(found)


def _write_tracks(opened: OpenSnapshot, folder: str, ids: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Writes a file for each track; returns what a search needs of all, and their artists."""
    tags = list(taxonomy_rows_of(opened))
    reader = ScoreReader(opened.reader, [Term(tag, (tag,)) for tag in tags])
    similar = _similar(opened, ids)
    rows: list[dict[str, Any]] = []
    scores: list[list[int]] = []
    for begin in range(0, len(ids), _AT_ONCE):
        own = ids[begin : begin + _AT_ONCE]
        found = details_of(opened, own)
        for i, one in enumerate(found[track_id] for track_id in own):
            near = {} if similar is None else {"neighbours": None, "similar": similar[one["track_id"]]}
            _write(folder, f"tracks/{begin + i}.json", one | near)
            rows.append(one["track"])
        scores += np.rint(reader.read(own, None).scores * 10_000).astype(int).tolist()
    artists = sorted({row["artist_id"] for row in rows if row["artist_id"] is not None})
    return {"tracks": rows, "tags": tags, "scores": scores}, artists


def _similar(opened: OpenSnapshot, ids: Sequence[str]) -> dict[str, list[JsonRow]] | None:
    """Similar tracks of each track; None if its neighbours serve, which are all there, or if there are too many."""
    if not ids:
        return {}
    is_whole = len(ids) == opened.reader.manifest.rows("tracks")
    if (is_whole and opened.reader.manifest.files("neighbours")) or len(ids) > MOST_SEARCHED:
        return None
    return similar_among(opened, ids)


def _own_tracks(artist: dict[str, Any], ids: set[str]) -> dict[str, Any]:
    """An artist without the tracks that the export does not have."""
    own = [row for row in artist["of_tracks"] if row["track_id"] in ids]
    return artist | {"of_tracks": own}


def _map(opened: OpenSnapshot, category: str, ids: set[str]) -> dict[str, Any]:
    found = map_document(opened, category)
    chosen = [i for i, track_id in enumerate(found["track_id"]) if track_id in ids]
    columns = {name: [found[name][i] for i in chosen] for name in ("track_id", "x", "y", "tag")}
    return found | columns | {"tracks": len(chosen)}


def _or_problem(make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` returns, or the reason why there is nothing, which the page shows."""
    try:
        return make()
    except Declined as problem:
        return {"problem": problem.detail}


def _write(folder: str, name: str, document: Any) -> None:
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    storage.write_bytes(storage.join(folder, f"{DATA}/{name}"), text.encode(errors="replace"))


def _pages() -> Iterator[tuple[str, bytes]]:
    """Path in the folder and content of each file of the page, `index.html` last."""
    for name, file in page_files().items():
        if name != "index.html":
            yield f"explorer/{name}", file.data
    text = page_files()["index.html"].data.decode()
    policy = _POLICY_META.format(POLICY.partition("; frame-ancestors")[0])
    assert _EMPTY_META in text
    yield "index.html", text.replace(_EMPTY_META, f'{policy}\n  <meta name="explorer-data" content="{DATA}">').encode()


def _write_page(folder: str) -> None:
    for name, data in _pages():
        storage.write_bytes(storage.join(folder, name), data)
