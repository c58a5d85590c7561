"""Sounds without a pulse, and the pieces of known tempo of the real data."""

import csv
import pathlib
import subprocess
from collections.abc import Iterator

import numpy as np

from transforms.audio.samples import Float32

_RATE = 16_000
_PULSED = ("clock_tick", "helicopter")
"""Classes of ESC-10 that have a pulse: they are neither."""


def decoded(path: pathlib.Path) -> Float32:
    """Mono float32 at 16 kHz by ffmpeg: at most the middle 30 s."""
    command = ["ffmpeg", "-v", "quiet", "-i", str(path), "-ac", "1", "-ar", str(_RATE), "-f", "f32le", "-"]
    samples = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)
    extra = max(0, len(samples) - 30 * _RATE) // 2
    return samples[extra : len(samples) - extra].copy()


def manifest(dev: pathlib.Path) -> list[dict[str, str]]:
    """Rows of the real data's table."""
    with (dev / "manifest.csv").open() as file:
        return list(csv.DictReader(file))


def rendered(dev: pathlib.Path) -> Iterator[tuple[dict, Float32]]:  # type: ignore[type-arg]
    """Rendered pieces of the real data with their exact tempo."""
    for row in manifest(dev):
        tempi = [tag.removeprefix("bpm---") for tag in row["tags"].split("|") if tag.startswith("bpm---")]
        if tempi and row["path"].startswith("rendered/"):
            yield {"name": row["title"], "style": "freedoom", "bpm": float(tempi[0])}, decoded(dev / row["path"])


def without_pulse(dev: pathlib.Path | None) -> Iterator[Float32]:
    """Noise of three colours, drones, and where there is real data, its sounds and its speech in irregular rows."""
    rng = np.random.default_rng(7)
    for number in range(60):
        yield synthetic(rng, number, (5, 10, 30)[number % 3] * _RATE)
    if dev:
        rows = manifest(dev)
        for row in rows:
            if row["path"].startswith("esc10/") and not any(name in row["tags"] for name in _PULSED):
                yield decoded(dev / row["path"])
        yield from speech(dev, rows, rng)


def synthetic(rng: np.random.Generator, kind: int, count: int) -> Float32:
    """Noise (white, pink, brown), a drone, a drone with slow beating, or random clicks."""
    time = np.arange(count) / _RATE
    kind %= 6
    if kind < 3:
        spectrum = np.fft.rfft(rng.standard_normal(count))
        samples = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** (kind / 2), count)
    elif kind < 5:
        tones = rng.uniform(60, 900, 5)
        samples = sum(
            np.sin(2 * np.pi * (tone * time + (kind - 3) * 0.02 * np.sin(rng.uniform(2, 9) * time))) for tone in tones
        )
        samples = samples + 0.01 * rng.standard_normal(count)
    else:
        samples = np.zeros(count)
        for at in rng.integers(0, count - 400, max(3, count // 9_000)):
            samples[at : at + 400] += rng.standard_normal(400) * np.exp(-np.arange(400) / 80)
    return (samples / np.abs(samples).max() * rng.uniform(0.05, 0.9)).astype(np.float32)


def speech(dev: pathlib.Path, rows: list[dict[str, str]], rng: np.random.Generator) -> Iterator[Float32]:
    """Spoken digits of one speaker after the other, with random pauses."""
    words: dict[str, list[Float32]] = {}
    for row in rows:
        if row["path"].startswith("speech8k/"):
            words.setdefault(row["group_id"], []).append(decoded(dev / row["path"]))
    for _ in range(8):
        for spoken in words.values():
            chosen = [spoken[i] for i in rng.integers(0, len(spoken), 30)]
            pauses = [np.zeros(int(_RATE * abs(rng.normal(0.15, 0.15))), np.float32) for _ in chosen]
            row = np.concatenate([part for pair in zip(chosen, pauses, strict=True) for part in pair])
            yield (row + 1e-4 * rng.standard_normal(len(row))).astype(np.float32)
