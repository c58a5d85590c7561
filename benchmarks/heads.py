"""Heads at scale: seconds and peak memory of fitting 400 tags on memory-mapped embeddings.

python -m benchmarks.heads [--tracks 200000] [--dim 600] [--tags 400] [--folder /tmp]

Tags are drawn from random directions of the embeddings, the rarest on one track in a thousand; an eighth of the tracks
more is validation. The time per track and tag is what is extrapolated to other sizes.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from models.evaluation.metrics import roc_auc
from models.heads.calibration import calibrate, thresholds
from models.heads.head_fitting import fit_heads
from models.heads.heads import Group, Layout, published
from models.heads.labelled import Labelled
from models.trunks.blocks import Block

BLOCK = 20_000


def write_rows(folder: Path, name: str, rows: int, dim: int, tags: int, seed: int) -> Labelled:
    """Rows on disk: float16 embeddings, uint8 targets and mask."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(0).normal(size=(dim, tags)).astype(np.float32) / np.sqrt(dim)
    rarity = np.geomspace(0.3, 0.001, tags)
    shapes = {"embeddings": (dim, np.float16), "targets": (tags, np.uint8), "mask": (tags, np.uint8)}
    arrays = {
        part: np.memmap(folder / f"{name}.{part}", kind, "w+", shape=(rows, width))
        for part, (width, kind) in shapes.items()
    }
    cuts = np.quantile(2 * rng.normal(size=(20_000, 1)) + rng.logistic(size=(20_000, 1)), 1 - rarity)
    for begin in range(0, rows, BLOCK):
        count = min(BLOCK, rows - begin)
        x = rng.normal(size=(count, dim)).astype(np.float32)
        arrays["embeddings"][begin : begin + count] = x
        arrays["targets"][begin : begin + count] = 2 * (x @ directions) + rng.logistic(size=(count, tags)) > cuts
        arrays["mask"][begin : begin + count] = 1
    return Labelled(**arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=600)
    parser.add_argument("--tags", type=int, default=400)
    parser.add_argument("--folder", help="where the rows are written (default: the temporary folder)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="heads-", dir=args.folder) as name:
        held_out = min(args.tracks // 8, 100_000)
        train, validation = (
            write_rows(Path(name), split, rows, args.dim, args.tags, seed)
            for split, rows, seed in (("train", args.tracks, 1), ("validation", held_out, 2))
        )
        layout = Layout(
            groups=(Group(name="tag", kind="multilabel", columns=tuple(range(args.tags))),), edges=(), size=args.tags
        )
        blocks = (Block(name="trunk", spans=((0, args.dim),), learned=True),)
        before, start = _peak_mb(), time.perf_counter()
        fitted = fit_heads(train, validation, layout, blocks)
        fit_s = time.perf_counter() - start
        heads = calibrate(fitted.heads, fitted.logits, fitted.targets, fitted.mask, layout)
        scores = published(fitted.logits, heads, layout)
        thresholds(scores, fitted.targets, fitted.mask, layout)
        total_s = time.perf_counter() - start
        areas = [roc_auc(fitted.targets[:, tag] > 0, scores[:, tag]) for tag in range(0, args.tags, 10)]
    print(f"{args.tracks} tracks x {args.tags} tags x {args.dim} values: heads {fit_s:.0f} s, ", end="")
    print(f"calibration and thresholds {total_s - fit_s:.0f} s; peak memory {_peak_mb():.0f} MB ({before:.0f} before)")
    print(f"{1e9 * fit_s / args.tracks / args.tags:.0f} ns a track and tag; mean ROC-AUC {np.mean(areas):.3f}")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
