"""Catalogs of synthesised audio for the benchmarks, made once and kept in `.bench/`."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from transforms.features.spec import FeatureSpec

SONG_S = 30.0
DIFFERENT_SONGS = 24
NOISE_HZ = 16_000
EMBEDDING_DIM = 256
"""Values of a track embedding of the benchmarks' bundle."""


def songs_catalog(folder: Path, tracks: int) -> Path:
    """A catalog of stereo MP3s of 30 s at 44.1 kHz, each with a tag of its own so that no two files are equal.

    There are 24 different songs; the rest are the same songs under other ids, decoded like any other.
    """
    return _made(folder, {"songs": tracks, "seconds": SONG_S}, lambda: _write(folder, _songs(tracks), "mp3"))


def noises_catalog(folder: Path, tracks: int) -> Path:
    """A catalog of WAVs of half a second, 16 kHz mono, every one of them different."""
    return _made(folder, {"noises": tracks}, lambda: _write(folder, _noises(tracks), "wav"))


def first_rows(catalog: Path, tracks: int) -> Path:
    """A catalog of the first tracks of another one, beside it."""
    smaller = catalog.with_name(f"first-{tracks}.parquet")
    pq.write_table(pq.read_table(catalog).slice(0, tracks), smaller)
    return smaller


def write_bundle(folder: Path) -> Path:
    """A bundle with a small numpy trunk: what is measured then is the pipeline, not a network."""
    import yaml

    from models.bundles.fake import write_fake_bundle
    from pipelines.synthesis.catalog import taxonomy
    from transforms.taxonomy.hierarchy import load_taxonomy

    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    source = folder.with_suffix(".yaml")
    source.write_text(yaml.safe_dump(taxonomy(), sort_keys=False), encoding="utf-8")
    write_fake_bundle(str(folder), load_taxonomy(str(source)), FeatureSpec(), patch_dim=EMBEDDING_DIM // 2)
    return folder


def _made(folder: Path, recipe: dict[str, float], make: Callable[[], None]) -> Path:
    """The catalog in `folder`, made anew unless the same recipe made it before."""
    done, catalog = folder / "recipe.json", folder / "catalog.parquet"
    if not done.exists() or json.loads(done.read_text()) != recipe:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "audio").mkdir(parents=True)
        make()
        done.write_text(json.dumps(recipe))
    return catalog


def _write(folder: Path, files: Iterator[bytes], extension: str) -> None:
    names = []
    for number, data in enumerate(files):
        names.append(f"track-{number:06d}")
        (folder / "audio" / f"{names[-1]}.{extension}").write_bytes(data)
    table = pa.table(
        {
            "track_id": names,
            "uri": [f"audio/{name}.{extension}" for name in names],
            "artist_id": [f"artist-{number // 10:05d}" for number in range(len(names))],
            "title": [f"Title of {name}" for name in names],
        }
    )
    pq.write_table(table, folder / "catalog.parquet", row_group_size=4096)


def _songs(tracks: int) -> Iterator[bytes]:
    from pipelines.jobs.synthesize import encode_audio
    from pipelines.synthesis.catalog import make_tracks
    from pipelines.synthesis.song import render

    plain = [
        encode_audio(render(track.song, SONG_S, 44_100), 44_100, "MP3", "MPEG_LAYER_III")
        for track in make_tracks(min(tracks, DIFFERENT_SONGS), seed=0)
    ]
    for number in range(tracks):
        yield _id3(f"Track {number}") + plain[number % len(plain)]


def _id3(title: str) -> bytes:
    """An ID3v2.3 tag with a title."""
    text = b"\0" + title.encode("latin-1")
    frame = b"TIT2" + len(text).to_bytes(4, "big") + b"\0\0" + text
    size = len(frame)
    return b"ID3\3\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + frame


def _noises(tracks: int) -> Iterator[bytes]:
    count = NOISE_HZ // 2
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(count, np.int16), NOISE_HZ, subtype="PCM_16", format="WAV")
    header = buffer.getvalue()[: -2 * count]
    for number in range(tracks):
        yield header + np.random.default_rng(number).integers(-3000, 3000, count, "<i2").tobytes()
