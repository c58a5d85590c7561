"""Heads at scale: seconds and memory of fitting, calibrating and rating 400 tags on the embeddings of many tracks.

python -m benchmarks.heads [--tracks 1600000] [--dim 400] [--tags 400]

Tags are drawn from random directions of the embeddings, the rarest on one track in a thousand; a tenth of the tracks
more is validation, another tenth test. Rows stand in temporary files as those of `train` do (TMPDIR says where), and
memory is what the kernel cannot give back: pages of files are not counted.
"""

import argparse
import threading
import time
from pathlib import Path

import numpy as np

from models.embedding.blocks import Block
from models.fitting.row_files import LabelledFiles
from models.fitting.rows import SplitRows
from models.fitting.tagger import TAGGER, build_tagger
from models.scoring.heads import Group, Layout

BLOCK = 20_000
TRACKS_PER_ARTIST = 20


def split_rows(rows: int, dim: int, tags: int, seed: int) -> SplitRows:
    """Tracks of one split: embeddings, and tags of which each follows a direction of them."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(0).normal(size=(dim, tags)).astype(np.float32) / np.sqrt(dim)
    rarity = np.geomspace(0.3, 0.001, tags)
    cuts = np.quantile(2 * rng.normal(size=(20_000, 1)) + rng.logistic(size=(20_000, 1)), 1 - rarity)
    files = LabelledFiles(dim, tags)
    for begin in range(0, rows, BLOCK):
        count = min(BLOCK, rows - begin)
        x = rng.normal(size=(count, dim)).astype(np.float16)
        y = 2 * (x.astype(np.float32) @ directions) + rng.logistic(size=(count, tags)) > cuts
        files.append(x, y, np.ones((count, tags), np.uint8))
    groups = tuple(f"{seed}-{row // TRACKS_PER_ARTIST}" for row in range(rows))
    return SplitRows(
        track_ids=tuple(f"{seed}-{row}" for row in range(rows)),
        groups=groups,
        durations_s=np.full(rows, 200.0),
        embedded=files.labelled(groups),
        moments=None,
    )


class _PeakMemory(threading.Thread):
    """The most memory of this process that is no page of a file, looked at all the time."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most_mb = 0.0
        self.start()

    def run(self) -> None:
        while True:
            lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
            now = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))
            self.most_mb = max(self.most_mb, now)
            time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in (("tracks", 1_600_000), ("dim", 400), ("tags", 400)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    sizes = {"train": args.tracks, "validation": args.tracks // 10, "test": args.tracks // 10}
    splits = {split: split_rows(size, args.dim, args.tags, seed) for seed, (split, size) in enumerate(sizes.items(), 1)}
    layout = Layout(
        groups=(Group(name="tag", kind="multilabel", columns=tuple(range(args.tags))),), edges=(), size=args.tags
    )
    blocks = (Block(name="trunk", spans=((0, args.dim),), learned=True),)
    memory, start = _PeakMemory(), time.perf_counter()
    tagger = build_tagger(splits, layout, tuple(f"tag/{n}" for n in range(args.tags)), blocks)
    total_s, peak_mb = time.perf_counter() - start, memory.most_mb
    print(f"{args.tracks} training tracks x {args.tags} tags x {args.dim} values: {total_s:.0f} s, {peak_mb:.0f} MB")
    print(f"{1e9 * total_s / args.tracks / args.tags:.0f} ns a track and tag")
    print(f"macro ROC-AUC of the test split {tagger.metrics['macro'][TAGGER]['test']['roc_auc']:.3f}")


if __name__ == "__main__":
    main()
