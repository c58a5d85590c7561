"""Precision of similarity on real recordings, and the weight of tags: the table of `docs/quality.md`.

python -m benchmarks.retrieval --data ../shared/data/dev --musicnn FOLDER [--cache FILE.npz]

`--data` and `--musicnn` as in `benchmarks.real_data`. Of each clip with a label, the ten most similar clips of other
groups (artists, speakers, sources) are taken; precision@10 is the share of them that have a label in common. Clips with
fewer than three such clips are left out. Scores of tags are those of heads that were fitted on other groups.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.real_data import cached_embeddings, embedded, held_out_scores
from benchmarks.real_tasks import Task, read_rows, read_tasks
from transforms.discovery.similarity import SimilaritySpec, Space

RESULTS, LEAST_RELEVANT = 10, 3
LABELS = ("instrument", "family", "sound", "genre")
WEIGHTS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
BLOCKS = ("musicnn-mtt", "musicnn-msd", "statistics")


def precision(vectors: np.ndarray, labels: list[set[str]], groups: np.ndarray) -> float:
    """Precision@10 of clips with labels, clips of the same group left out."""
    own = np.flatnonzero([bool(found) for found in labels])
    unit = vectors[own] / np.maximum(np.linalg.norm(vectors[own], axis=1, keepdims=True), 1e-9)
    apart = groups[own][:, None] != groups[own]
    shared = np.array([[bool(labels[a] & labels[b]) for b in own] for a in own])
    best = np.argsort(-np.where(apart, unit @ unit.T, -9), axis=1, kind="stable")[:, :RESULTS]
    hits = np.take_along_axis(shared, best, 1).mean(1)
    return float(hits[(shared & apart).sum(1) >= LEAST_RELEVANT].mean())


def vectors_of(embeddings: np.ndarray, scores: np.ndarray | None = None, weight: float = 0.0) -> np.ndarray:
    """Vectors of the space that is fitted to these clips."""
    spec = SimilaritySpec(embedding_id="em-benchmark", tag_weight=weight)
    scores = np.zeros((len(embeddings), 0), np.float32) if scores is None else scores.astype(np.float32)
    tags = [f"tag/{i}" for i in range(scores.shape[1])]
    return Space.fit(spec, embeddings, scores, tags, ["tag"] * len(tags)).vectors(embeddings, scores)


def systems(found: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """(name, vectors) of each system."""
    everything = np.hstack([found[block] for block in BLOCKS])
    yield "plain cosine, statistics", found["statistics"]
    yield "plain cosine, MusiCNN (MTT)", found["musicnn-mtt"]
    yield "plain cosine, MusiCNN (MTT, MSD) + statistics", everything
    yield "similarity, statistics", vectors_of(found["statistics"])
    yield "similarity, MusiCNN (MTT)", vectors_of(found["musicnn-mtt"])
    yield "similarity, MusiCNN (MTT, MSD) + statistics", vectors_of(everything)


def weights(found: dict[str, np.ndarray], rows: list[dict[str, str]], task: Task) -> Iterator[tuple[float, float]]:
    """(weight of the tags, precision@10 of shared tags) for the clips of a task, tags by heads of other groups."""
    places = {row["track_id"]: i for i, row in enumerate(rows)}
    own = [places[i] for i in task.ids]
    values = [found[block][own] for block in BLOCKS]
    _, scores = held_out_scores(task, values, task.dealt())
    labels = [{t for t, hit in zip(task.tags, target, strict=True) if hit > 0} for target in task.targets]
    for weight in WEIGHTS:
        vectors = vectors_of(np.hstack(values), scores, weight)
        yield weight, precision(vectors, labels, np.array(task.groups))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--musicnn", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    args = parser.parse_args()
    kept = cached_embeddings(args.data, args.musicnn, args.cache)
    rows = [row for row in read_rows(args.data) if row["track_id"] in embedded(kept)]
    found = {block: np.stack([kept[f"{block}/{row['track_id']}"] for row in rows]) for block in BLOCKS}
    groups = np.array([row["group_id"] for row in rows])
    tags = [set(row["tags"].split("|")) for row in rows]
    labels = {name: [{t for t in own if t.startswith(f"{name}---")} for own in tags] for name in LABELS}
    with threadpool_limits(1, "blas"):
        print("| system | " + " | ".join(LABELS) + " |\n|---|" + "---:|" * len(LABELS))
        for name, vectors in systems(found):
            figures = " | ".join(f"{precision(vectors, labels[label], groups):.3f}" for label in LABELS)
            print(f"| {name} | {figures} |", flush=True)
        for task in read_tasks(args.data, embedded(kept)).values():
            figures = " | ".join(f"{value:.3f}" for _, value in weights(found, rows, task))
            print(f"| {task.name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
