"""nDCG@20 of `search` on a synthetic catalog whose tags, and the weights of its instruments, are known.

python -m benchmarks.weighted_search

A bundle is trained on one catalog (`--trunk statistics`) and tags two others, with other songs of other artists. The
doubt of `transforms.discovery.search.scores` was chosen on the first one; the second one is for the report. Each of 300
random queries has two to four tags of different categories with weights from -1 to 1. The true relevance of a
track is the sum of weight x true value: the level in the mix for an instrument, 1 or 0 for every other tag, broader
moods included. Gains are relevances above the least possible one. The same queries are answered by other sums over the
same published scores. Intervals are 95 % bootstrap intervals over queries.
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.processes import catalog_tagger
from pipelines.synthesis.catalog import make_tracks, taxonomy, true_tags
from transforms.discovery.search.engine import search_tracks
from transforms.discovery.search.request import SearchRequest
from transforms.discovery.search.scores import ScoreReader, log_odds
from transforms.discovery.search.vocabulary import vocabulary_of
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.taxonomy.hierarchy import Taxonomy

QUERIES, DEPTH = 300, 20
WEIGHTS = (-1.0, -0.5, 0.5, 0.8, 1.0)
SEEDS = {"choice": 1, "report": 2}
"""Seeds of the catalogs that are searched; the training catalog has seed 0."""

DOUBTS = (0.0001, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2)


def true_values(tracks: int, seed: int) -> dict[str, dict[str, float]]:
    """Track id -> tag -> true value, 0 to 1; absent tags are 0."""
    known = Taxonomy.from_json(taxonomy())
    found = {}
    for track in make_tracks(tracks, seed):
        values: dict[str, float] = {}
        for tags in true_tags(track.artist.genre, track.song).values():
            for tag in tags:
                level = track.song.levels.get(tag.partition("/")[2], 1.0) if tag.startswith("instrument/") else 1.0
                values |= {known.tag_ids[place]: level for place in known.implied(tag)}
        found[track.track_id] = values
    return found


def random_query(rng: np.random.Generator, tags: list[str]) -> dict[str, float]:
    """Two to four tags of different categories; one weight at least is positive."""
    categories = sorted({tag.partition("/")[0] for tag in tags})
    chosen = rng.choice(categories, rng.integers(2, 5), replace=False)
    query = {str(rng.choice([tag for tag in tags if tag.startswith(f"{one}/")])): 0.0 for one in chosen}
    while not any(weight > 0 for weight in query.values()):
        query = {tag: float(rng.choice(WEIGHTS)) for tag in query}
    return query


def ndcg(gains: np.ndarray, ideal: np.ndarray, depth: int = DEPTH) -> float:
    """Normalised discounted cumulative gain of the first gains, against the greatest ones. 1 if no gain is possible."""
    discounts = 1 / np.log2(np.arange(2, depth + 2))
    best = np.sort(ideal)[::-1][:depth] @ discounts[: min(depth, len(ideal))]
    return float(gains[:depth] @ discounts[: min(depth, len(gains))] / best) if best > 0 else 1.0


def measure(snapshot: SnapshotReader, truth: Mapping[str, Mapping[str, float]], queries: int) -> dict[str, np.ndarray]:
    """Method -> nDCG@20 of each query: float64 [queries]."""
    rng, vocabulary = np.random.default_rng(59), vocabulary_of(snapshot)
    # The catalog has a copy of one song, which counts as no song of its own.
    ids = sorted(truth.keys() & set(snapshot.scan("tracks", ["track_id"])["track_id"].to_pylist()))
    found: dict[str, list[float]] = {}
    for _ in range(queries):
        query = random_query(rng, sorted(vocabulary.taxonomy.tag_ids))
        gains = {track: sum(w * truth[track].get(tag, 0.0) for tag, w in query.items()) for track in ids}
        least = sum(min(weight, 0.0) for weight in query.values())
        gain = {track: value - least for track, value in gains.items()}
        read = ScoreReader(snapshot, [vocabulary.find(tag) for tag in query]).read(ids, None)
        weights = np.array(list(query.values()))
        orders = {
            "`search`: weight x log-odds": [
                hit.track_id
                for hit in search_tracks(snapshot, SearchRequest(weights=query, limit=DEPTH + 1)).hits
                if hit.track_id in truth
            ],
            **{
                f"weight x log-odds, doubt {doubt:g}": _order(ids, log_odds(read.scores, doubt) @ weights)
                for doubt in DOUBTS
            },
            "weight x score": _order(ids, read.scores @ weights),
            "weight, if the tag is positive": _order(ids, read.positive @ weights),
            "the tag with the greatest weight alone": _order(ids, read.scores[:, int(weights.argmax())]),
            "random": list(rng.permutation(ids)),
        }
        for name, order in orders.items():
            own = np.array([gain[track] for track in order[:DEPTH]])
            found.setdefault(name, []).append(ndcg(own, np.array(list(gain.values()))))
    return {name: np.array(values) for name, values in found.items()}


def _order(ids: list[str], values: np.ndarray) -> list[str]:
    return [ids[i] for i in np.lexsort((np.array(ids), -values.round(9)))]


def table_lines(found: Mapping[str, np.ndarray]) -> list[str]:
    """The rows of the table in `docs/quality.md`."""
    rng = np.random.default_rng(0)
    lines = ["| order of the tracks | nDCG@20 | worst tenth of the queries |", "|---|---|---|"]
    for name, values in found.items():
        means = rng.choice(values, (2_000, len(values))).mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        lines.append(f"| {name} | {values.mean():.3f} ({low:.3f} to {high:.3f}) | {np.quantile(values, 0.1):.3f} |")
    return lines


def make_tables(folder: Path, training: int, tracks: int, duration: float) -> None:
    """Trains on one catalog and tags the others."""
    for name, count, seed in (("old", training, 0), *((name, tracks, seed) for name, seed in SEEDS.items())):
        size = ["--tracks", str(count), "--duration", str(duration), "--seed", str(seed)]
        catalog_tagger(["synthesize", "--output", str(folder / name), *size], folder)
    labels = ["--catalog", str(folder / "old/catalog.parquet"), "--taxonomy", str(folder / "old/taxonomy.yaml")]
    catalog_tagger(["prepare", *labels, "--output", str(folder / "dataset"), "--max-reject-ratio", "0.9"], folder)
    trained = ["--output", str(folder / "bundle"), "--trunk", "statistics"]
    catalog_tagger(["train", "--dataset", str(folder / "dataset"), *trained], folder)
    for name in SEEDS:
        tagged = ["--catalog", str(folder / name / "catalog.parquet"), "--model", str(folder / "bundle")]
        table = str(folder / f"{name}-table")
        catalog_tagger(["tag", *tagged, "--table", table, "--max-reject-ratio", "0.9"], folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", type=int, default=240, help="songs of the training catalog")
    parser.add_argument("--tracks", type=int, default=240, help="songs of the catalog that is searched")
    parser.add_argument("--duration", type=float, default=8.0, help="seconds of each song")
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--folder", type=Path, help="keep the tables in this folder, or use those that are there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        if not (folder / "report-table").exists():
            folder.mkdir(exist_ok=True)
            make_tables(folder, args.training, args.tracks, args.duration)
        for name, seed in SEEDS.items():
            found = measure(open_snapshot(str(folder / f"{name}-table")), true_values(args.tracks, seed), args.queries)
            print(f"\n{name}\n")
            print("\n".join(table_lines(found)))


if __name__ == "__main__":
    main()
