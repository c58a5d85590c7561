"""Vectors whose dot product is the similarity, and the exact search over them."""

import json
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.published import fake_bundle, publish_table
from transforms.discovery.exact import nearest, nearest_of, only
from transforms.discovery.similarity import (
    CALIBRATED_WEIGHT,
    COMMON_SHARE,
    UNCALIBRATED_WEIGHT,
    SimilaritySpec,
    Space,
    similarities,
)
from transforms.discovery.vectors import bucket_vectors, declared_spec, fit_space, track_vectors
from transforms.schemas.embedding_parts import EmbeddingPart
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
    roots = np.sqrt(scores.astype(np.float64))
    t = roots / np.sqrt([roots.var(0)[:3].sum()] * 3 + [roots.var(0)[3:].sum()] * 2)
    t -= t.mean(0) * (1 - np.sqrt(COMMON_SHARE * t.var(0).sum() / np.square(t.mean(0)).sum()))
    cosines = [v @ v[0] / np.linalg.norm(v, axis=1) / np.linalg.norm(v[0]) for v in (z, t)]
    expected = (1 - weight) * cosines[0] + weight * cosines[1]
    np.testing.assert_allclose(similarities(vectors[0], vectors), expected, atol=1e-3)


def test_means_deviations_and_statistics_have_declared_weights() -> None:
    rng = np.random.default_rng(0)
    parts = tuple(
        EmbeddingPart(name="x", kind=kind, start=3 * i, stop=3 * i + 3)
        for i, kind in enumerate(("mean", "deviation", "statistics"))
    )
    values = (rng.normal(size=(100, 9)) * np.repeat([1, 100, 1], 3) + np.repeat([0.2, 500, 9], 3)).astype(np.float32)
    spec = SimilaritySpec(embedding_id="em", tag_weight=0, parts=parts)
    vectors = Space.fit(spec, values, np.zeros((100, 0), np.float32), [], []).vectors(values, values[:, :0])
    means, deviations, statistics = (values[:, part.start : part.stop].astype(np.float64) for part in parts)
    left = np.sqrt(COMMON_SHARE * deviations.var(0).sum() / np.square(deviations.mean(0)).sum())
    deviations -= (1 - left) * deviations.mean(0)  # what all have in common, as far as it is not kept
    statistics = (statistics - statistics.mean(0)) / statistics.std(0)
    cosines = [p @ p[0] / np.linalg.norm(p, axis=1) / np.linalg.norm(p[0]) for p in (means, deviations, statistics)]
    expected = 0.8 * cosines[0] + 0.1 * cosines[1] + 0.1 * cosines[2]
    np.testing.assert_allclose(similarities(vectors[0], vectors), expected, atol=2e-3)


def test_parts_of_another_embedding_are_refused() -> None:
    spec = SimilaritySpec(embedding_id="em", parts=(EmbeddingPart(name="x", kind="mean", start=0, stop=5),))
    with pytest.raises(ValueError, match="not those of an embedding with 7 values"):
        Space.fit(spec, np.ones((3, 7), np.float32), np.zeros((3, 0), np.float32), [], [])


def test_a_spec_survives_json() -> None:
    part = EmbeddingPart(name="x", kind="mean", start=0, stop=5)
    spec = SimilaritySpec(embedding_id="em", tag_weight=0.4, parts=(part,))
    stored = json.loads(json.dumps(spec.to_json()))
    assert stored == spec.to_json() and SimilaritySpec.from_json(stored) == spec


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


def test_the_declared_spec_has_the_parts_of_the_manifest_and_more_weight_for_calibrated_tags(snapshot) -> None:
    run, spec = snapshot.manifest.run, declared_spec(snapshot)
    assert spec.parts == run.embedding_parts[run.ids.embedding_id] and len(spec.parts) > 1
    assert spec.tag_weight == UNCALIBRATED_WEIGHT, "the invented heads are not calibrated"
    assert declared_spec(snapshot, "em-unknown", 0.7) == SimilaritySpec(embedding_id="em-unknown", tag_weight=0.7)
    kinds = ["platt", "identity", "temperature", "platt"]
    rows = pa.table({"calibration": [*(json.dumps({"kind": kind}) for kind in kinds), None]})
    with mock.patch.object(type(snapshot), "scan", lambda *_, **__: rows):
        expected = UNCALIBRATED_WEIGHT + 0.75 * (CALIBRATED_WEIGHT - UNCALIBRATED_WEIGHT)
        assert declared_spec(snapshot).tag_weight == pytest.approx(expected, abs=1e-4)


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
