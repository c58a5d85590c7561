"""A table whose tracks have audio files of every format that takes fields, and some that do not."""

import dataclasses
from pathlib import Path

import pytest

from tests.support.published import fake_bundle, publish_table
from tests.support.synth import av_file, music_file
from transforms.table.reader import open_snapshot

KINDS = ("mp3", "flac", "vorbis", "opus", "mp4")


@dataclasses.dataclass(frozen=True)
class Library:
    table: str
    root: Path

    def names(self):
        """track -> category -> display names of its positive tags, by a loop."""
        snapshot = open_snapshot(self.table)
        shown = {row["tag"]: row["name"] for row in snapshot.scan("taxonomy").to_pylist()}
        found = {track: {} for track in snapshot.scan("tracks")["track_id"].to_pylist()}
        for row in sorted(snapshot.scan("track_tags").to_pylist(), key=lambda row: (-row["score"], row["tag"])):
            if row["is_positive"]:
                found[row["track_id"]].setdefault(row["category"], []).append(shown[row["tag"]])
        return found

    def files(self):
        return {path.stem: path for path in sorted((self.root / "audio").iterdir())}


@pytest.fixture
def library(tmp_path):
    root = tmp_path / "music"
    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 8)
    (root / "audio").mkdir(parents=True)
    for number in range(8):
        kind = (*KINDS, "wav", "text", "missing")[number]
        data = b"text" * 99 if kind == "text" else av_file("mp4", 0.5) if kind == "mp4" else b""
        if kind in ("mp3", "flac", "vorbis", "opus", "wav"):
            data = music_file(kind, 0.5)
        if kind != "missing":
            (root / "audio" / f"track-{number:04d}.flac").write_bytes(data)
    return Library(str(tmp_path / "table"), root)
