"""No answer shows a similarity above 1, and the order is that of the exact values."""

import numpy as np
import pytest

from pipelines.serving.finding.searching import find_nearest
from pipelines.serving.settings import ServiceSettings
from pipelines.serving.snapshots import SnapshotPool
from tests.support.neighbours import publish_table_neighbours
from tests.support.published import fake_bundle, publish_table
from transforms.discovery.exact import nearest
from transforms.discovery.index import damping
from transforms.discovery.similar import Wanted, open_finder
from transforms.discovery.similarity import shown_similarities, shown_similarity, similarities
from transforms.discovery.track_vectors import TrackVectors
from transforms.discovery.walk import find_walk
from transforms.table.reader import open_snapshot


@pytest.fixture(scope="module")
def above(joined):
    """A track whose similarity to itself is above 1, and its vector."""
    known = TrackVectors.opened(joined[1], joined[1].manifest.run.ids.embedding_id)
    ids, vectors = known.known(joined[1].scan("tracks", ["track_id"])["track_id"].to_pylist())
    own = similarities(vectors, vectors)
    assert own.max() > 1 and np.abs(own - 1).max() < 1e-3
    return ids[int(own.argmax())], vectors[own.argmax()]


def test_values_within_1_stay_and_the_order_too() -> None:
    values = np.array([1.00012, 1.0, 0.999999, 0.5, -0.25, -1.0, -1.00003], np.float32)
    shown = shown_similarities(values)
    assert shown.tolist() == [1.0, 1.0, *values[2:6].tolist(), -1.0] and shown.dtype == np.float32
    assert (np.diff(shown) <= 0).all()
    assert [shown_similarity(value) for value in values.tolist()] == shown.tolist()


def test_a_track_has_a_similarity_of_1_with_itself(joined, above) -> None:
    track, vector = above
    exact = nearest(joined[1], open_finder(joined[1]).space, vector[None, :], 5)[0]
    assert exact.track_ids[0] == track and exact.similarities[0] > 1
    for snapshot in joined:
        found = open_finder(snapshot).find(vector, Wanted(limit=5, with_duplicates=True))
        assert found.track_ids == exact.track_ids and found.similarities[0] == 1.0
        assert found.similarities[1:] == tuple(exact.similarities[1:].tolist())
        pool = SnapshotPool(ServiceSettings(table=snapshot.root))
        with pool.lease(snapshot.manifest.number) as opened:
            embedding_id = snapshot.manifest.run.ids.embedding_id
            served = find_nearest(opened, vector[None, :], embedding_id, 5, 60.0, {})[0]
        pool.close()
        assert served.track_ids == exact.track_ids and served.similarities.max() == 1.0


def test_the_ends_of_a_walk_are_at_1(joined, above) -> None:
    others = joined[1].scan("tracks", ["track_id"])["track_id"].to_pylist()
    steps = find_walk(joined[1], above[0], next(one for one in others if one != above[0]), 2).steps
    assert steps[0].to_first == 1.0 and steps[0].from_last is None
    assert max(max(one.to_first, one.to_last) for one in steps) <= 1.0


def test_the_table_of_neighbours_has_no_value_above_1(tmp_path, monkeypatch) -> None:
    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 12)
    monkeypatch.setattr(damping, "stored_similarities", lambda *given: similarities(*given) + np.float32(0.7))
    publish_table_neighbours(str(tmp_path / "table"))
    found = open_snapshot(str(tmp_path / "table")).scan("neighbours", ["similarity"])["similarity"].to_numpy()
    assert found.max() == 1.0 and found.min() < 1.0 and len(found) == 12 * 5
