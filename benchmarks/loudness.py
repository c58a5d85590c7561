"""Loudness against ffmpeg on real files, and the excerpt's estimate against the exact meter: errors and cost.

python -m benchmarks.loudness --data ../shared/data/dev

Every file of the folder's manifest.csv is measured three times: by ffmpeg; by the exact meter on ffmpeg's samples; and
from the file's bytes as `tag --loudness full` does, which decodes them itself. Printed as Markdown tables, and a line
for each file whose integrated loudness is more than 0.1 LU off. Times are processor times of this process for 30 s of
stereo at 44.1 kHz.
"""

import argparse
import csv
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from transforms.audio.errors import TrackError
from transforms.audio.limits import Limits
from transforms.features.extract import extract
from transforms.features.parameters.levels import channel_levels, clipped_ratio, measure_silence, stereo_image
from transforms.features.parameters.loudness import ABSOLUTE_GATE_LUFS, Loudness, measure_loudness
from transforms.features.parameters.loudness_excerpt import estimate_loudness
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.spec import FeatureSpec

EXCERPT_S = 30
NAMES = ("loudness_lufs", "loudness_range_lu", "true_peak_dbtp")


def by_ffmpeg(path: Path) -> tuple[Loudness, np.ndarray, int]:
    """What ffmpeg's ebur128 filter says, the decoded samples [n, channels], and their rate."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-threads", "1", "-i", str(path)]
    filtered = [*command, "-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(filtered, capture_output=True, text=True, check=True).stderr
    summary = said[said.rindex("Summary:") :]
    figures = [float(re.search(rf"{name}:\s+(\S+)", summary)[1]) for name in ("I", "LRA", "Peak")]
    stream = re.search(r"Audio: .*? (\d+) Hz, (mono|stereo)", said)
    rate, channels = int(stream[1]), 1 + (stream[2] == "stereo")
    raw = subprocess.run([*command, "-f", "f32le", "-"], capture_output=True, check=True).stdout
    samples = np.frombuffer(raw, np.float32).reshape(-1, channels)
    return Loudness(**dict(zip(NAMES, figures, strict=True))), samples, rate


def by_extraction(path: Path) -> Loudness:
    """What `tag --loudness full` publishes of a file; nothing if it rejects the file (under 0.2 s, silent)."""
    try:
        features = extract(path.read_bytes(), FeatureSpec(), Limits(), ParametersSpec(loudness="full"))
    except TrackError:
        return Loudness()
    return Loudness(**{name: getattr(features.parameters, name) for name in NAMES})


def differences(pairs: list[tuple[Loudness, Loudness]], name: str) -> np.ndarray:
    """Differences of the second from the first where both have a value."""
    values = [(getattr(a, name), getattr(b, name)) for a, b in pairs]
    return np.array([b - a for a, b in values if a is not None and b is not None and np.isfinite(a)])


def row(title: str, errors: np.ndarray, limit: float) -> str:
    """A row of the table of errors."""
    size = np.abs(errors)
    within = np.mean(size <= limit + 1e-9)
    cells = (len(errors), f"{errors.mean():+.3f}", f"{np.quantile(size, 0.95):.2f}", f"{size.max():.2f}")
    return f"| {title} | " + " | ".join(map(str, cells)) + f" | {within:.3f} within {limit} |"


def milliseconds(action: Callable[[], object], times: int = 9) -> float:
    """The least processor time of several calls."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return 1e3 * min(taken)


def costs() -> list[str]:
    """Processor time of each measurement for 30 s of stereo at 44.1 kHz."""
    rng = np.random.default_rng(0)
    rate = 44_100
    samples = np.cumsum(rng.normal(0, 0.01, (EXCERPT_S * rate, 2)), axis=0)
    samples = (0.3 * np.sin(samples) + rng.normal(0, 0.05, samples.shape)).astype(np.float32)
    levels = channel_levels(samples, rate)
    actions = {
        "exact meter": lambda: measure_loudness(samples, rate),
        "estimate, with brightness": lambda: estimate_loudness(samples, rate),
        "silence, of two patches of 3 s": lambda: measure_silence([samples[: 3 * rate], samples[-3 * rate :]], rate),
        "one pass for all levels (part of the estimate)": lambda: channel_levels(samples, rate),
        "clipped_ratio, after it": lambda: clipped_ratio(samples, levels),
        "stereo_width, phase_inverted, after it": lambda: stereo_image(levels),
    }
    return [f"| {name} | {milliseconds(action):.2f} |" for name, action in actions.items()]


def far_off(path: str, theirs: Loudness, ours: Loudness) -> str | None:
    """A line about a file whose integrated loudness is more than 0.1 LU off, or that only one of both has."""
    a, b = theirs.loudness_lufs, ours.loudness_lufs
    told = a is not None and a > ABSOLUTE_GATE_LUFS  # ffmpeg tells -70 where no block passes
    if told == (b is not None) and (not told or abs(a - b) <= 0.1 + 1e-9):
        return None
    return f"{path}: {b} LUFS, ffmpeg {a}"


def compared(paths: list[str], data: Path) -> list[str]:
    """The rows of the table of errors, and a line for each file that is far off from its bytes on."""
    exact, longer, whole, estimates, lines = [], [], [], [], []
    for path in paths:
        theirs, samples, rate = by_ffmpeg(data / path)
        ours = measure_loudness(samples, rate)
        exact.append((theirs, ours))
        whole.append((theirs, by_extraction(data / path)))
        lines.append(far_off(path, *whole[-1]))
        if len(samples) >= 10 * rate:
            longer.append(len(exact) - 1)
        if path.startswith(("music", "rendered")) and len(samples) >= 5 * rate:
            excerpt = samples[: EXCERPT_S * rate]
            estimates.append((measure_loudness(excerpt, rate), estimate_loudness(excerpt, rate).loudness))
    rows = []
    for title, pairs in (("exact", exact), ("from the file, as `tag`", whole)):
        rows += [
            row(f"integrated, {title} - ffmpeg, LU", differences(pairs, NAMES[0]), 0.1),
            row(f"range, {title} - ffmpeg, 10 s and more, LU", differences([pairs[i] for i in longer], NAMES[1]), 0.2),
            row(f"true peak, {title} - ffmpeg, dB", differences(pairs, NAMES[2]), 0.2),
        ]
    for name, limit in zip(NAMES, (0.25, 0.5, 0.1), strict=True):
        rows.append(row(f"{name}, estimate - exact", differences(estimates, name), limit))
    return [*rows, "", *(line for line in lines if line)]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    args = parser.parse_args()
    print("| measurement, 30 s of stereo | ms |\n|---|---|", *costs(), sep="\n")
    with (args.data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    print("\n| compared | files | mean | 95 % | largest | share |\n|---|---|---|---|---|---|")
    print(*compared(paths, args.data), sep="\n")


if __name__ == "__main__":
    main()
