"""Fits the weights of the key classifier and of the detector of tonal music.

python -m benchmarks.tonality_fit --pieces PIECES --data ../shared/data/dev

Writes transforms/features/parameters/key_weights.py. `PIECES` was made by `benchmarks.tonal_corpus`; each piece is used
as it is and in versions that are made more like recordings (`benchmarks.tonal_sounds`). The detector also learns from
recordings: music against sounds and speech of the folder's manifest.csv, whose groups with an odd hash are kept for
`benchmarks.tonality`. Printed is how well each kind of pieces is told by weights that were fitted on the others.
"""

import argparse
import csv
import json
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from benchmarks.rhythmic import styles
from benchmarks.rhythmic.render import DRUMS, RATE_HZ, Piece, Renderer
from benchmarks.tonal_sounds import roughened
from transforms.audio.samples import Float32
from transforms.features.parameters import key
from transforms.features.parameters.key import detector_values, key_probabilities
from transforms.features.parameters.keys import KEY_NAMES
from transforms.features.parameters.pitch import PitchGrid, pitch_grid
from transforms.features.parameters.tonal_features import ROWS, tonal_rows, turned

TARGET = Path("transforms/features/parameters/key_weights.py")
PATCH_S = 3
PENALTY, DETECTOR_PENALTY = 1.0, 0.05
ROUGH_VERSIONS = 1
"""Versions of each piece beside the one that is as rendered."""
TUNES = ("airdsAirs", "essenFolksong", "miscFolk", "nottingham-dataset", "oneills1850", "ryansMammoth", "josquin")
"""Collections in ABC notation; others are scores."""


def pieces(folder: Path) -> Iterator[tuple[str, str, Float32]]:
    """Key, kind and samples of each piece of a folder."""
    for number, line in enumerate((folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        yield row["key"], kind_of(row["kind"]), np.load(folder / f"{number:04d}.npy").astype(np.float32) / 32_767


def kind_of(collection: str) -> str:
    """`composed`, `tunes` or `scores`."""
    return collection if collection == "composed" else "tunes" if collection in TUNES else "scores"


def patches(samples: Float32) -> list[Float32]:
    """The samples as `tag` gives them to the key: patches of 3 s."""
    size = PATCH_S * RATE_HZ
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def drums_alone(count: int, sound_font: str) -> list[Float32]:
    """Drums of styles, without their other parts."""
    drummed = [style for style in styles.STYLES if style.drums]
    renderer, found, seed = Renderer(sound_font), [], 0
    while len(found) < count:
        piece = styles.make(drummed[seed % len(drummed)], 80_000 + seed)
        notes = [note for note in piece.notes if note.channel == DRUMS]
        seed += 1
        if notes:
            found.append(renderer.render(Piece("drums", "drums", piece.bpm, 4, 4, {}, notes), 15.0))
    return found


def recordings(data: Path, *, odd: bool) -> list[tuple[bool, Float32]]:
    """Whether a recording is music, and its samples: recordings of 2 s and more, groups with an odd or even hash."""
    found = []
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        folder, tags = row["path"].split("/")[0], row["tags"]
        if folder not in ("music", "rendered", "esc10", "speech8k") or float(row["duration_s"]) < 2:
            continue
        if (zlib.crc32(row["group_id"].encode()) % 2 == 1) != odd or "near_duplicate" in tags:
            continue
        music = folder in ("music", "rendered") and "sound---" not in tags and "speech" not in tags
        command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(data / row["path"]), "-t", "48", "-ac", "1"]
        command += ["-ar", str(RATE_HZ), "-f", "f32le", "-"]
        raw = subprocess.run(command, check=True, capture_output=True).stdout
        found.append((music, np.frombuffer(raw, np.float32)))
    return found


def key_weights(views: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multinomial logistic regression with weights shared by all tonics.

    Args:
      views: features as each tonic hears them, float64 [n, 12, ROWS * 12].
      truth: index of the key of each piece in `KEY_NAMES`, int [n].

    Returns:
      Weights [2, ROWS * 12] and bias [2] of major and minor.
    """
    every = np.arange(len(truth))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = flat[:-2].reshape(2, -1), flat[-2:]
        scores = (views @ weights.T + bias).transpose(0, 2, 1).reshape(len(truth), 24)
        scores -= scores.max(axis=1, keepdims=True)
        chances = np.exp(scores)
        chances /= chances.sum(axis=1, keepdims=True)
        value = -np.log(chances[every, truth] + 1e-300).sum() + PENALTY * float(weights.ravel() @ weights.ravel())
        chances[every, truth] -= 1
        by_mode = chances.reshape(-1, 2, 12)
        slope = np.einsum("nmt,ntd->md", by_mode, views, optimize=True) + 2 * PENALTY * weights
        return value, np.concatenate([slope.ravel(), by_mode.sum(axis=(0, 2))])

    best = minimize(loss, np.zeros(2 * views.shape[2] + 2), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return best[:-2].reshape(2, -1), best[-2:]


def logistic(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Weights and bias of a logistic regression, float64 [columns + 1]; both classes weigh the same."""
    x = np.hstack([values, np.ones((len(values), 1))])
    sign = np.where(truth, 1.0, -1.0)
    share = np.where(truth, 0.5 / truth.mean(), 0.5 / (1 - truth.mean()))

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (x @ w)
        slope = -(x * (share * sign / (1 + np.exp(np.clip(margin, -50, 50))))[:, None]).sum(axis=0)
        value = (share * np.logaddexp(0, -margin)).sum() + DETECTOR_PENALTY * float(w[:-1] @ w[:-1])
        return value, slope + 2 * DETECTOR_PENALTY * np.append(w[:-1], 0)

    return minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x


def source(weights: np.ndarray, bias: np.ndarray, detector: np.ndarray) -> str:
    """Text of the module with the weights."""
    lines = [
        '"""Weights of the key classifier, written by `benchmarks/tonality_fit.py`."""',
        "",
        "import numpy as np",
        "",
    ]
    lines += ["# fmt: off", "WEIGHTS = np.array(["]
    for mode in weights.reshape(2, ROWS, 12):
        lines += ["    [", *("        [" + ", ".join(f"{v:.3f}" for v in row) + "]," for row in mode), "    ],"]
    lines += ["])", "# fmt: on"]
    lines.append('"""Major and minor; rows of `tonal_rows`; semitones above the tonic: float64 [2, ROWS, 12]."""')
    lines.append(f"BIAS = np.array([{bias[0]:.3f}, {bias[1]:.3f}])")
    lines.append(f"DETECTOR = np.array([{', '.join(f'{v:.3f}' for v in detector)}])")
    lines.append('"""Weights of `detector_values`, and the bias."""')
    return "\n".join(lines) + "\n"


def tonal_values(grid: PitchGrid | None) -> np.ndarray | None:
    """Values of the detector, where there is a grid of at least four frames."""
    if grid is None or len(grid.notes) < key.FEWEST_FRAMES:
        return None
    rows = tonal_rows(grid)
    return detector_values(grid, rows, key_probabilities(rows))


def fitted(views: np.ndarray, truth: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias of the key classifier, flattened until its probabilities suit kinds it was not fitted on."""
    scores = np.zeros((len(truth), len(KEY_NAMES)))
    for kind in sorted(set(kinds)):
        weights, bias = key_weights(views[kinds != kind], truth[kinds != kind])
        scores[kinds == kind] = key_scores(views[kinds == kind], weights, bias)
        right = scores[kinds == kind].argmax(axis=1) == truth[kinds == kind]
        print(f"{kind}, fitted on the other kinds: {right.mean():.3f} of {len(right)}", flush=True)

    def surprise(flatness: float) -> float:
        log = scores / flatness - np.logaddexp.reduce(scores / flatness, axis=1, keepdims=True)
        return -float(log[np.arange(len(truth)), truth].mean())

    flatness = float(minimize_scalar(surprise, bounds=(0.5, 3), method="bounded").x)
    print(f"weights are divided by {flatness:.2f}", flush=True)
    weights, bias = key_weights(views, truth)
    return weights / flatness, bias / flatness


def key_scores(views: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Score of each key, float64 [n, 24]."""
    return (views @ weights.T + bias).transpose(0, 2, 1).reshape(len(views), -1)


def fitted_detector(music: Sequence[PitchGrid | None], other: Sequence[PitchGrid | None]) -> np.ndarray:
    """Weights of the detector, from music and other sounds, with the classifier's weights in place."""
    values = [tonal_values(grid) for grid in (*music, *other)]
    truth = np.arange(len(values)) < len(music)
    kept = np.array([v is not None for v in values])
    return logistic(np.array([v for v in values if v is not None]), truth[kept])


def noises() -> list[Float32]:
    """White, dull and rumbling noise, and clicks, of 10 s."""
    found = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        white = rng.standard_normal(10 * RATE_HZ)
        width = int(rng.choice([1, 4, 16, 64]))
        found.append((np.convolve(white, np.ones(width) / width, "same") * 0.1).astype(np.float32))
        clicks = (rng.random(10 * RATE_HZ) < 10 ** rng.uniform(-4.5, -3)) * rng.standard_normal(10 * RATE_HZ)
        found.append(np.convolve(clicks, np.exp(-np.arange(400) / 60.0), "same").astype(np.float32))
    return found


def main() -> None:
    """Fits both parts and writes the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=Path, required=True, metavar="FOLDER", help="pieces of known key")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="recordings and manifest.csv")
    parser.add_argument("--drums", default="TimGM6mb.sf2", metavar="FILE", help="sound font of drums (TimGM6mb.sf2)")
    args = parser.parse_args()
    real = recordings(args.data, odd=False)
    backgrounds = [samples for is_music, samples in real if not is_music]
    grids, truth, kinds = piece_grids(args.pieces, backgrounds)
    write(grids, truth, kinds, real, drums_alone(48, args.drums))


def piece_grids(folder: Path, backgrounds: Sequence[Float32]) -> tuple[list[PitchGrid], np.ndarray, np.ndarray]:
    """Grids of all versions of the pieces, the index of each one's key, and its kind."""
    grids, truth, kinds = [], [], []
    for number, (name, kind, samples) in enumerate(pieces(folder)):
        seeds = range(1, 1 + ROUGH_VERSIONS)
        versions = [samples, *(roughened(samples, 7 * number + seed, backgrounds) for seed in seeds)]
        for grid in (pitch_grid(patches(version), RATE_HZ) for version in versions):
            if grid is not None and len(grid.notes) >= key.FEWEST_FRAMES:
                grids.append(grid)
                truth.append(KEY_NAMES.index(name))
                kinds.append(kind)
    return grids, np.array(truth), np.array(kinds)


def write(
    grids: list[PitchGrid],
    truth: np.ndarray,
    kinds: np.ndarray,
    real: list[tuple[bool, Float32]],
    drums: list[Float32],
) -> None:
    """Fits and writes. The detector sees the entropy of the classifier just fitted."""
    weights, bias = fitted(turned(np.array([tonal_rows(grid) for grid in grids])), truth, kinds)
    key.WEIGHTS, key.BIAS = weights.reshape(2, ROWS, 12), bias
    recorded = [(is_music, pitch_grid(patches(samples), RATE_HZ)) for is_music, samples in real]
    music = [grid for is_music, grid in recorded if is_music] + grids[::20]
    other = [grid for is_music, grid in recorded if not is_music]
    other += [pitch_grid(patches(samples), RATE_HZ) for samples in (*noises(), *drums)]
    TARGET.write_text(source(weights, bias, fitted_detector(music, other)), encoding="utf-8")


if __name__ == "__main__":
    main()
