"""Is the strength that cross-validation chooses near the best one? On resampled subsets of the real clips.

python -m benchmarks.strengths --data ../shared/data/dev --musicnn FOLDER [--cache FILE.npz] [--draws 20]

Each draw takes that many clips, whole artists at a time, chooses on them as `train` does and rates every strength on
all other clips. Printed: the measure (accuracy, or macro ROC-AUC) of the chosen strength, of the one strength that is
best over all draws (seen only with the answers), and of strengths ten times off that one.
"""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.real_data import cached_embeddings, embedded, macro
from benchmarks.real_tasks import Task, read_tasks
from models.fitting.labelled import standardiser
from models.fitting.logistic import LogisticProblem, path
from models.fitting.strengths import STRENGTHS, cross_validated, scaled_columns
from models.scoring.metrics import roc_auc

SYSTEMS = {
    "statistics": ("statistics",),
    "MusiCNN (MTT)": ("musicnn-mtt",),
    "MusiCNN (MTT, MSD)": ("musicnn-mtt", "musicnn-msd"),
    "MusiCNN (MTT) + statistics": ("musicnn-mtt", "statistics"),
}
SIZES = (40, 80, 160)
TENFOLD = 4
"""Steps of the grid from a strength to one ten times as large."""


def drawn(task: Task, size: int, draw: int) -> np.ndarray:
    """Which rows a draw takes, bool [n]: about so many, whole groups at a time."""
    names, codes = np.unique(task.groups, return_inverse=True)
    counts = np.bincount(codes)
    taken = np.zeros(len(names), bool)
    for group in np.random.default_rng([draw, size]).permutation(len(names)).tolist():
        if counts[taken].sum() + counts[group] <= 1.1 * size:
            taken[group] = True
        if counts[taken].sum() >= size:
            break
    return taken[codes]


def rated(task: Task, values: list[np.ndarray], taken: np.ndarray) -> tuple[np.ndarray, int]:
    """The measure of each strength on clips that were not drawn [strengths], and the place of the chosen one."""
    together = np.hstack(values)
    mean, scale = standardiser(together[taken])
    x, y = (together - mean) / scale, task.targets.astype(np.float64)
    ends = np.cumsum([0, *(block.shape[1] for block in values)])
    columns = [np.arange(begin, end) for begin, end in itertools.pairwise(ends)]
    groups = tuple(np.array(task.groups, dtype=object)[taken])
    rows = LogisticProblem(
        x=x[taken], y=y[taken], mask=np.ones_like(y[taken]), multiclass=task.multiclass, groups=groups
    )
    choice = cross_validated(rows, columns)
    factors = scaled_columns(columns, choice.scales, x.shape[1])
    used = np.flatnonzero(factors)
    scaled = LogisticProblem(x=rows.x[:, used] * factors[used], y=rows.y, mask=rows.mask, multiclass=task.multiclass)
    rest = x[~taken][:, used] * factors[used]
    found = [
        _measure(task, y[~taken], rest @ solution.weights + solution.bias)
        for solution in path(scaled, STRENGTHS, tolerance=1e-6)
    ]
    return np.array(found), STRENGTHS.index(choice.strength)


def _measure(task: Task, targets: np.ndarray, logits: np.ndarray) -> float:
    if task.multiclass:
        return float(np.mean(logits.argmax(axis=1) == targets.argmax(axis=1)))
    return macro(roc_auc, targets, logits)


def sizes_of(task: Task) -> Iterator[int]:
    """How many clips are drawn, up to four of five."""
    most = len(task.ids) * 4 // 5
    yield from (size for size in SIZES if size < most)
    yield most


def report(task: Task, system: str, values: list[np.ndarray], size: int, draws: int) -> float:
    """Prints one line; the points that the choice loses."""
    runs = [rated(task, values, drawn(task, size, draw)) for draw in range(draws)]
    curves = np.array([curve for curve, _ in runs])
    chosen = float(np.mean([curve[place] for curve, place in runs]))
    mean = curves.mean(axis=0)
    best = int(mean.argmax())
    off = [f"{mean[n]:.3f}" if 0 <= (n := best + step) < len(mean) else "-" for step in (-TENFOLD, TENFOLD)]
    lost = 100 * (mean[best] - chosen)
    print(
        f"| {task.name} | {system} | {size} | {chosen:.3f} | {mean[best]:.3f} (at {STRENGTHS[best]:.3g}) "
        f"| {' / '.join(off)} | {lost:+.1f} |",
        flush=True,
    )
    return float(lost)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--musicnn", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="embeddings are kept there")
    parser.add_argument("--tasks", default="esc10,families,instruments,genres,digits")
    parser.add_argument("--draws", type=int, default=20)
    args = parser.parse_args()
    found = cached_embeddings(args.data, args.musicnn, args.cache)
    tasks = read_tasks(args.data, embedded(found))
    print("| task | heads on | clips | chosen | best in hindsight | ten times more / less | points lost |")
    with threadpool_limits(1):
        lost = [
            report(
                tasks[name],
                system,
                [np.array([found[f"{b}/{i}"] for i in tasks[name].ids]) for b in blocks],
                n,
                args.draws,
            )
            for name in args.tasks.split(",")
            for n in sizes_of(tasks[name])
            for system, blocks in SYSTEMS.items()
        ]
    print(f"points lost on the mean: {np.mean(lost):.2f}, at most {max(lost):.1f}")


if __name__ == "__main__":
    main()
