"""Parameters of one recording in several formats: what coding changes, column by column.

python -m benchmarks.invariance --data ../shared/data/dev [--recordings 40]

Recordings of the folder's manifest.csv (music and rendered pieces of 10 s and more, no near-duplicates, evenly drawn)
are decoded by ffmpeg to stereo at 44.1 kHz, at most 60 s, and coded again. Each file is read by `extract`, as `tag`
does. Printed is a Markdown table of the largest and of the 95th percentile of the differences from FLAC; of columns
that are no numbers, the share that is equal. FLAC itself must give the bits of WAV.
"""

import argparse
import csv
import dataclasses
import subprocess
from pathlib import Path

import numpy as np

from transforms.audio.limits import Limits
from transforms.features.extract import extract
from transforms.features.parameters.record import Parameters
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.spec import FeatureSpec

LONGEST_S = 60
CODED = {
    "WAV": ("-c:a", "pcm_s16le", "-f", "wav"),
    "MP3, 128 kbit/s": ("-c:a", "libmp3lame", "-b:a", "128k", "-f", "mp3"),
    "Opus, 96 kbit/s": ("-c:a", "libopus", "-b:a", "96k", "-f", "ogg"),
    "AAC, 128 kbit/s": ("-c:a", "aac", "-b:a", "128k", "-f", "adts"),
    "Vorbis, quality 4": ("-c:a", "libvorbis", "-q:a", "4", "-f", "ogg"),
}
SURE = 0.5
"""Tempo, metre and key are also compared on those recordings whose confidence in FLAC is at least this."""
BY_CONFIDENCE = {
    "tempo_bpm": "tempo_confidence",
    "beats_per_bar": "metre_confidence",
    "key": "key_confidence",
}


def recordings(data: Path, most: int) -> list[Path]:
    """Files of at least 10 s with music, evenly drawn."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    paths = [
        data / row["path"]
        for row in rows
        if row["path"].split("/")[0] in ("music", "rendered")
        and float(row["duration_s"]) >= 10
        and not any(word in row["tags"] for word in ("near_duplicate", "sound---", "speech"))
    ]
    return paths[:: max(1, len(paths) // most)][:most]


def piped(*command: str, data: bytes = b"") -> bytes:
    """What ffmpeg writes."""
    full = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", *command, "-"]
    return subprocess.run(full, input=data, capture_output=True, check=True).stdout


def measured(path: Path) -> dict[str, Parameters]:
    """Parameters by format."""
    limit = ("-t", str(LONGEST_S), "-vn", "-map_metadata", "-1", "-ac", "2", "-ar", "44100")
    flac = piped("-i", str(path), *limit, "-c:a", "flac", "-sample_fmt", "s16", "-f", "flac")
    files = {"FLAC": flac, **{name: piped("-i", "-", *how, data=flac) for name, how in CODED.items()}}
    found = {}
    for name, data in files.items():
        told = extract(data, FeatureSpec(), Limits(), ParametersSpec()).parameters
        if told is None:
            raise RuntimeError(f"{path}: {name} has no parameters")
        found[name] = told
    return found


def differences(pairs: list[tuple[object, object]]) -> str:
    """A cell: 95th percentile and maximum of the differences, or the share that is equal; and values in one alone."""
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    one_sided = sum((a is None) != (b is None) for a, b in pairs)
    lost = f" ({one_sided} null in one)" if one_sided else ""
    if not both:
        return f"none{lost}"
    if isinstance(both[0][0], float):
        size = np.abs([float(b) - float(a) for a, b in both])  # type: ignore[arg-type]
        return f"{np.quantile(size, 0.95):.3g}, {size.max():.3g}{lost}"
    return f"{np.mean([a == b for a, b in both]):.3f} equal{lost}"


def table(found: list[dict[str, Parameters]]) -> list[str]:
    """Rows of the Markdown table, one a column; then those of sure recordings."""
    lines = [f"| column | {' | '.join(CODED)} |", "|---" * (len(CODED) + 1) + "|"]
    for name in (field.name for field in dataclasses.fields(Parameters)):
        lines.append(_line(f"`{name}`", name, found))
    for name, confidence in BY_CONFIDENCE.items():
        sure = [each for each in found if (getattr(each["FLAC"], confidence) or 0.0) >= SURE]
        lines.append(_line(f"`{name}`, {len(sure)} with confidence {SURE} and more", name, sure))
    return lines


def _line(title: str, name: str, found: list[dict[str, Parameters]]) -> str:
    cells = [differences([(getattr(e["FLAC"], name), getattr(e[kind], name)) for e in found]) for kind in CODED]
    return f"| {title} | {' | '.join(cells)} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="recordings and manifest.csv")
    parser.add_argument("--recordings", type=int, default=40, metavar="N", help="number of recordings (40)")
    args = parser.parse_args()
    found = [measured(path) for path in recordings(args.data, args.recordings)]
    print(f"{len(found)} recordings: 95th percentile and maximum of differences from FLAC\n")
    print(*table(found), sep="\n")


if __name__ == "__main__":
    main()
