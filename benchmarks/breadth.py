"""Tempo, metre and key on kinds of music that no constant was fitted on, beside librosa and Essentia.

    python -m benchmarks.breadth --pieces FOLDER [FOLDER ...] [--librosa] [--essentia PYTHON]

Folders are those of `benchmarks.rhythmic.grooves` and `benchmarks.rhythmic.packaged`. Pieces of which nothing is said
count as wrong. Intervals are 95 % bootstrap intervals over groups of families that resemble each other (over pieces,
where each is its own group), paired for differences.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import rhythm
from benchmarks.peers import RATE_HZ, by_profile, essentia_key, patches
from benchmarks.rhythmic.tables import accuracy, by_confidence
from transforms.audio.samples import Float32
from transforms.features.parameters.key import Tonality, measure_key
from transforms.features.parameters.keys import mirex_score
from transforms.features.rhythm.measuring import Rhythm, measure_rhythm

ESSENTIA = """
import json, pathlib, sys, numpy
import essentia, essentia.standard as es
essentia.log.infoActive = essentia.log.warningActive = False
resample = es.Resample(inputSampleRate=16000, outputSampleRate=44100)
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.npy")):
    sound = resample(numpy.load(path))
    tempo = float(es.RhythmExtractor2013(method="degara")(sound)[0])
    print(json.dumps([tempo, *es.KeyExtractor(profileType="bgate")(sound)[:2]]), flush=True)
"""

Truth = dict[str, object]


def read(folders: Sequence[Path]) -> list[tuple[Truth, Float32]]:
    """Truths and samples of all pieces."""
    return [piece for folder in folders for piece in rhythm.read(folder)]


def interval(values: np.ndarray, groups: np.ndarray) -> str:
    """Mean with its 95 % bootstrap interval over groups."""
    values = np.asarray(values, float)
    names, index = np.unique(groups, return_inverse=True)
    totals, counts = np.bincount(index, values), np.bincount(index)
    draws = np.random.default_rng(0).integers(0, len(names), (2_000, len(names)))
    low, high = np.quantile(totals[draws].sum(1) / counts[draws].sum(1), (0.025, 0.975))
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def table(truths: Sequence[Truth], scores: dict[str, np.ndarray]) -> str:
    """A row for each kind and one for all: number and the mean of each score; pieces without a truth are nan."""
    kinds, groups = (np.array([str(row[name]) for row in truths]) for name in ("style", "group"))
    lines = [f"| kind | pieces | {' | '.join(scores)} |", f"|---|---:{'|---' * len(scores)}|"]
    for kind in ("all", *sorted(set(kinds))):
        cells = []
        for values in scores.values():
            of = (kinds == kind if kind != "all" else kinds != "") & ~np.isnan(values)
            cells.append(interval(values[of], groups[of]) if of.any() else "")
        lines.append(f"| {kind} | {len(kinds) if kind == 'all' else (kinds == kind).sum()} | {' | '.join(cells)} |")
    return "\n".join(lines)


def tempo_scores(truths: Sequence[Truth], told: Sequence[float | None]) -> dict[str, np.ndarray]:
    """Accuracy 1 and 2 of each piece."""
    bpm = np.array([row["bpm"] for row in truths], float)
    first, second = accuracy(np.array([each or np.nan for each in told], float), bpm)
    return {"tempo, accuracy 1": first.astype(float), "accuracy 2": second.astype(float)}


def metre_score(truths: Sequence[Truth], told: Sequence[Rhythm]) -> np.ndarray:
    """Whether duple, triple, compound and five are told apart; nan where the truth is not known."""
    return np.array(
        [
            float(rhythm.class_of(each.beats_per_bar, each.beat_unit) == _metre(row)) if "beats" in row else np.nan
            for row, each in zip(truths, told, strict=True)
        ]
    )


def _metre(row: Truth) -> str:
    return rhythm.class_of(int(str(row["beats"])), int(str(row["unit"])))


def key_scores(truths: Sequence[Truth], told: Sequence[str | None]) -> dict[str, np.ndarray]:
    """Exact and MIREX score of each piece; nan where the truth is not known."""
    pairs = [(row.get("key"), each) for row, each in zip(truths, told, strict=True)]
    return {
        "key, exact": np.array([float(key == each) if key else np.nan for key, each in pairs]),
        "MIREX score": np.array([mirex_score(str(key), each) if key else np.nan for key, each in pairs]),
    }


def by_essentia(python: Path, sounds: Sequence[Float32]) -> tuple[list[float], list[str]]:
    """Tempi and keys that Essentia tells in its own environment."""
    with tempfile.TemporaryDirectory() as name:
        for number, sound in enumerate(sounds):
            np.save(Path(name) / f"{number:05d}.npy", sound)
        command = [str(python), "-c", ESSENTIA, name]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [json.loads(line) for line in out.splitlines() if line.startswith("[")]
    return [row[0] for row in rows], [essentia_key(row[1:]) for row in rows]


def others(sounds: Sequence[Float32], with_librosa: bool, essentia: Path | None) -> dict[str, tuple[list, list]]:  # type: ignore[type-arg]
    """Tempi and keys that other programs tell."""
    found = {}
    if with_librosa:
        import librosa

        chroma: Callable[[Float32], str] = lambda x: by_profile(librosa.feature.chroma_stft(y=x, sr=RATE_HZ))  # noqa: E731
        found["librosa"] = [rhythm.by_librosa(x) for x in sounds], [chroma(x) for x in sounds]
    if essentia:
        found["Essentia"] = by_essentia(essentia, sounds)
    return found


def print_metres(truths: Sequence[Truth], right: np.ndarray) -> None:
    """Recall of each class of metre, their mean without five, and what always saying four would give."""
    classes = np.array([_metre(row) if "beats" in row else "" for row in truths])
    recalls = {name: float(right[classes == name].mean()) for name in sorted(set(classes) - {""})}
    mean = np.mean([recalls[name] for name in ("duple", "triple", "compound") if name in recalls])
    always = (classes == "duple").sum() / (classes != "").sum()
    print(
        f"metre by class { ({k: round(v, 3) for k, v in recalls.items()}) }, mean {mean:.3f}; always four {always:.3f}"
    )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pieces", type=Path, nargs="+", required=True, metavar="FOLDER", help="rendered pieces")
    parser.add_argument("--librosa", action="store_true", help="compare with librosa")
    parser.add_argument("--essentia", type=Path, metavar="PYTHON", help="Python of an environment with Essentia")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="compare on every Nth piece (1)")
    args = parser.parse_args()
    truths, sounds = zip(*read(args.pieces), strict=True)
    told = [measure_rhythm(samples, RATE_HZ) for samples in sounds]
    keyed = ["key" in row for row in truths]
    keys = [measure_key(patches(x), RATE_HZ) if has else Tonality() for x, has in zip(sounds, keyed, strict=True)]
    own = tempo_scores(truths, [each.tempo_bpm for each in told])
    metre = metre_score(truths, told)
    own_keys = key_scores(truths, [each.key for each in keys])
    print(table(truths, own | {"metre": metre} | own_keys))
    print_metres(truths, metre)
    print(by_confidence(np.array([t.tempo_confidence or 0.0 for t in told]), own["tempo, accuracy 1"], "tempo"))
    known = ~np.isnan(metre)
    print(by_confidence(np.array([t.metre_confidence or 0.0 for t in told])[known], metre[known], "metre"))
    if any(keyed):
        confidence = np.array([t.key_confidence or 0.0 for t in keys])[keyed]
        print(by_confidence(confidence, own_keys["key, exact"][keyed], "key"))
    some, ours = truths[:: args.every], {of: values[:: args.every] for of, values in (own | own_keys).items()}
    for name, (tempi, tonalities) in others(sounds[:: args.every], args.librosa, args.essentia).items():
        theirs = tempo_scores(some, tempi) | key_scores(some, tonalities)
        print(f"\n{name}\n\n{table(some, theirs)}\n\nown less {name}\n")
        print(table(some, {of: ours[of] - values for of, values in theirs.items()}))


if __name__ == "__main__":
    main()
