"""The library as XML for Rekordbox (rekordbox.com, "XML format list"): tracks, and a playlist for each tag.

Genres become the genre of a track, all other positive tags its comment.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from pipelines.exporting.audio_copies import UNSUPPORTED, WRITTEN, FileTally
from pipelines.exporting.tagged_tracks import TaggedTrack
from transforms.storage import SourceRoots
from transforms.storage.scratch import Scratch

TRACK_FACTS = ("title", "artist", "album", "year", "duration_s", "sample_rate", "bpm", "tempo_bpm")
"""Columns of `tracks` that the XML has, if the table has them."""

_GENRE = "genre"
_KINDS = {"mp3": "MP3 File", "m4a": "M4A File", "mp4": "M4A File", "flac": "FLAC File", "wav": "WAV File"}
_KINDS |= {"aif": "AIFF File", "aiff": "AIFF File"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_rekordbox(path: Path, tracks: Iterable[TaggedTrack], roots: SourceRoots, scratch: Scratch) -> FileTally:
    """Writes the XML. Memory does not grow with the number of tracks.

    Args:
      path: the file.
      tracks: the tracks; only those with a local file are written.
      roots: where their files are.
      scratch: for the playlists, until they are written.
    """
    tally = FileTally()
    collection = path.with_suffix(".tracks")
    with collection.open("w", encoding="utf-8") as out:
        for track in tracks:
            url = roots.url(track.uri)
            if "://" in url:
                tally.add(UNSUPPORTED, f"{url}: Rekordbox reads local files only")
                continue
            tally.add(WRITTEN, "")
            key = tally.counts[WRITTEN]
            out.write(f"    <TRACK {_attributes(_track(track, key, os.path.realpath(url)))}/>\n")
            for tag in track.tags:
                scratch.append(f"playlists/{tag.tag.encode().hex()}", str(key).encode())
    with path.open("w", encoding="utf-8") as out, collection.open(encoding="utf-8") as found:
        product = _attributes({"Name": "catalog-tagger", "Version": version("catalog-tagger"), "Company": ""})
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n<DJ_PLAYLISTS Version="1.0.0">\n')
        out.write(f'  <PRODUCT {product}/>\n  <COLLECTION Entries="{tally.counts[WRITTEN]}">\n')
        shutil.copyfileobj(found, out)
        out.write("  </COLLECTION>\n  <PLAYLISTS>\n")
        out.writelines(_playlists(scratch))
        out.write("  </PLAYLISTS>\n</DJ_PLAYLISTS>\n")
    collection.unlink()
    return tally


def _track(track: TaggedTrack, key: int, path: str) -> dict[str, object]:
    facts = track.facts
    tempo = facts.get("tempo_bpm") or facts.get("bpm")
    duration, names = facts.get("duration_s"), track.names()
    return {
        "TrackID": key,
        "Name": facts.get("title") or Path(path).stem,
        "Artist": facts.get("artist"),
        "Album": facts.get("album"),
        "Genre": ", ".join(names.get(_GENRE, [])),
        "Kind": _KINDS.get(Path(path).suffix.lower().lstrip(".")),
        "TotalTime": None if duration is None else round(duration),
        "Year": facts.get("year"),
        "AverageBpm": f"{tempo:.2f}" if isinstance(tempo, int | float) else None,
        "SampleRate": facts.get("sample_rate"),
        "Comments": ", ".join(name for category, found in names.items() if category != _GENRE for name in found),
        "Location": f"file://localhost/{quote(path.lstrip('/'))}",
    }


def _attributes(values: dict[str, object]) -> str:
    known = {name: str(value) for name, value in values.items() if value is not None}
    return " ".join(f"{name}={quoteattr(_NOT_XML.sub(chr(0xFFFD), value))}" for name, value in known.items())


def _playlists(scratch: Scratch) -> Iterator[str]:
    names = scratch.names("playlists")
    yield '    <NODE Type="0" Name="ROOT" Count="1">\n'
    yield f'      <NODE Type="0" Name="catalog-tagger" Count="{len(names)}">\n'
    for name in names:
        tag = bytes.fromhex(name.rpartition("/")[2]).decode()
        count = sum(1 for _ in scratch.records(name))
        yield f"        <NODE {_attributes({'Name': tag, 'Type': 1, 'KeyType': 0, 'Entries': count})}>\n"
        for key in scratch.records(name):
            yield f'          <TRACK Key="{key.decode()}"/>\n'
        yield "        </NODE>\n"
    yield "      </NODE>\n    </NODE>\n"
