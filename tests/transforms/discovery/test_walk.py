"""Walks from one track to another: along the arc between both, and along mutual neighbours."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.embedded import Catalog, publish_embedded
from tests.support.neighbours import publish_table_neighbours
from transforms.discovery.indexed_graph import IndexedGraph
from transforms.discovery.neighbour_graph import NeighbourGraph
from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.discovery.seeds import vectors_of_seeds
from transforms.discovery.walk import arc_points, find_walk, shortest_walk
from transforms.table.reader import open_snapshot


def unit(rng, *shape):
    found = rng.normal(size=shape)
    return (found / np.linalg.norm(found, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    ("first", "last", "between"), [("track-0001", "track-0042", 6), ("track-0100", "track-0007", 25)]
)
def test_a_walk_has_no_repeats_and_moves_from_one_end_to_the_other(composed, first, last, between):
    walk = find_walk(composed, first, last, between)
    steps = walk.steps
    assert not walk.is_of_neighbours
    ids = [step.track_id for step in steps]
    assert ids[0] == first and ids[-1] == last and 2 < len(set(ids)) == len(ids) <= between + 2
    assert np.corrcoef([step.to_first for step in steps], range(len(steps)))[0, 1] < -0.5
    assert np.corrcoef([step.to_last for step in steps], range(len(steps)))[0, 1] > 0.5
    assert np.mean([step.from_last for step in steps[1:]]) > steps[-1].to_first
    assert all(len(step.changes) == 3 for step in steps[1:]) and steps[0].changes == ()


def test_the_way_back_is_as_short(composed):
    there, back = (
        find_walk(composed, *ends, 5).steps for ends in (("track-0001", "track-0042"), ("track-0042", "track-0001"))
    )
    angles = [sum(np.arccos(step.from_last) ** 2 for step in steps[1:]) for steps in (there, back)]
    assert angles[0] == pytest.approx(angles[1], rel=1e-3)


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_no_other_walk_is_shorter(seed):
    rng = np.random.default_rng(seed)
    vectors, ends = unit(rng, 7, 4), unit(rng, 2, 4)
    layers = [[0, 1, 2], [], [3, 4], [5, 6]]

    def length(rows):
        way = [ends[0], *vectors[list(rows)], ends[1]]
        return sum(np.arccos(np.clip(float(a @ b), -1, 1)) ** 2 for a, b in itertools.pairwise(way))

    best = min(length(rows) for rows in itertools.product(*filter(None, layers)))
    assert length(shortest_walk(layers, vectors, ends)) == pytest.approx(best, rel=1e-4)


def test_points_are_even_on_the_sphere():
    first, last = unit(np.random.default_rng(1), 2, 8)
    way = [first, *arc_points(first, last, 4), last]
    angles = [np.arccos(float(a @ b)) for a, b in itertools.pairwise(way)]
    assert np.ptp(angles) < 1e-3 and np.allclose(np.linalg.norm(way, axis=1), 1, atol=1e-5)
    assert np.allclose(arc_points(first, first, 2), first, atol=1e-6)


@pytest.mark.parametrize(
    ("ends", "words"), [(("track-0001", "track-0001"), "two tracks"), (("track-0001", "x"), "track x: snapshot")]
)
def test_what_has_no_walk_is_refused(composed, ends, words):
    with pytest.raises(DiscoveryError, match=words):
        find_walk(composed, *ends, 4)


def mutual_angles(snapshot):
    """Squared angle of each pair of tracks that name each other, both ways."""
    rows = snapshot.scan("neighbours").to_pylist()
    near = {(row["track_id"], row["neighbour_id"]): row["similarity"] for row in rows if not row["is_duplicate"]}
    return {pair: np.arccos(min(one, 1.0)) ** 2 for pair, one in near.items() if pair[::-1] in near}


def least_cost(edges, first, last, steps):
    """The plain loop: the least sum of at most so many edges."""
    costs = {first: 0.0}
    for _ in range(steps):
        longer = dict(costs)
        for (a, b), cost in edges.items():
            if a in costs and costs[a] + cost < longer.get(b, np.inf):
                longer[b] = costs[a] + cost
        costs = longer
    return costs.get(last)


def test_no_walk_of_mutual_neighbours_is_shorter(joined):
    _, snapshot = joined
    graph, edges = NeighbourGraph.of(snapshot), mutual_angles(snapshot)
    assert len(graph.ends) == len(edges) > 100
    ids, found = graph.track_ids.to_pylist(), 0
    for first, last in itertools.pairwise(ids[::9]):
        for steps in (1, 3, 6, 40):
            walk, cost = graph.walk(first, last, steps), least_cost(edges, first, last, steps)
            assert (walk is None) == (cost is None)
            if walk is not None:
                found += 1
                assert walk[0] == first and walk[-1] == last and len(set(walk)) == len(walk) <= steps + 1
                assert sum(edges[pair] for pair in itertools.pairwise(walk)) == pytest.approx(cost, abs=1e-5)
    assert found > 10


def same_walks(snapshot, pairs) -> int:
    """Compares walks of the index with those of the table, also around a track; the number of walks."""
    whole, found = NeighbourGraph.of(snapshot), 0
    for first, last in pairs:
        graph = IndexedGraph.of(vectors_of_seeds(snapshot, [first, last]))
        for steps in (1, 2, 4, 7, 25):
            walk = graph.walk(first, last, steps)
            assert walk == whole.walk(first, last, steps)
            if walk is not None and len(walk) > 2:
                found += 1
                without = [walk[1], "nobody"]
                assert graph.walk(first, last, steps, without) == whole.walk(first, last, steps, without)
    return found


def test_the_index_has_the_walks_of_the_table(joined):
    _, snapshot = joined
    ids = NeighbourGraph.of(snapshot).track_ids.to_pylist()
    assert same_walks(snapshot, itertools.pairwise(ids[::17])) > 5
    assert IndexedGraph.of(vectors_of_seeds(snapshot, ids[:1])).walk("nobody", ids[0], 5) is None
    assert IndexedGraph.of(vectors_of_seeds(joined[0], ids[:1])) is None  # there is no index


def test_equal_walks_of_the_index_are_decided_by_ids_as_well(tmp_path):
    catalog = Catalog(2, dimensions=6)
    catalog.add(150)
    catalog.tracks |= {f"same-{i}": (catalog.tracks[f"track-{i:06}"][0], 500.0 + 40 * i) for i in range(0, 150, 5)}
    publish_embedded(tmp_path, catalog.tracks)
    publish_table_neighbours(str(tmp_path), 6, 4)
    catalog.change(4)  # most neighbours are kept ones
    catalog.add(3)
    publish_embedded(tmp_path, catalog.tracks)
    publish_table_neighbours(str(tmp_path), 6, 4)
    assert same_walks(open_snapshot(str(tmp_path)), itertools.pairwise(sorted(catalog.tracks)[::20])) > 5


def test_a_walk_visits_few_tracks_of_many(joined, monkeypatch):
    _, snapshot = joined
    ids, seen = NeighbourGraph.of(snapshot).track_ids.to_pylist(), set()
    edges = IndexedGraph.edges
    monkeypatch.setattr(IndexedGraph, "edges", lambda graph, rows: [seen.update(rows.tolist()), edges(graph, rows)][1])
    monkeypatch.setattr(NeighbourGraph, "of", None)  # the table is not read
    rows = snapshot.scan("neighbours", ["neighbour_id"], track_ids=[ids[0]])["neighbour_id"].to_pylist()
    walk = find_walk(snapshot, ids[0], rows[0], 5)
    assert walk.steps[-1].track_id == rows[0] and 0 < len(seen) < len(ids) / 2


def test_a_walk_of_neighbours_has_smaller_steps_and_avoids_tracks(joined):
    before, snapshot = joined
    edges, compared = mutual_angles(snapshot), []
    for first, last in (("track-0001", "track-0042"), ("track-0100", "track-0007")):
        walk, arc = find_walk(snapshot, first, last, 12), find_walk(before, first, last, 12)
        ids = [step.track_id for step in walk.steps]
        if walk.is_of_neighbours:
            assert all(pair in edges for pair in itertools.pairwise(ids)) and len(set(ids)) == len(ids)
            angles = [np.mean([np.arccos(step.from_last) for step in one.steps[1:]]) for one in (walk, arc)]
            compared.append(angles[0] < angles[1])
            other = NeighbourGraph.of(snapshot).walk(first, last, 13, without=ids[1:-1])
            assert other is None or not {*other} & {*ids[1:-1]}
    assert compared and all(compared)


def test_without_a_walk_of_neighbours_the_arc_is_followed(joined):
    before, snapshot = joined
    walk = find_walk(snapshot, "track-0001", "track-0033", 1)
    assert not walk.is_of_neighbours
    assert [one.track_id for one in walk.steps] == [
        one.track_id for one in find_walk(before, "track-0001", "track-0033", 1).steps
    ]
    assert NeighbourGraph.of(before) is None and NeighbourGraph.of(snapshot).walk("nobody", "track-0001", 5) is None
