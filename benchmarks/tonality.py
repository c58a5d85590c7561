"""Keys told by this program and by others: composed pieces of known key, and recordings that have a key or none.

python -m benchmarks.tonality --fonts FONT.sf2 [FONT.sf2 ...] --data ../shared/data/dev [--essentia PYTHON]

Pieces have seeds that `tonality_fit` does not use; recordings are those that it keeps back. `--essentia` names the
Python of an environment with Essentia (AGPL-3), which never is in this one. Printed as Markdown tables with 95 %
intervals (bootstrap over pieces, paired for differences). Times are processor times of 20 s at 16 kHz.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.tonality_fit import RATE_HZ, drums_alone, recordings, rendered
from transforms.features.parameters.key import Tonality, measure_key
from transforms.features.parameters.keys import KEY_NAMES, MAJOR_NAMES, key_name, mirex_score

FIRST_SEED, PIECES = 100_000, 72
TEMPERLEY = np.array(
    [
        [5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0],
        [5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0],
    ]
)
"""Profiles of Temperley (What's key for key?, Music Perception 17, 1999), major and minor."""
ESSENTIA = """
import sys, numpy, essentia, essentia.standard as es
essentia.log.infoActive = False
resample, key = es.Resample(inputSampleRate=16000, outputSampleRate=44100), es.KeyExtractor(profileType="bgate")
for samples in numpy.load(sys.argv[1]):
    print(*key(resample(samples))[:2])
"""


def by_librosa(samples: np.ndarray) -> str:
    """chroma_stft, correlated with Temperley's profiles."""
    import librosa

    chroma = librosa.feature.chroma_stft(y=samples, sr=RATE_HZ).mean(axis=1)
    return KEY_NAMES[int(np.argmax([np.corrcoef(chroma, np.roll(p, t))[0, 1] for p in TEMPERLEY for t in range(12)]))]


def by_essentia(sounds: list[np.ndarray], python: Path) -> list[str]:
    """KeyExtractor with the profile `bgate`, in its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        array = Path(folder) / "sounds.npy"
        np.save(array, np.stack(sounds))
        done = subprocess.run([str(python), "-c", ESSENTIA, str(array)], check=True, capture_output=True, text=True)
    other = {"C#": 1, "G#": 8, "D#": 3, "A#": 10, "Gb": 6}
    lines = [line.split() for line in done.stdout.splitlines() if line.endswith((" major", " minor"))]
    return [key_name(other[n] if n in other else MAJOR_NAMES.index(n), mode) for n, mode in lines]


def interval(values: np.ndarray) -> str:
    """Mean and 95 % interval by bootstrap."""
    draws = np.random.default_rng(0).integers(len(values), size=(2_000, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def accuracy_rows(truth: list[str], answers: dict[str, Sequence[str | None]], cost: dict[str, float]) -> list[str]:
    """Rows of the table of accuracy; differences are of the first program from each other one."""
    exact = {
        name: np.array([a == b for a, b in zip(truth, keys, strict=True)], float) for name, keys in answers.items()
    }
    score = {
        name: np.array([mirex_score(*pair) for pair in zip(truth, keys, strict=True)]) for name, keys in answers.items()
    }
    own = next(iter(answers))
    rows = []
    for name in answers:
        gain = "" if name == own else interval(exact[own] - exact[name])
        time_ms = f"{cost[name]:.1f}" if name in cost else ""
        rows.append(f"| {name} | {interval(exact[name])} | {interval(score[name])} | {gain} | {time_ms} |")
    return rows


def confidence_rows(truth: list[str], found: list[Tonality], parts: int = 5) -> list[str]:
    """Mean confidence and accuracy of equal parts of the pieces by confidence."""
    confidence = np.array([t.key_confidence or 0.0 for t in found])
    right = np.array([t.key == key for t, key in zip(found, truth, strict=True)])
    order = np.array_split(np.argsort(confidence, kind="stable"), parts)
    return [f"| {len(p)} | {confidence[p].mean():.2f} | {right[p].mean():.2f} |" for p in order]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fonts", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--essentia", type=Path, metavar="PYTHON")
    args = parser.parse_args()
    pieces = [p for i, font in enumerate(args.fonts) for p in rendered(FIRST_SEED + 1_000 * i, PIECES, font)]
    truth, sounds = [key for key, _ in pieces], [samples.astype(np.float32) for _, samples in pieces]
    cost: dict[str, float] = {}
    by_librosa(sounds[0])
    start = time.process_time()
    found = [measure_key(samples, RATE_HZ) for samples in sounds]
    cost["own"] = 1e3 * (time.process_time() - start) / len(sounds)
    start = time.process_time()
    answers: dict[str, Sequence[str | None]] = {
        "own": [t.key for t in found],
        "librosa chroma_stft, Temperley": [by_librosa(samples) for samples in sounds],
    }
    cost["librosa chroma_stft, Temperley"] = 1e3 * (time.process_time() - start) / len(sounds)
    if args.essentia:
        answers["Essentia, bgate"] = by_essentia(sounds, args.essentia)
    print("| program | exact | MIREX score | own less this, exact | ms |\n|---|---|---|---|---|")
    print(*accuracy_rows(truth, answers, cost), sep="\n")
    print("\n| pieces | mean confidence | exact |\n|---|---|---|", *confidence_rows(truth, found), sep="\n")
    kept = recordings(args.data, odd=True)
    kinds = {"music": [x for m, x in kept if m], "sounds and speech": [x for m, x in kept if not m]}
    kinds["drums alone (fitted on)"] = [x for font in args.fonts for x in drums_alone(24, font)]
    print("\n| recordings | number | given a key | confidence above 0.5 |\n|---|---|---|---|")
    for kind, samples in kinds.items():
        confidences = np.array([measure_key(x, RATE_HZ).key_confidence or 0.0 for x in samples])
        print(f"| {kind} | {len(samples)} | {np.mean(confidences > 0):.3f} | {np.mean(confidences > 0.5):.3f} |")


if __name__ == "__main__":
    main()
