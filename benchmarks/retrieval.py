"""Precision of similarity on real recordings, and the weight of tags: the tables of `docs/quality.md`.

python -m benchmarks.retrieval --data ../shared/data/dev --musicnn FOLDER [--cache FILE.npz]

`--data` and `--musicnn` as in `benchmarks.real_data`. Of each clip with a label, the ten most similar clips of other
groups (artists, speakers, sources) are taken; precision@10 is the share of them that have a label in common. Clips with
fewer than three such clips are left out. Spaces are fitted to all clips, or to the clips with a label alone, as those
of small catalogs are. Same-source hit@10 is the share of clips that have a clip of their group among the ten most
similar clips. Scores of tags are those of the imported bundles, or of heads that were fitted on other groups. Intervals
of differences: 95 % of bootstrap resamples of groups, paired.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.intervals import mean_interval
from benchmarks.real_data import cached_embeddings, embedded, held_out_scores
from benchmarks.real_tasks import Task, read_rows, read_tasks
from models.bundles.tagger_bundle import load_bundle
from transforms.discovery.index.damping import DAMPING
from transforms.discovery.index.ranking import DENSITY
from transforms.discovery.similarity import UNCALIBRATED_WEIGHT, SimilaritySpec, Space
from transforms.schemas.embedding_parts import EmbeddingPart, PartKind

RESULTS, LEAST_RELEVANT = 10, 3
LABELS = ("instrument", "family", "sound", "genre")
WEIGHTS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
NETWORKS = ("musicnn-mtt", "musicnn-msd")
STATISTICS = "statistics"


class Clips(NamedTuple):
    """Clips: their blocks by name float32 [n, size], groups [n], and labels by name."""

    found: dict[str, np.ndarray]
    groups: np.ndarray
    labels: dict[str, list[set[str]]]

    def chosen(self, rows: np.ndarray) -> "Clips":
        labels = {name: [own[row] for row in rows] for name, own in self.labels.items()}
        return Clips({name: values[rows] for name, values in self.found.items()}, self.groups[rows], labels)


Similarities = Callable[[Clips], np.ndarray]
"""Similarities of all pairs of clips: float64 [n, n]."""


def hits(near: np.ndarray, labels: Sequence[set[str]], groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision@10 of each clip that is counted, and its group; clips of the same group are left out."""
    own = np.flatnonzero([bool(found) for found in labels])
    apart = groups[own][:, None] != groups[own]
    shared = np.array([[bool(labels[a] & labels[b]) for b in own] for a in own])
    best = np.argsort(-np.where(apart, near[np.ix_(own, own)], -9), axis=1, kind="stable")[:, :RESULTS]
    counted = (shared & apart).sum(1) >= LEAST_RELEVANT
    return np.take_along_axis(shared, best, 1).mean(1)[counted], groups[own][counted]


def precision(vectors: np.ndarray, labels: Sequence[set[str]], groups: np.ndarray) -> float:
    """Precision@10 by cosine."""
    return float(hits(cosines(vectors), labels, groups)[0].mean())


def same_source(near: np.ndarray, groups: np.ndarray) -> float:
    """Share of the clips of larger groups that have a clip of their group among the ten most similar ones."""
    same = (groups[:, None] == groups) & ~np.eye(len(groups), dtype=bool)
    found = np.take_along_axis(same, _ten_nearest(near), 1).any(1)
    return float(found[same.any(1)].mean())


def hubness(near: np.ndarray) -> tuple[float, float]:
    """Skewness of how often clips are among the ten most similar ones, and the share that never are."""
    counts = np.bincount(_ten_nearest(near).ravel(), minlength=len(near))
    return float(np.power(counts - counts.mean(), 3).mean() / counts.std() ** 3), float((counts == 0).mean())


def _ten_nearest(near: np.ndarray) -> np.ndarray:
    return np.argsort(-np.where(np.eye(len(near), dtype=bool), -9, near), axis=1, kind="stable")[:, :RESULTS]


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit @ unit.T


def damped(near: np.ndarray) -> np.ndarray:
    """Hubs ranked lower, as `neighbours` does it."""
    others = np.where(np.eye(len(near), dtype=bool), -9, near)
    return near - DAMPING * np.sort(others, axis=1)[:, -DENSITY:].mean(1)


def embeddings_of(clips: Clips, networks: Sequence[str], statistics: bool) -> tuple[np.ndarray, list[EmbeddingPart]]:
    """Track embeddings as a bundle with these networks makes them, and their parts."""
    found, parts = [], []
    kinds: tuple[tuple[PartKind, int], ...] = (("mean", 0), ("deviation", 1))
    for kind, half in kinds:
        for name in networks:
            found.append(np.array_split(clips.found[name], 2, axis=1)[half])
            parts.append((name, kind))
    if statistics:
        found.append(clips.found[STATISTICS])
        parts.append((STATISTICS, STATISTICS))
    ends = np.cumsum([0, *(values.shape[1] for values in found)]).tolist()
    named = [
        EmbeddingPart(name=name, kind=kind, start=start, stop=stop)
        for (name, kind), start, stop in zip(parts, ends, ends[1:], strict=False)
    ]
    return np.hstack(found), named


def vectors_of(
    embeddings: np.ndarray,
    parts: Sequence[EmbeddingPart],
    scores: np.ndarray | None = None,
    weight: float = 0.0,
    tags: Sequence[str] | None = None,
) -> np.ndarray:
    """Vectors of the space that is fitted to these clips."""
    spec = SimilaritySpec(embedding_id="em-benchmark", tag_weight=weight, parts=tuple(parts))
    scores = np.zeros((len(embeddings), 0), np.float32) if scores is None else scores.astype(np.float32)
    tags = [f"tag/{i}" for i in range(scores.shape[1])] if tags is None else tags
    categories = [tag.partition("/")[0] for tag in tags]
    return Space.fit(spec, embeddings, scores, tags, categories).vectors(embeddings, scores)


def systems(musicnn: Path) -> dict[str, Similarities]:
    """Name -> similarities of each system."""
    bundles = {name: load_bundle(str(musicnn / name)) for name in NETWORKS}

    def means(*networks: str) -> Similarities:
        return lambda clips: cosines(np.hstack([np.array_split(clips.found[name], 2, axis=1)[0] for name in networks]))

    def plain(*networks: str) -> Similarities:
        return lambda clips: cosines(embeddings_of(clips, networks, True)[0])

    def similar(*networks: str, parts: bool = True) -> Similarities:
        def near(clips: Clips) -> np.ndarray:
            values, named = embeddings_of(clips, networks, statistics=len(networks) != 1)
            return cosines(vectors_of(values, named if parts else ()))

        return near

    def tagged(name: str) -> Similarities:
        def near(clips: Clips) -> np.ndarray:
            scores = bundles[name].score(clips.found[name])
            values, parts = embeddings_of(clips, [name], False)
            return cosines(vectors_of(values, parts, scores, UNCALIBRATED_WEIGHT, bundles[name].taxonomy.tag_ids))

        return near

    def lower(near: Similarities) -> Similarities:
        return lambda clips: damped(near(clips))

    mtt, msd = NETWORKS
    return {
        "plain cosine, statistics": plain(),
        "plain cosine, means of MTT": means(mtt),
        "plain cosine, means of MSD": means(msd),
        "plain cosine, means of both": means(mtt, msd),
        "plain cosine, whole embedding": plain(mtt, msd),
        "all values standardised, as before version 2": similar(mtt, msd, parts=False),
        "similarity, statistics": similar(),
        "similarity, MTT": similar(mtt),
        "similarity, MSD": similar(msd),
        "similarity, whole embedding": similar(mtt, msd),
        "similarity, whole embedding, hubs lower": lower(similar(mtt, msd)),
        "similarity, MTT with its tags": tagged(mtt),
        "similarity, MSD with its tags": tagged(msd),
    }


PAIRS = (
    ("similarity, MTT", "plain cosine, means of MTT"),
    ("similarity, MSD", "plain cosine, means of MSD"),
    ("similarity, whole embedding", "plain cosine, means of both"),
    ("similarity, whole embedding", "plain cosine, whole embedding"),
    ("similarity, whole embedding", "all values standardised, as before version 2"),
)


def precision_lines(clips: Clips, known: dict[str, Similarities], *, alone: bool) -> Iterator[str]:
    """A line for each system, then for each of `PAIRS`; `alone`: spaces are fitted to the clips with a label alone."""
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    own = {name: np.flatnonzero([bool(each) for each in clips.labels[name]]) for name in LABELS}
    for name, near in known.items():
        whole = None if alone else near(clips)
        found[name] = []
        for label in LABELS:
            few = clips.chosen(own[label])
            pairs = near(few) if whole is None else whole[np.ix_(own[label], own[label])]
            found[name].append(hits(pairs, few.labels[label], few.groups))
        figures = [f"{values.mean():.3f}" for values, _ in found[name]]
        if whole is not None:
            skewness, never = hubness(whole)
            figures += [f"{same_source(whole, clips.groups):.3f}", f"{skewness:.2f}", f"{never:.3f}"]
        yield f"| {name} | " + " | ".join(figures) + " |"
    for one, other in PAIRS:
        both = zip(found[one], found[other], strict=True)
        gains = [mean_interval(a - b, groups) for (a, groups), (b, _) in both]
        yield f"| {one} - {other} | " + " | ".join(gains) + " |"


def weights(clips: Clips, rows: list[dict[str, str]], task: Task) -> Iterator[tuple[float, float]]:
    """(weight of the tags, precision@10 of shared tags) for the clips of a task, tags by heads of other groups."""
    places = {row["track_id"]: i for i, row in enumerate(rows)}
    few = clips.chosen(np.array([places[i] for i in task.ids]))
    values, parts = embeddings_of(few, NETWORKS, True)
    _, scores = held_out_scores(task, [few.found[name] for name in (*NETWORKS, STATISTICS)], task.dealt())
    labels = [{t for t, hit in zip(task.tags, target, strict=True) if hit > 0} for target in task.targets]
    for weight in WEIGHTS:
        yield weight, precision(vectors_of(values, parts, scores, weight), labels, np.array(task.groups))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--musicnn", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    args = parser.parse_args()
    kept = cached_embeddings(args.data, args.musicnn, args.cache)
    rows = [row for row in read_rows(args.data) if row["track_id"] in embedded(kept)]
    found = {name: np.stack([kept[f"{name}/{row['track_id']}"] for row in rows]) for name in (*NETWORKS, STATISTICS)}
    tags = [set(row["tags"].split("|")) for row in rows]
    labels = {name: [{t for t in own if t.startswith(f"{name}---")} for own in tags] for name in LABELS}
    clips, known = Clips(found, np.array([row["group_id"] for row in rows]), labels), systems(args.musicnn)
    with threadpool_limits(1, "blas"):
        for alone in (False, True):
            columns = [*LABELS, *([] if alone else ["same source", "skewness", "never"])]
            print("\n| system | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
            for line in precision_lines(clips, known, alone=alone):
                print(line, flush=True)
        print()
        for task in read_tasks(args.data, embedded(kept)).values():
            figures = " | ".join(f"{value:.3f}" for _, value in weights(clips, rows, task))
            print(f"| {task.name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
