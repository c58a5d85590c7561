"""Synthesises a catalog whose tags are known by construction.

catalog-tagger synthesize --output demo --tracks 120 --seed 0 --duration 8
"""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import yaml
from numpy.typing import NDArray

from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.synthesis.catalog import SyntheticTrack, make_tracks, taxonomy
from pipelines.synthesis.song import render
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import UsageError
from transforms.audio.containers.ogg_pages import with_serial
from transforms.telemetry.phases import passing

FORMATS = (
    ("mp3", "MP3", "MPEG_LAYER_III", 44_100, 2),
    ("flac", "FLAC", "PCM_16", 44_100, 2),
    ("ogg", "OGG", "VORBIS", 44_100, 2),
    ("wav", "WAV", "PCM_16", 22_050, 1),
    ("mp3", "MP3", "MPEG_LAYER_III", 22_050, 1),
    ("opus", "OGG", "OPUS", 48_000, 2),
    ("aiff", "AIFF", "PCM_16", 32_000, 2),
    ("flac", "FLAC", "PCM_24", 48_000, 1),
)
"""Extension, container, codec, rate in Hz and channels; tracks use the formats in turn."""

BROKEN = ("empty.flac", "truncated.ogg", "text.mp3", "header-only.wav", "missing.mp3", "garbage.flac")
"""Names of broken files. Each has a row in the catalog; `missing` has a row but no file."""


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Writes the catalog."""
    check_writes("--output", args.output)
    if args.tracks < 1:
        raise UsageError(f"--tracks {args.tracks}: at least 1")
    if args.seed < 0:
        raise UsageError(f"--seed {args.seed}: at least 0")
    rows = synthesize(Path(args.output), tracks=args.tracks, seed=args.seed, duration_s=args.duration)
    text = f"{rows} catalog rows, taxonomy and audio in {args.output}"
    return Answer(text=text, document={"output": args.output, "rows": rows})


def synthesize(output: Path, *, tracks: int = 120, seed: int = 0, duration_s: float = 8.0) -> int:
    """Writes `audio/`, `catalog.parquet` and `taxonomy.yaml` under `output`; returns the number of catalog rows."""
    audio = output / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    songs = make_tracks(tracks, seed)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(lambda item: _write_track(audio, item[1], item[0], duration_s), enumerate(songs))
        rows = list(passing(made, "synthesizing", unit="tracks", total=tracks))
    rows.append(_copy_first(audio, rows[0]))
    rows += _write_broken(audio, songs, max(1, tracks // 12))
    _write_catalog(output / "catalog.parquet", rows)
    (output / "taxonomy.yaml").write_text(yaml.safe_dump(taxonomy(), sort_keys=False), encoding="utf-8")
    return len(rows)


def _write_track(audio: Path, track: SyntheticTrack, number: int, duration_s: float) -> dict[str, Any]:
    """Writes a song's file; returns its catalog row."""
    name, data = _encode_track(track, number, duration_s)
    (audio / name).write_bytes(data)
    return _row(track, f"audio/{name}")


def _copy_first(audio: Path, first: dict[str, Any]) -> dict[str, Any]:
    """Writes a duplicate of the first song, with another name and id; returns its catalog row."""
    original = audio / Path(first["uri"]).name
    copy = original.with_stem("track-copy")
    copy.write_bytes(original.read_bytes())
    return {**first, "track_id": "track-copy", "uri": f"audio/{copy.name}", "title": f"{first['title']} (copy)"}


def _encode_track(track: SyntheticTrack, number: int, duration_s: float) -> tuple[str, bytes]:
    """File name and bytes of a song; its number selects the format."""
    extension, container, codec, rate, channels = FORMATS[number % len(FORMATS)]
    samples = render(track.song, duration_s, rate, channels)
    return f"{track.track_id}.{extension}", encode_audio(samples, rate, container, codec)


def encode_audio(samples: NDArray[np.float32], rate: int, container: str, codec: str) -> bytes:
    """Encodes samples [samples, channels] as the bytes of a file; equal samples give equal bytes."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate, samples.shape[1], codec, format=container) as file:
        # Write in blocks, because libsndfile's Vorbis encoder overflows its stack on one long write.
        for start in range(0, len(samples), 8192):
            file.write(samples[start : start + 8192])
    return with_serial(buffer.getvalue(), 1) if container == "OGG" else buffer.getvalue()


def _row(track: SyntheticTrack, uri: str) -> dict[str, Any]:
    return {
        "track_id": track.track_id,
        "uri": uri,
        "artist_id": track.artist.artist_id,
        "album_id": track.album_id,
        "title": track.title,
        "artist": track.artist.name,
        "year": track.year,
        "country": track.artist.country,
        "language": track.artist.language,
        "bpm": round(track.song.bpm),
        "tags": list(track.tags),
    }


def _write_broken(audio: Path, songs: list[SyntheticTrack], count: int) -> list[dict[str, Any]]:
    """Writes `count` broken files; returns their rows, which have labels like those of songs."""
    song = _encode_track(songs[0], 2, 1.0)[1]
    header = _encode_track(songs[0], 3, 1.0)[1][:44]
    content: dict[str, bytes | None] = {
        "empty.flac": b"",
        "truncated.ogg": song[: len(song) // 10],
        "text.mp3": b"This page has moved. Please sign in to download.\n" * 40,
        "header-only.wav": header,
        "missing.mp3": None,
        "garbage.flac": b"fLaC" + bytes(i * i % 251 for i in range(4000)),
    }
    rows = []
    for number in range(count):
        name = BROKEN[number % len(BROKEN)]
        stem, extension = name.split(".")
        unique = f"{stem}-{number // len(BROKEN)}.{extension}"
        data = content[name]
        if data is not None:
            (audio / unique).write_bytes(data)
        row = _row(songs[number % len(songs)], f"audio/{unique}")
        rows.append({**row, "track_id": f"broken-{unique.split('.')[0]}", "title": f"Broken: {stem}"})
    return rows


def _write_catalog(path: Path, rows: list[dict[str, Any]]) -> None:
    strings = ("track_id", "uri", "artist_id", "album_id", "title", "artist")
    schema = pa.schema(
        [
            *((name, pa.string()) for name in strings),
            ("year", pa.int32()),
            ("country", pa.string()),
            ("language", pa.string()),
            ("bpm", pa.int32()),
            ("tags", pa.list_(pa.string())),
        ]
    )
    # Mix broken rows with the others, as in a real catalog.
    mixed = sorted(rows, key=lambda row: (len(row["track_id"]) * 7 + sum(row["track_id"].encode())) % 97)
    pq.write_table(pa.Table.from_pylist(mixed, schema), path, compression="zstd")
