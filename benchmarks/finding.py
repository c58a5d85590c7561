"""Walks, playlists and recommendations on many tracks: without and with the table of neighbours and the search index.

python -m benchmarks.finding --tracks 200000 [--pairs 20]

The table has no tags. Its embeddings are smooth functions of 8 hidden values of each track, with noise: from any track
there is a way to any other, as there is in music. (The clusters of `benchmarks.neighbours` are islands: neighbours of
their tracks are in the same cluster.) Both snapshots have the same rows, so answers must be the same, but for walks.
Times are core seconds of one request after another, the opening of the table included.
"""

import argparse
import itertools
import json
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.machine import describe_machine
from benchmarks.neighbours import DIMENSIONS, published
from pipelines.jobs.discovery.neighbours import make_settings, models_of, publish_neighbours
from transforms.discovery.neighbour_graph import NeighbourGraph
from transforms.discovery.playlists.making import make_playlist
from transforms.discovery.playlists.request import PlaylistRequest
from transforms.discovery.recommendations import recommend
from transforms.discovery.walk import Walk, find_walk
from transforms.find_neighbours import find_neighbours
from transforms.table.reader import SnapshotReader, open_snapshot

BETWEEN = (6, 12, 24)
HIDDEN, NOISE = 8, 0.15


def smooth(tracks: int) -> np.ndarray:
    """Unit vectors that depend on a few hidden values: float32 [n, 256]."""
    rng = np.random.default_rng(3)
    hidden = rng.normal(size=(tracks, HIDDEN))
    waves = np.sin(hidden @ rng.normal(size=(HIDDEN, DIMENSIONS)) * 0.5 + rng.uniform(0, 2 * np.pi, DIMENSIONS))
    found = waves + NOISE * rng.normal(size=waves.shape)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float16).astype(np.float32)


def made_table(root: str, tracks: int) -> None:
    """Publishes the tracks, and then their neighbours."""
    published(root, [f"track-{row:09d}" for row in range(tracks)], smooth(tracks), {})
    snapshot = open_snapshot(root)
    args = types.SimpleNamespace(table=root, neighbours=20, probes=24, tag_weight=0.0, refit=False)
    made = make_settings(args, snapshot)
    models_of(snapshot, made)
    find_neighbours(made.work)
    publish_neighbours(root, snapshot, made)


def steps_of(walk: Walk) -> dict[str, float]:
    """Angle of the mean and of the largest step, divided by the angle between the ends, and their evenness."""
    angles = np.arccos(np.clip([step.from_last for step in walk.steps[1:]], -1, 1))
    direct = float(np.arccos(np.clip(walk.steps[-1].to_first, -1, 1)))
    ids = [step.track_id for step in walk.steps]
    return {
        "mean_step": float(angles.mean()) / direct,
        "largest_step": float(angles.max()) / direct,
        "deviation": float(angles.std()) / direct,
        "between": len(ids) - 2,
        "repeats": len(ids) - len(set(ids)),
        "of_neighbours": float(walk.is_of_neighbours),
    }


def walk_figures(before: SnapshotReader, after: SnapshotReader, pairs: list[tuple[str, str]]) -> Iterator[dict]:
    """Figures of walks between pairs of tracks, along the arc and along mutual neighbours.

    Those of the index are what `path` does; the graph that the others use is read once.
    """
    start = time.process_time()
    graph = NeighbourGraph.of(after)
    assert graph is not None
    built = time.process_time() - start
    edges = round(len(graph.ends) / max(len(graph.track_ids), 1), 2)
    yield {"system": "graph", "core_s": round(built, 2), "mb": round(graph.nbytes / 1e6), "edges_of_a_track": edges}
    ways: dict[str, Callable[[str, str, int], Walk]] = {
        "arc": lambda first, last, between: find_walk(before, first, last, between),
        "neighbours": lambda first, last, between: find_walk(after, first, last, between, lambda _: graph),
        "neighbours, from the index": lambda first, last, between: find_walk(after, first, last, between),
    }
    for between, (name, walk) in itertools.product(BETWEEN, ways.items()):
        start = time.process_time()
        found = [steps_of(walk(first, last, between)) for first, last in pairs]
        seconds = (time.process_time() - start) / len(pairs)
        means = {key: round(float(np.mean([one[key] for one in found])), 3) for key in found[0]}
        yield {"system": f"walk, {name}", "most_between": between, "core_s": round(seconds, 2), **means}


def same_figures(before: SnapshotReader, after: SnapshotReader, tracks: list[str]) -> Iterator[dict]:
    """Seconds of requests on both snapshots, and the share of requests with the same answer."""
    requests: dict[str, Callable[[SnapshotReader, str], Any]] = {
        "recommend": lambda snapshot, track: recommend(snapshot, "track", track, "track", 10),
        "playlist": lambda snapshot, track: make_playlist(snapshot, PlaylistRequest(seeds=(track,), tracks=20)),
    }
    for name, ask in requests.items():
        seconds, answers = [], []
        for snapshot in (before, after):
            start = time.process_time()
            answers.append([ask(snapshot, track) for track in tracks])
            seconds.append(round((time.process_time() - start) / len(tracks), 2))
        same = float(np.mean([one == other for one, other in zip(*answers, strict=True)]))
        yield {"system": name, "core_s_without": seconds[0], "core_s_with": seconds[1], "same_answers": same}


def figures(root: str, pairs: int) -> Iterator[dict]:
    """All figures of a table of `made_table`."""
    before, after = open_snapshot(root, 1), open_snapshot(root, 2)
    rng = np.random.default_rng(4)
    total = after.manifest.rows("tracks")
    names = [f"track-{row:09d}" for row in rng.choice(total, 2 * pairs, replace=False)]
    yield from same_figures(before, after, names[:3])
    yield from walk_figures(before, after, list(zip(names[::2], names[1::2], strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--table", help="a table that an earlier run with --keep made")
    parser.add_argument("--keep", action="store_true", help="make the table at --table, if it is not there")
    args = parser.parse_args()
    print(json.dumps({"tracks": args.tracks, "machine": describe_machine()}))
    with threadpool_limits(1, "blas"), tempfile.TemporaryDirectory() as folder:
        root = args.table or str(Path(folder, "table"))
        if not Path(root).exists():
            made_table(root, args.tracks)
        for one in figures(root, args.pairs):
            print(json.dumps(one), flush=True)


if __name__ == "__main__":
    main()
