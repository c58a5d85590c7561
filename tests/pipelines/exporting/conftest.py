"""A table whose tracks have audio files of every format that takes fields, and some that do not."""

import dataclasses
import shutil
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


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A folder with the table and the audio files, which tests copy."""
    folder = tmp_path_factory.mktemp("library")
    publish_table(folder / "table", fake_bundle(folder / "bundle"), 8)
    (folder / "music" / "audio").mkdir(parents=True)
    for number in range(7):
        kind = (*KINDS, "wav", "text")[number]
        data = b"text" * 99 if kind == "text" else av_file("mp4", 0.5) if kind == "mp4" else music_file(kind, 0.5)
        (folder / "music" / "audio" / f"track-{number:04d}.flac").write_bytes(data)
    return folder


@pytest.fixture
def library(published, tmp_path):
    """Eight tracks; the file of the last one is missing."""
    shutil.copytree(published / "music", tmp_path / "music")
    return Library(str(published / "table"), tmp_path / "music")
