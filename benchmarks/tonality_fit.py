"""Fits the weights of the key classifier and of the detector of tonal music.

python -m benchmarks.tonality_fit --fonts FONT.sf2 [FONT.sf2 ...] --data ../shared/data/dev [--pieces 360]

Writes transforms/features/parameters/key_weights.py. Pieces are composed by `tonal_pieces` and rendered by fluidsynth;
a third of them get noise. The detector also learns from recordings: music against sounds and speech of the folder's
manifest.csv, whose groups with an odd hash are kept for `benchmarks.tonality`.
"""

import argparse
import csv
import subprocess
import tempfile
import zlib
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from benchmarks.tonal_pieces import Piece, compose, render
from transforms.features.parameters import key
from transforms.features.parameters.key import detector_values, key_probabilities
from transforms.features.parameters.keys import KEY_NAMES
from transforms.features.parameters.pitch import PitchGrid, pitch_grid
from transforms.features.parameters.tonal_features import ROWS, tonal_rows, turned

TARGET = Path("transforms/features/parameters/key_weights.py")
RATE_HZ = 16_000
PENALTY, DETECTOR_PENALTY = 1.0, 0.05
CHUNK = 72


def noisy(samples: np.ndarray, seed: int) -> np.ndarray:
    """A third of the pieces with white or dull noise, 5 to 30 dB below them."""
    rng = np.random.default_rng([seed, 7])
    if rng.random() >= 0.35:
        return samples
    noise = rng.standard_normal(len(samples)).astype(np.float32)
    if rng.random() < 0.5:
        noise = np.convolve(noise, np.ones(8, np.float32) / 8, "same")
    scale = np.sqrt(np.mean(samples**2) / np.mean(noise**2) * 10 ** (-rng.uniform(5, 30) / 10))
    return samples + noise * np.float32(scale)


def rendered(first: int, count: int, font: Path) -> list[tuple[str, np.ndarray]]:
    """Keys and samples of the pieces with seeds from `first` on."""
    found = []
    for start in range(first, first + count, CHUNK):
        pieces = [compose(seed) for seed in range(start, min(start + CHUNK, first + count))]
        with tempfile.TemporaryDirectory() as folder:
            sounds = render(pieces, font, Path(folder), RATE_HZ)
        found += [(p.key, noisy(x, start + i)) for i, (p, x) in enumerate(zip(pieces, sounds, strict=True))]
    return found


def drums_alone(count: int, font: Path) -> list[np.ndarray]:
    """Drums of composed pieces, without their other parts."""
    pieces, seed = [], 0
    while len(pieces) < count:
        piece = compose(seed)
        notes = tuple(n for n in piece.notes if n[4] == 9)
        seed += 1
        if notes:
            pieces.append(Piece(key=piece.key, notes=notes, programs=piece.programs, bend_cents=0.0))
    with tempfile.TemporaryDirectory() as folder:
        return render(pieces, font, Path(folder), RATE_HZ)


def recordings(data: Path, *, odd: bool) -> list[tuple[bool, np.ndarray]]:
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
    if grid is None or len(grid.notes) < 4:
        return None
    rows = tonal_rows(grid)
    return detector_values(grid, rows, key_probabilities(rows))


def fitted(pieces: list[tuple[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias of the key classifier; prints how well half of the pieces tell the keys of the others."""
    grids = [pitch_grid([samples], RATE_HZ) for _, samples in pieces]
    kept = [i for i, grid in enumerate(grids) if grid is not None and len(grid.notes) >= 4]
    views = turned(np.array([tonal_rows(grids[i]) for i in kept]))
    truth = np.array([KEY_NAMES.index(pieces[i][0]) for i in kept])
    half = len(kept) // 2  # The sound fonts come one after the other: each half is another font.
    right = np.zeros(len(kept), bool)
    for part in (np.arange(half), np.arange(half, len(kept))):
        others = np.setdiff1d(np.arange(len(kept)), part)
        weights, bias = key_weights(views[others], truth[others])
        scores = (views[part] @ weights.T + bias).transpose(0, 2, 1).reshape(-1, 24)
        right[part] = scores.argmax(axis=1) == truth[part]
    print(f"exact, fitted on the other font: {right.mean():.3f} of {len(kept)}")
    return key_weights(views, truth)


def fitted_detector(music: list[np.ndarray], other: list[np.ndarray]) -> np.ndarray:
    """Weights of the detector, from music and other sounds, with the classifier's weights in place."""
    values = [tonal_values(pitch_grid([samples], RATE_HZ)) for samples in (*music, *other)]
    truth = np.arange(len(values)) < len(music)
    kept = np.array([v is not None for v in values])
    return logistic(np.array([v for v in values if v is not None]), truth[kept])


def noises() -> list[np.ndarray]:
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
    parser.add_argument("--fonts", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--pieces", type=int, default=720, metavar="N", help="pieces of each font")
    args = parser.parse_args()
    pieces = [p for i, font in enumerate(args.fonts) for p in rendered(12_000 * i, args.pieces, font)]
    drums = [x for font in args.fonts for x in drums_alone(24, font)]
    write(pieces, recordings(args.data, odd=False), drums)


def write(pieces: list[tuple[str, np.ndarray]], real: list[tuple[bool, np.ndarray]], drums: list[np.ndarray]) -> None:
    """Fits and writes. The detector sees the entropy of the classifier just fitted."""
    weights, bias = fitted(pieces)
    key.WEIGHTS, key.BIAS = weights.reshape(2, ROWS, 12), bias
    music = [x for is_music, x in real if is_music] + [x for _, x in pieces[::10]]
    other = [x for is_music, x in real if not is_music] + noises() + drums
    TARGET.write_text(source(weights, bias, fitted_detector(music, other)), encoding="utf-8")


if __name__ == "__main__":
    main()
