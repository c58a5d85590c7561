"""Quality on real recordings by what the heads stand on, and by the number of labels: the README's advice.

python -m benchmarks.real_data --data ../shared/data/dev --musicnn FOLDER [--cache FILE.npz] [--tasks esc10,families]

`--data` holds `manifest.csv` (track_id, path, tags, group_id, fold); `--musicnn` what `import-model musicnn` wrote.
Tracks are embedded and heads fitted by the functions that `train` uses. ESC-10 by its official folds; the others over
five folds that part no artist, every track scored once by heads that saw nothing of its artist. Intervals: 95 % of
resamples of artists.
"""

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.real_tasks import FOLDS, Task, read_rows, read_tasks
from models.embedding.blocks import Block
from models.embedding.statistics import LATEST, STATISTICS_BY_VERSION
from models.fitting.baselines import mel_moments
from models.fitting.calibration import calibrate
from models.fitting.category_fitting import FittedHeads
from models.fitting.head_fitting import fit_heads
from models.fitting.labelled import LabelledRows
from models.scoring.heads import published, raw_logits
from models.scoring.metrics import expected_calibration_error, pr_auc, roc_auc
from models.trunks.loading import load_embedder
from transforms.audio.errors import TrackError
from transforms.audio.limits import Limits
from transforms.features.extract import extract
from transforms.features.spec import FeatureSpec

RESAMPLES = 500
SIZES = (40, 60, 80, 160)

SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "mel moments (baseline)": ("moments",),
    "statistics": ("statistics",),
    "MusiCNN (MTT), frozen": ("musicnn-mtt",),
    "MusiCNN (MTT) + statistics": ("musicnn-mtt", "statistics"),
    "MusiCNN (MTT, MSD) + statistics": ("musicnn-mtt", "musicnn-msd", "statistics"),
}


def embed(files: Mapping[str, Path], musicnn: Path) -> dict[str, np.ndarray]:
    """`<block>/<track_id>` -> values, float32, as `train` would pool them; of tracks that are long enough."""
    default, found = FeatureSpec(), {}
    embedders = {name: load_embedder(str(musicnn / name), threads=2) for name in ("musicnn-mtt", "musicnn-msd")}
    tracks = list(files)
    for batch in (tracks[i : i + 16] for i in range(0, len(tracks), 16)):
        ids, heard = [], []
        for track in batch:
            audio = files[track].read_bytes()
            try:
                patches = extract(audio, default, Limits()).patches
                heard.append(extract(audio, dataclasses.replace(default, compression="log10p1"), Limits()).patches)
            except TrackError:
                continue  # shorter than the spec allows
            ids.append(track)
            found[f"moments/{track}"] = mel_moments(patches)
            found[f"statistics/{track}"] = (
                STATISTICS_BY_VERSION[LATEST](patches, "db").astype(np.float16).astype(np.float32)
            )
        for name, embedder in embedders.items():
            found |= {f"{name}/{i}": values for i, values in zip(ids, embedder.embed(heard), strict=True)}
    return found


def cached_embeddings(data: Path, musicnn: Path, cache: Path | None) -> dict[str, np.ndarray]:
    """Those of the file, or those of the manifest's clips, kept there."""
    if cache and cache.exists():
        with np.load(cache, allow_pickle=False) as kept:
            return dict(kept)
    found = embed({row["track_id"]: data / row["path"] for row in read_rows(data)}, musicnn)
    if cache:
        np.savez(cache, **found)
    return found


def embedded(found: Mapping[str, np.ndarray]) -> set[str]:
    """Tracks that are there."""
    return {name.partition("/")[2] for name in found if name.startswith("moments/")}


def held_out_scores(
    task: Task, values: list[np.ndarray], fold: np.ndarray, most: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Each clip's scores, before and after calibration, by heads fitted on the other folds or `most` clips of them."""
    raw, calibrated = np.zeros(task.targets.shape), np.zeros(task.targets.shape)
    embeddings, blocks = np.hstack(values), _blocks(values)
    for k in np.unique(fold):
        rows = np.flatnonzero(fold != k)
        if most is not None and most < len(rows):
            rows = np.sort(np.random.default_rng(int(k)).choice(rows, most, replace=False))
        fitted, logits = _fitted(task, embeddings, blocks, rows, fold == k)
        heads = calibrate(fitted.heads, fitted.logits, fitted.targets, fitted.mask, task.layout)
        raw[fold == k] = published(logits, fitted.heads, task.layout)
        calibrated[fold == k] = published(logits, heads, task.layout)
    return raw, calibrated


def _blocks(values: list[np.ndarray]) -> list[Block]:
    ends = np.cumsum([0, *(block.shape[1] for block in values)])
    return [Block(name=str(i), spans=((int(ends[i]), int(ends[i + 1])),)) for i in range(len(values))]


def _fitted(
    task: Task, embeddings: np.ndarray, blocks: list[Block], rows: np.ndarray, rest: np.ndarray
) -> tuple[FittedHeads, np.ndarray]:
    """Heads fitted on some rows, and their logits of the others."""
    groups = tuple(task.groups[row] for row in rows)
    mask = np.ones_like(task.targets)
    train = LabelledRows(embeddings=embeddings[rows], targets=task.targets[rows], mask=mask[rows], groups=groups)
    nothing = LabelledRows(embeddings=embeddings[:0], targets=task.targets[:0], mask=mask[:0])
    fitted = fit_heads(train, nothing, task.layout, blocks)
    return fitted, raw_logits(embeddings[rest], fitted.heads)


def calibration_error(task: Task, scores: np.ndarray) -> float:
    """Mean over the tags, of clips that neither heads nor calibration were fitted on."""
    found = [expected_calibration_error(task.targets[:, tag], scores[:, tag]) for tag in range(scores.shape[1])]
    return float(np.mean(found))


def measures(task: Task, scores: np.ndarray) -> dict[str, str]:
    """Accuracy, or macro ROC-AUC and PR-AUC, each with its interval over groups."""
    if task.multiclass:
        hits = scores.argmax(axis=1) == task.targets.argmax(axis=1)
        return {"accuracy": _interval(hits.mean(), [hits[rows].mean() for rows in _resamples(task)])}
    found = {}
    for name, measure in (("ROC-AUC", roc_auc), ("PR-AUC", pr_auc)):
        found[name] = _interval(
            macro(measure, task.targets, scores),
            [macro(measure, task.targets[rows], scores[rows]) for rows in _resamples(task)],
        )
    return found


def macro(measure: Callable[[np.ndarray, np.ndarray], float | None], targets: np.ndarray, scores: np.ndarray) -> float:
    values = [measure(targets[:, tag] > 0, scores[:, tag]) for tag in range(targets.shape[1])]
    return float(np.mean([value for value in values if value is not None]))


def _resamples(task: Task) -> Iterator[np.ndarray]:
    names, codes = np.unique(task.groups, return_inverse=True)
    places = [np.flatnonzero(codes == code) for code in range(len(names))]
    rng = np.random.default_rng(0)
    for _ in range(RESAMPLES):
        yield np.concatenate([places[code] for code in rng.integers(len(names), size=len(names))])


def _interval(value: float, resampled: list[float]) -> str:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return f"{value:.3f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--musicnn", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="embeddings are kept there")
    parser.add_argument("--tasks", default="esc10,families,instruments")
    parser.add_argument("--curves", action="store_true", help="also by the number of training clips")
    parser.add_argument("--calibration", action="store_true", help="also the calibration error, before and after")
    args = parser.parse_args()
    found = cached_embeddings(args.data, args.musicnn, args.cache)
    tasks = read_tasks(args.data, embedded(found))
    with threadpool_limits(1):
        for name in args.tasks.split(","):
            report(tasks[name], found, curves=args.curves, calibration=args.calibration)


def report(task: Task, found: Mapping[str, np.ndarray], *, curves: bool, calibration: bool) -> None:
    """One line per system, printed as soon as it is known; then one per number of clips."""
    fold = task.dealt()
    tags = f"{task.targets.shape[1]} tags, {len(set(task.groups))} artists"
    print(f"\n{task.name}: {len(task.ids)} clips, {tags}", flush=True)
    shares = np.repeat(task.targets.mean(axis=0, keepdims=True), len(task.ids), axis=0)
    _print_line("prevalence (baseline)", measures(task, shares))
    for system, blocks in SYSTEMS.items():
        values = [np.array([found[f"{block}/{track}"] for track in task.ids]) for block in blocks]
        raw, calibrated = held_out_scores(task, values, fold)
        line = measures(task, raw)
        if calibration:
            line["calibration error"] = " -> ".join(f"{calibration_error(task, s):.3f}" for s in (raw, calibrated))
        if curves:
            for most in (size for size in SIZES if size < len(task.ids) * (FOLDS - 1) / FOLDS):
                few, _ = held_out_scores(task, values, fold, most)
                line[f"{most} clips"] = next(iter(measures(task, few).values()))
        _print_line(system, line)


def _print_line(system: str, line: Mapping[str, str]) -> None:
    print(f"| {system} | " + " | ".join(f"{name} {value}" for name, value in line.items()) + " |", flush=True)


if __name__ == "__main__":
    main()
