"""Vectors whose dot product is the similarity, and the exact search over them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.published import fake_bundle, publish_table
from transforms.discovery.exact import nearest, nearest_of, only
from transforms.discovery.similarity import SimilaritySpec, Space, similarities
from transforms.discovery.vectors import bucket_vectors, fit_space, track_vectors
from transforms.table.reader import open_snapshot


def space_of(weight=0.25, n=200, d=7, tags=5, seed=0):
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(3, 2, (n, d)).astype(np.float32)
    scores = rng.random((n, tags), np.float32)
    names = [f"mood/{i}" for i in range(tags)]
    spec = SimilaritySpec(embedding_id="em", tag_weight=weight)
    return Space.fit(spec, embeddings, scores, names, ["mood"] * (tags - 2) + ["genre"] * 2), embeddings, scores


def test_a_vector_has_unit_length_and_does_not_depend_on_its_company() -> None:
    space, embeddings, scores = space_of()
    vectors = space.vectors(embeddings, scores)
    assert vectors.dtype == np.float32 and vectors.shape == (200, space.dimensions) == (200, 12)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    np.testing.assert_array_equal(vectors, vectors.astype(np.float16))
    for start in (0, 3, 199):
        np.testing.assert_array_equal(space.vectors(embeddings[start:], scores[start:]), vectors[start:])


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_similarity_blends_two_cosines_by_the_declared_weight(weight: float) -> None:
    space, embeddings, scores = space_of(weight)
    vectors = space.vectors(embeddings, scores)
    z = (embeddings - embeddings.mean(0)) / embeddings.std(0)
    centred = scores - scores.mean(0)
    totals = [scores.var(0)[:3].sum()] * 3 + [scores.var(0)[3:].sum()] * 2
    t = centred / np.sqrt(totals)
    cosines = [v @ v[0] / np.linalg.norm(v, axis=1) / np.linalg.norm(v[0]) for v in (z, t)]
    expected = (1 - weight) * cosines[0] + weight * cosines[1]
    np.testing.assert_allclose(similarities(vectors[0], vectors), expected, atol=1e-3)


def test_constant_values_and_scores_do_not_count() -> None:
    embeddings = np.array([[1, 5, 2], [2, 5, 1]], np.float32)
    scores = np.full((2, 1), 0.5, np.float32)
    space = Space.fit(SimilaritySpec(embedding_id="em"), embeddings, scores, ["a/b"], ["a"])
    vectors = space.vectors(embeddings, scores)
    assert vectors.shape == (2, 1)
    assert similarities(vectors[0], vectors).tolist() == [1, -1]


def test_a_spec_refuses_what_it_cannot_mean() -> None:
    with pytest.raises(ValueError, match=r"tag_weight=1\.5"):
        SimilaritySpec(embedding_id="em", tag_weight=1.5)
    with pytest.raises(ValueError, match="version 99"):
        SimilaritySpec(embedding_id="em", version=99)


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 2**31))
def test_parts_and_their_order_do_not_change_the_nearest(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.choice(np.array([-1, 0, 1], np.float32), (n, 3))  # many ties
    ids = pa.array([f"t{i:02}" for i in range(n)])
    query = rng.normal(size=(2, 3)).astype(np.float32)
    cut = int(rng.integers(0, n + 1))
    parts = [(ids[cut:], vectors[cut:]), (ids[:cut], vectors[:cut])]
    for number, found in enumerate(nearest_of(parts, query, k)):
        values = similarities(query[number], vectors)
        order = sorted(range(n), key=lambda i: (-values[i], ids[i].as_py()))[:k]
        assert found.track_ids == tuple(ids[i].as_py() for i in order)
        assert found.similarities.tolist() == values[order].tolist()


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("discovery")
    publish_table(folder / "table", fake_bundle(folder / "bundle"))
    return open_snapshot(str(folder / "table"))


def test_search_over_a_snapshot_equals_one_matrix_of_all_tracks(snapshot) -> None:
    space = fit_space(snapshot)
    parts = [bucket_vectors(snapshot, space, bucket) for bucket in range(snapshot.buckets)]
    ids = [track for part, _ in parts for track in part.to_pylist()]
    vectors = np.concatenate([v for _, v in parts])
    assert len(ids) == 24 and sorted(ids) == snapshot.scan("tracks", ["track_id"])["track_id"].sort().to_pylist()
    found_ids, query = track_vectors(snapshot, space, ["track-0003", "broken-a"])
    assert found_ids.to_pylist() == ["track-0003"]
    found = nearest(snapshot, space, query, 5)[0]
    values = similarities(query[0], vectors)
    order = sorted(range(24), key=lambda i: (-values[i], ids[i]))[:5]
    assert found.track_ids == tuple(ids[i] for i in order) and found.track_ids[0] == "track-0003"
    assert found.similarities[0] == pytest.approx(1, abs=1e-3)


def test_only_allowed_tracks_are_found(snapshot) -> None:
    space = fit_space(snapshot)
    _, query = track_vectors(snapshot, space, ["track-0003"])
    found = nearest(snapshot, space, query, 5, only(["track-0001", "track-0002", "unknown"]))[0]
    assert sorted(found.track_ids) == ["track-0001", "track-0002"]
    assert nearest(snapshot, space, query, 5, only([]))[0].track_ids == ()
