"""What parameters cost: extraction with and without them on the same files, and each of them against librosa.

python -m benchmarks.run --only parameters

All of it is processor time of one process with one thread for linear algebra and the allocator's settings of decoding
processes. Settings take turns, forwards and backwards; figures are medians of ratios within such pairs of rounds, so
that a machine that slows down changes little.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.extraction import LIMITS, SPEC, audio_file, in_turns, processor_time, ratios, rows_of
from benchmarks.report import Row
from transforms.features import sound
from transforms.features.extract import extract
from transforms.features.parameters.key import measure_key
from transforms.features.parameters.levels import channel_levels, clipped_ratio, measure_silence, stereo_image
from transforms.features.parameters.loudness import measure_loudness
from transforms.features.parameters.loudness_excerpt import estimate_loudness
from transforms.features.parameters.measured import Sound, measure_parameters
from transforms.features.parameters.record import Measurement
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.rhythm.measuring import measure_rhythm

DEFAULT = ParametersSpec()
FILES = (("mp3", "30 s", 30, 15), ("mp3", "4 min", 240, 9), ("flac", "30 s", 30, 15), ("flac", "4 min", 240, 9))
"""Format, length in words and in seconds, and pairs of rounds."""
PARTS_PAIRS = 12
MOST_COMPUTING, MOST_MORE = 25.0, 60.0
"""Targets: most that computing may add to extraction, and the excerpt's decoding with it, of a long track."""


def rows(work: Path, root: Path) -> list[Row]:
    """All figures, measured in a process of its own."""
    return rows_of("benchmarks.parameters", str(work), root=root)


def measure(work: Path) -> Iterator[Row]:
    """Every row, in the table's order."""
    folder = work / "extraction"
    folder.mkdir(parents=True, exist_ok=True)
    for kind, length, seconds, pairs in FILES:
        yield from extraction(audio_file(folder, kind, seconds).read_bytes(), f"{kind}, {length}", pairs)
    yield from parts(sound_of(audio_file(folder, "mp3", 30).read_bytes()))


def row(values: list[float], name: str, unit: str, **fields: object) -> Row:
    return Row.of(values, benchmark="parameters", name=name, unit=unit, **fields)


def sound_of(data: bytes) -> Sound:
    """What the parameters of a file are measured on."""
    found: list[Sound] = []

    def keep(heard: Sound, spec: ParametersSpec) -> Measurement:
        found.append(heard)
        return measure(heard, spec)

    measure, sound.measure_parameters = sound.measure_parameters, keep
    try:
        extract(data, SPEC, LIMITS, DEFAULT)
    finally:
        sound.measure_parameters = measure
    return found[0]


def in_pairs(actions: dict[str, Callable[[], object]], pairs: int) -> dict[str, list[float]]:
    """Milliseconds of each action, the mean of a round forwards and one backwards."""
    times = in_turns(actions, 2 * pairs, processor_time)
    pairs_of = {name: zip(values[::2], values[1::2], strict=True) for name, values in times.items()}
    return {name: [(a + b) / 2 for a, b in found] for name, found in pairs_of.items()}


def extraction(data: bytes, name: str, pairs: int) -> Iterator[Row]:
    """Extraction with parameters over extraction without, and the part of it that computing takes."""
    heard = sound_of(data)
    actions: dict[str, Callable[[], object]] = {
        "without": lambda: extract(data, SPEC, LIMITS),
        "with": lambda: extract(data, SPEC, LIMITS, DEFAULT),
        "computing": lambda: measure_parameters(heard, DEFAULT),
    }
    times = in_pairs(actions, pairs)
    more = [value - 100 for value in ratios(times["with"], times["without"], 100)]
    is_long = "4 min" in name
    share = ratios(times["computing"], times["without"], 100)
    yield row(share, f"{name}: computing parameters, of extraction", "%", target=MOST_COMPUTING)
    rounds_ = zip(times["with"], times["without"], times["computing"], strict=True)
    decoding = [whole - plain - own for whole, plain, own in rounds_]
    yield row(decoding, f"{name}: decoding and keeping the excerpt", "ms")
    yield row(more, f"{name}: parameters in all, of extraction", "%", target=MOST_MORE if is_long else None)


def parts(heard: Sound) -> Iterator[Row]:
    """Each parameter of an MP3 of 30 s, and what librosa takes for tempo and key of the same samples."""
    import librosa

    levels = channel_levels(heard.channels, heard.rate_hz)
    actions: dict[str, Callable[[], object]] = {
        "tempo, metre, onsets": lambda: measure_rhythm(heard.mono, heard.mono_hz),
        "tempo by librosa": lambda: librosa.feature.tempo(y=heard.mono, sr=heard.mono_hz),
        "key and tuning": lambda: measure_key(heard.patches, heard.mono_hz),
        "chroma alone by librosa (chroma_stft)": lambda: librosa.feature.chroma_stft(y=heard.mono, sr=heard.mono_hz),
        "levels of hops, for the three below": lambda: channel_levels(heard.channels, heard.rate_hz),
        "loudness, estimate": lambda: estimate_loudness(heard.channels, heard.rate_hz, levels),
        "clipping": lambda: clipped_ratio(heard.channels, levels),
        "stereo image": lambda: stereo_image(levels),
        "loudness, exact meter": lambda: measure_loudness(heard.channels, heard.rate_hz),
        "silence": lambda: measure_silence(heard.patches, heard.mono_hz),
    }
    for name, values in in_pairs(actions, PARTS_PAIRS).items():
        yield row(values, f"30 s: {name}", "ms")


def main(folder: str) -> None:
    """Prints the rows as JSON lines."""
    for found in measure(Path(folder)):
        print(json.dumps(dataclasses.asdict(found)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
