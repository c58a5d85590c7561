"""nDCG of `search` for real tags that it is not shown: MTG-Jamendo's tags, of which editors name a part.

python -m benchmarks.hidden_tags --meta ../shared/data/meta.tar.gz --tracks 6000

Tags and scores are those of `benchmarks.fusion`: the tags are real, the scores of the model are simulated with the
quality of published networks, and `editors` name half of the tags of 60 % of the tracks. A query has one tag, or two
tags that one track has. Only tracks of which the editors name none of the query's tags are ranked, so that no answer
was shown to the search. The gain of a track is the share of the query's tags that it has. Intervals: 95 % of bootstrap
resamples of queries, paired for differences.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.fusion import VARIANTS, Prepared, prepare, tag_fused, tags_of, write_scores
from benchmarks.intervals import mean_interval
from benchmarks.weighted_search import ndcg
from models.bundles.tagger_bundle import load_bundle
from transforms.discovery.search.engine import search_tracks
from transforms.discovery.search.request import SearchRequest
from transforms.table.reader import SnapshotReader, open_snapshot

DEPTHS = (20, 100)
LEAST_HIDDEN = 10
"""Tracks that have a tag of a query without being shown with it."""

PAIRS = 150
SHOWN = {"the model alone": None, "fused with what editors name": "an absent tag is a weak no (absent_trust 0.33)"}
"""What the search sees -> the rules of the editors, in `VARIANTS`."""


def true_tags(prepared: Prepared) -> dict[str, frozenset[str]]:
    """Track id -> its tags, as the taxonomy names them."""
    known = load_bundle(prepared.path("bundle")).taxonomy
    rows = pq.read_table(prepared.path("imported.parquet"), columns=["track_id", "tags"]).to_pylist()
    there = set(pq.read_table(prepared.path("all.parquet"), columns=["track_id"])["track_id"].to_pylist())
    found = {row["track_id"]: {known.resolve(tag) for tag in tags_of(row["tags"])} for row in rows}
    return {track: frozenset(tag for tag in own if tag) for track, own in found.items() if track in there}


def queries(truth: Mapping[str, frozenset[str]], named: frozenset[tuple[str, str]]) -> Iterator[tuple[str, ...]]:
    """Every tag, and random pairs of tags, that enough tracks have without being shown with them."""
    hidden: dict[str, int] = {}
    for track, own in truth.items():
        for tag in own:
            hidden[tag] = hidden.get(tag, 0) + ((track, tag) not in named)
    enough = sorted(tag for tag, count in hidden.items() if count >= LEAST_HIDDEN)
    yield from ((tag,) for tag in enough)
    rng, tracks, made = np.random.default_rng(5), sorted(truth), set[tuple[str, ...]]()
    while len(made) < PAIRS:
        own = sorted(truth[tracks[rng.integers(len(tracks))]] & set(enough))
        if len(own) > 1:
            made.add(tuple(sorted(rng.choice(own, 2, replace=False).tolist())))
    yield from sorted(made)


def rated(
    snapshot: SnapshotReader,
    query: tuple[str, ...],
    truth: Mapping[str, frozenset[str]],
    named: frozenset[tuple[str, str]],
) -> list[float]:
    """nDCG of a search at each of `DEPTHS`."""
    shown = {track for track in truth if any((track, tag) in named for tag in query)}
    request = SearchRequest(weights=dict.fromkeys(query, 1.0), limit=max(DEPTHS) + len(shown))
    order = [hit.track_id for hit in search_tracks(snapshot, request).hits if hit.track_id not in shown]
    return gains_rated(order, query, truth, shown)


def gains_rated(
    order: list[str], query: tuple[str, ...], truth: Mapping[str, frozenset[str]], shown: set[str]
) -> list[float]:
    """nDCG of an order of tracks at each of `DEPTHS`."""
    gain = {track: len(own & set(query)) / len(query) for track, own in truth.items() if track not in shown}
    own, ideal = np.array([gain[track] for track in order]), np.array(list(gain.values()))
    return [ndcg(own, ideal, depth) for depth in DEPTHS]


def lines(prepared: Prepared) -> Iterator[str]:
    """The rows of the table in `docs/quality.md`."""
    truth, table = true_tags(prepared), prepared.path("table")
    write_scores(prepared, table)
    asked = list(queries(truth, prepared.named))
    kinds = {"one tag": [len(one) == 1 for one in asked], "two tags": [len(one) == 2 for one in asked]}
    found = {}
    for name, rules in SHOWN.items():
        tag_fused(prepared, table, {} if rules is None else VARIANTS[rules])
        snapshot = open_snapshot(table)
        found[name] = np.array([rated(snapshot, one, truth, prepared.named) for one in asked])
    found["random order"] = np.array(list(_random(asked, truth, prepared.named)))
    yield "| the search sees | " + " | ".join(f"{kind}, nDCG@{n}" for kind in kinds for n in DEPTHS) + " |"
    yield "|---|" + "---:|" * (len(kinds) * len(DEPTHS))
    for name, values in found.items():
        yield _line(name, [values[own, n] for own in kinds.values() for n in range(len(DEPTHS))])
    plain, fused = (found[name] for name in SHOWN)
    gained = [fused[own, n] - plain[own, n] for own in kinds.values() for n in range(len(DEPTHS))]
    yield _line("difference of the two, paired", gained)
    yield f"\n{len(truth):,} tracks; {sum(kinds['one tag'])} queries with one tag, {sum(kinds['two tags'])} with two"


def _random(
    asked: list[tuple[str, ...]], truth: Mapping[str, frozenset[str]], named: frozenset[tuple[str, str]]
) -> Iterator[list[float]]:
    rng, tracks = np.random.default_rng(6), np.array(sorted(truth))
    for query in asked:
        shown = {track for track in truth if any((track, tag) in named for tag in query)}
        order = [track for track in rng.permutation(tracks).tolist() if track not in shown]
        yield gains_rated(order, query, truth, shown)


def _line(name: str, cells: list[np.ndarray]) -> str:
    return f"| {name} | " + " | ".join(mean_interval(values) for values in cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meta", type=Path, required=True, help="archive of real metadata")
    parser.add_argument("--tracks", type=int, default=6_000, help="number of tracks")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hidden-") as folder:
        for line in lines(prepare(args.meta, Path(folder), args.tracks)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
