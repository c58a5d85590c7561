"""Tempo, key and other parameters by this program, librosa and Essentia: accuracy and cost on the same files, one run.

    python -m benchmarks.peers --tempo PIECES --key PIECES [--essentia PYTHON] [--most-key N]

`--tempo` is a folder made by `benchmarks.rhythmic.pieces`, `--key` one made by `benchmarks.tonal_corpus --kept`: pieces
that nothing was fitted on. `--essentia` is the Python of another environment with the package essentia (AGPL-3), which
must never be in this one; without it, its rows are left out and a line says so. Each program gets the same mono samples
at 16 kHz (Essentia: resampled to 44.1 kHz before its time is taken). Intervals are 95 % bootstrap intervals over
pieces, paired for differences. Times are processor times of one thread, medians over pieces.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.rhythmic.tables import accuracy, interval
from transforms.audio.samples import Float32
from transforms.features.parameters.key import measure_key
from transforms.features.parameters.keys import KEY_NAMES, MAJOR_NAMES, key_name, mirex_score
from transforms.features.parameters.loudness import measure_loudness
from transforms.features.parameters.loudness_excerpt import estimate_loudness
from transforms.features.rhythm.measuring import measure_rhythm

RATE_HZ, PATCH_S = 16_000, 3
TEMPERLEY = (
    [5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0],
    [5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0],
)
"""Profiles of major and minor (Temperley, What's key for key?, Music Perception 17, 1999)."""
ESSENTIA = """
import json, pathlib, sys, time, numpy
import essentia, essentia.standard as es
essentia.log.infoActive = essentia.log.warningActive = False
resample = es.Resample(inputSampleRate=16000, outputSampleRate=44100)
tasks = {
    "tempo": {
        "Essentia, multifeature": lambda x: es.RhythmExtractor2013(method="multifeature")(x)[0],
        "Essentia, degara": lambda x: es.RhythmExtractor2013(method="degara")(x)[0],
    },
    "key": {
        "Essentia, bgate": lambda x: list(es.KeyExtractor(profileType="bgate")(x)[:2]),
        "Essentia, temperley": lambda x: list(es.KeyExtractor(profileType="temperley")(x)[:2]),
    },
    "loudness": {"Essentia, LoudnessEBUR128": lambda x: es.LoudnessEBUR128()(numpy.stack([x, x], axis=1))[2]},
    "onset rate": {"Essentia, OnsetRate": lambda x: es.OnsetRate()(x)[1]},
    "danceability": {"Essentia, Danceability": lambda x: es.Danceability()(x)[0]},
}
for task, calls in tasks.items():
    sounds = [resample(numpy.load(p)) for p in sorted(pathlib.Path(sys.argv[1]).glob(task.split()[0] + "-*.npy"))]
    for name, call in calls.items():
        answers, taken = [], []
        for sound in sounds:
            start = time.process_time()
            answer = call(sound)
            taken.append(1e3 * (time.process_time() - start))
            answers.append(answer if isinstance(answer, list) else float(answer))
        print(json.dumps({"task": task, "name": name, "answers": answers, "ms": float(numpy.median(taken))}))
"""
_OTHER_NAMES = {"C#": 1, "G#": 8, "D#": 3, "A#": 10, "Gb": 6}

Answers = dict[str, tuple[list[object], float]]
"""By program: what it says of each piece, and the median of its milliseconds."""


def read(folder: Path, most: int) -> list[tuple[dict[str, object], Float32]]:
    """Truths and samples of rendered pieces, evenly drawn."""
    lines = (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    chosen = np.unique(np.linspace(0, len(lines) - 1, min(most, len(lines))).astype(int))
    return [
        (json.loads(lines[number]), np.load(folder / f"{number:04d}.npy").astype(np.float32) / 32_767)
        for number in chosen
    ]


def patches(samples: Float32) -> list[Float32]:
    """The samples as `tag` gives them to the key: patches of 3 s."""
    size = PATCH_S * RATE_HZ
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def by_profile(chroma: np.ndarray) -> str:
    """The key whose profile of Temperley correlates best with the mean chroma."""
    mean = chroma.mean(axis=1)
    scores = [np.corrcoef(mean, np.roll(profile, t))[0, 1] for profile in TEMPERLEY for t in range(12)]
    return KEY_NAMES[int(np.argmax(scores))]


def timed(call: Callable[[Float32], object], sounds: Sequence[Float32]) -> tuple[list[object], float]:
    """Answers and the median of milliseconds. The first call is made twice: libraries compile in it."""
    call(sounds[0])
    answers, taken = [], []
    for sound in sounds:
        start = time.process_time()
        answers.append(call(sound))
        taken.append(1e3 * (time.process_time() - start))
    return answers, float(np.median(taken))


def here(tempo: Sequence[Float32], keyed: Sequence[Float32]) -> dict[str, Answers]:
    """What this program and librosa say, by task."""
    import librosa

    def stereo(x: Float32) -> Float32:
        return np.stack([x, x], axis=1)

    calls: dict[str, tuple[Sequence[Float32], dict[str, Callable[[Float32], object]]]] = {
        "tempo": (
            tempo,
            {
                "own (with metre, onset rate, danceability)": lambda x: measure_rhythm(x, RATE_HZ).tempo_bpm,
                "librosa, feature.tempo": lambda x: float(librosa.feature.tempo(y=x, sr=RATE_HZ)[0]),
            },
        ),
        "key": (
            keyed,
            {
                "own (with tuning)": lambda x: measure_key(patches(x), RATE_HZ).key,
                "librosa, chroma_stft, Temperley": lambda x: by_profile(librosa.feature.chroma_stft(y=x, sr=RATE_HZ)),
            },
        ),
        "loudness": (
            tempo[:20],
            {
                "own, estimate of the excerpt": lambda x: estimate_loudness(stereo(x), RATE_HZ),
                "own, exact meter": lambda x: measure_loudness(stereo(x), RATE_HZ),
            },
        ),
        "onset rate": (
            tempo[:20],
            {"librosa, onset_detect": lambda x: len(librosa.onset.onset_detect(y=x, sr=RATE_HZ))},
        ),
    }
    return {
        task: {name: timed(call, sounds) for name, call in named.items()} for task, (sounds, named) in calls.items()
    }


def by_essentia(python: Path, tempo: Sequence[Float32], keyed: Sequence[Float32]) -> dict[str, Answers]:
    """What Essentia says in its own environment, by task."""
    found: dict[str, Answers] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        named = {"tempo": tempo, "key": keyed, "loudness": tempo[:20], "onset": tempo[:20], "danceability": tempo[:20]}
        for task, sounds in named.items():
            for number, sound in enumerate(sounds):
                np.save(folder / f"{task}-{number:04d}.npy", sound)
        command = [str(python), "-c", ESSENTIA, str(folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            row = json.loads(line)
            answers = [essentia_key(a) if row["task"] == "key" else a for a in row["answers"]]
            found.setdefault(row["task"], {})[row["name"]] = (answers, row["ms"])
    return found


def essentia_key(named: list[str]) -> str:
    """The key that Essentia names by its tonic and mode."""
    tonic, mode = named
    return key_name(_OTHER_NAMES[tonic] if tonic in _OTHER_NAMES else MAJOR_NAMES.index(tonic), mode)


def compared(scores: dict[str, tuple[np.ndarray, np.ndarray]], ms: dict[str, float], titles: tuple[str, str]) -> None:
    """Prints both scores of each program with the paired difference of the first program from each other one."""
    own = next(iter(scores))
    print(f"| program | {titles[0]} | {titles[1]} | own less this, {titles[0]} | own less this, {titles[1]} | ms |")
    print("|---|---|---|---|---|---:|")
    for name, both in scores.items():
        cells = [interval(np.asarray(each, float)) for each in both]
        gains = ["" if name == own else _gain(scores[own][i], both[i]) for i in range(2)]
        print(f"| {name} | {' | '.join([*cells, *gains])} | {ms[name]:.1f} |")


def _gain(own: np.ndarray, other: np.ndarray) -> str:
    difference = np.asarray(own, float) - np.asarray(other, float)
    draws = np.random.default_rng(0).integers(0, len(difference), (2_000, len(difference)))
    low, high = np.quantile(difference[draws].mean(1), (0.025, 0.975))
    return f"{interval(difference)}{'' if low > 0 or high < 0 else ', no difference shown'}"


def merged(parts: Sequence[dict[str, Answers]], task: str) -> Answers:
    """Answers of all programs to one task."""
    return {name: found for part in parts for name, found in part.get(task, {}).items()}


def print_tables(parts: Sequence[dict[str, Answers]], bpm: np.ndarray, keys: Sequence[str]) -> None:
    """The table of tempo, the table of key, and the cost of what has no truth."""
    tempo, key = merged(parts, "tempo"), merged(parts, "key")
    scores = {name: accuracy(np.array(told, float), bpm) for name, (told, _) in tempo.items()}
    print(f"{len(bpm)} pieces of known tempo\n")
    compared(scores, {name: ms for name, (_, ms) in tempo.items()}, ("accuracy 1", "accuracy 2"))
    both = {
        name: (
            np.array([a == b for a, b in zip(keys, told, strict=True)]),
            np.array([mirex_score(a, str(b) if b else None) for a, b in zip(keys, told, strict=True)]),
        )
        for name, (told, _) in key.items()
    }
    print(f"\n{len(keys)} pieces of known key\n")
    compared(both, {name: ms for name, (_, ms) in key.items()}, ("exact", "MIREX score"))
    print("\n| parameter | program | ms |\n|---|---|---:|")
    for task in ("loudness", "onset rate", "danceability"):
        for name, (_, ms) in merged(parts, task).items():
            print(f"| {task} | {name} | {ms:.1f} |")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tempo", type=Path, required=True, metavar="FOLDER", help="pieces of known tempo")
    parser.add_argument("--key", type=Path, required=True, metavar="FOLDER", help="pieces of known key")
    parser.add_argument("--essentia", type=Path, metavar="PYTHON", help="Python of an environment with Essentia")
    parser.add_argument("--most-key", type=int, default=240, metavar="N", help="most pieces of known key (240)")
    parser.add_argument("--most-tempo", type=int, default=80, metavar="N", help="most pieces of known tempo (80)")
    args = parser.parse_args()
    timed_pieces, keyed_pieces = read(args.tempo, args.most_tempo), read(args.key, args.most_key)
    tempo, keyed = [x for _, x in timed_pieces], [x for _, x in keyed_pieces]
    parts = [here(tempo, keyed)]
    if args.essentia and args.essentia.is_file():
        parts.append(by_essentia(args.essentia, tempo, keyed))
    else:
        print(f"Essentia is left out: --essentia {args.essentia} is no Python.", file=sys.stderr)
    bpm = np.array([float(str(row["bpm"])) for row, _ in timed_pieces])
    print_tables(parts, bpm, [str(row["key"]) for row, _ in keyed_pieces])


if __name__ == "__main__":
    main()
