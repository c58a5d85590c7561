"""Tempo, metre and cost of `measure_rhythm` on pieces of known truth, beside librosa on the same files.

    python -m benchmarks.rhythmic.pieces --corpus FOLDER \
        --each 4 --share 0.3 --first-seed 900 --besides FITTED --out PIECES
    python -m benchmarks.rhythm --pieces PIECES [--dev ../shared/data/dev] [--librosa]

Pieces must be others than those that the constants were fitted on. The rendered pieces of `--dev` were among those:
what is printed of them is a training figure. Intervals are 95 % bootstrap intervals over pieces; differences are
paired.
"""

import argparse
import json
import pathlib
import time
from collections.abc import Callable

import numpy as np

from benchmarks.rhythmic import negatives
from benchmarks.rhythmic.tables import accuracy, by_confidence, by_style, interval
from transforms.audio.samples import Float32
from transforms.features.rhythm import measuring, metre, onsets, periods, tempo

RATE_HZ = 16_000
_CLASSES = {4: "duple", 2: "duple", 3: "triple", 6: "compound", 9: "compound", 12: "compound", 5: "five"}


def read(folder: pathlib.Path) -> list[tuple[dict, Float32]]:  # type: ignore[type-arg]
    """Rendered pieces and their truths."""
    lines = (folder / "truth.jsonl").read_text().splitlines()
    return [
        (json.loads(line), np.load(folder / f"{number:04d}.npy").astype(np.float32) / 32_768)
        for number, line in enumerate(lines)
    ]


def by_librosa(samples: Float32) -> float:
    """Its default tempo."""
    import librosa

    return float(librosa.feature.tempo(y=samples, sr=RATE_HZ)[0])


def class_of(beats: int | None, unit: int | None) -> str:
    """Duple, triple, compound or five."""
    return "none" if beats is None else "triple" if (beats, unit) in ((3, 4), (3, 2)) else _CLASSES[beats]


def print_metre(truth: list[dict], told: list[measuring.Rhythm]) -> None:  # type: ignore[type-arg]
    """Accuracy, recall of each class and their mean, and what always saying four would give."""
    right = np.array([class_of(row["beats"], row["unit"]) for row in truth])
    found = np.array([class_of(each.beats_per_bar, each.beat_unit) for each in told])
    recalls = {name: float((found == name)[right == name].mean()) for name in ("duple", "triple", "compound")}
    print(f"metre: {interval(found == right)}; always duple {(right == 'duple').mean():.3f}")
    print(
        f"metre, mean of the three classes: {np.mean(list(recalls.values())):.3f}",
        {k: round(v, 3) for k, v in recalls.items()},
    )
    print(by_confidence(np.array([each.metre_confidence or 0.0 for each in told]), found == right, "metre"))


def print_tempo(name: str, truth: list[dict], told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Accuracy 1 and 2 by style. Pieces of which nothing is said count as wrong."""
    bpm = np.array([row["bpm"] for row in truth])
    first, second = accuracy(told, bpm)
    print(f"{name}: {len(truth)} pieces, {interval(first)} / {interval(second)}")
    print(by_style(truth, told, bpm))
    return first, second


def cost_ms(call: Callable[[], object], times: int = 20) -> str:
    """Median and least processor time of a call."""
    found = []
    for _ in range(times):
        start = time.process_time()
        call()
        found.append(1_000 * (time.process_time() - start))
    return f"{np.median(found):.2f} ms (least {min(found):.2f})"


def print_cost(samples: Float32, with_librosa: bool) -> None:
    """Processor time of each part for one excerpt."""
    found = onsets.onsets(samples, RATE_HZ)
    repeated, lags = periods.periodicity(found)
    told = tempo.estimate(repeated, lags)
    print(
        f"processor time for {len(samples) / RATE_HZ:.0f} s: "
        f"{cost_ms(lambda: measuring.measure_rhythm(samples, RATE_HZ))}"
    )
    print("  onsets", cost_ms(lambda: onsets.onsets(samples, RATE_HZ)))
    print("  periods", cost_ms(lambda: periods.periodicity(found)))
    print("  tempo", cost_ms(lambda: tempo.estimate(repeated, lags)))
    print("  metre", cost_ms(lambda: metre.estimate(repeated, told.bpm)))
    if with_librosa:
        print("  librosa's tempo", cost_ms(lambda: by_librosa(samples), times=5))


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pieces", type=pathlib.Path, required=True, help="folder of rendered pieces")
    parser.add_argument("--dev", type=pathlib.Path, help="folder of real data: its rendered pieces (training figures)")
    parser.add_argument("--librosa", action="store_true", help="compare with librosa's default tempo")
    flags = parser.parse_args()
    groups = {"new pieces": read(flags.pieces)}
    if flags.dev:
        groups["rendered pieces of the real data"] = list(negatives.rendered(flags.dev))
    for name, pieces in groups.items():
        truth = [row for row, _ in pieces]
        told = [measuring.measure_rhythm(samples, RATE_HZ) for _, samples in pieces]
        first, second = print_tempo(name, truth, np.array([each.tempo_bpm or np.nan for each in told]))
        print(by_confidence(np.array([each.tempo_confidence or 0.0 for each in told]), first, "tempo"))
        if "beats" in truth[0]:
            print_metre(truth, told)
        if flags.librosa:
            theirs = print_tempo("librosa, " + name, truth, np.array([by_librosa(samples) for _, samples in pieces]))
            for number, ours in enumerate((first, second)):
                print(f"accuracy {number + 1}, difference: {interval(ours.astype(float) - theirs[number])}")
    print_cost(groups["new pieces"][0][1], flags.librosa)


if __name__ == "__main__":
    main()
