"""Cells, codes and search of the index, against plain definitions."""

import numpy as np
import pyarrow as pa
import pytest

from transforms.discovery.index.cells import cell_count, fit_cells, nearest_cells, probed_cells
from transforms.discovery.index.codes import CodedQuery, encode, rotation
from transforms.discovery.index.duplicates import near_duplicates
from transforms.discovery.index.groups import IndexGroup
from transforms.discovery.index.model import IndexModel
from transforms.discovery.index.search import SearchIndex
from transforms.discovery.similarity import SimilaritySpec, Space, on_grid, similarities
from transforms.table.neighbours import kept_neighbours, neighbours_without


def clustered(n: int, d: int = 70, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n // 20 + 1, d))[rng.integers(0, n // 20 + 1, n)] + 0.7 * rng.normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


def index_of(vectors: np.ndarray, groups: int = 3) -> SearchIndex:
    d = vectors.shape[1]
    space = Space(
        spec=SimilaritySpec(embedding_id="em", tag_weight=0),
        tags=(),
        mean=np.zeros(d),
        scale=np.ones(d),
        basis=np.eye(d),
        tag_mean=np.zeros(0),
        tag_scale=np.zeros(0),
    )
    centres = fit_cells(vectors, cell_count(len(vectors)))
    starts = np.linspace(0, len(centres), groups + 1).astype(np.int64)
    model = IndexModel.from_bytes(IndexModel(space, centres, rotation(d), starts).to_bytes())
    cells = nearest_cells(vectors, centres)
    ids, found = pa.array([f"t{i:05}" for i in range(len(vectors))]), []
    for group in range(groups):
        rows = np.flatnonzero(model.groups_of(cells) == group)
        made = IndexGroup.of(model, ids.take(pa.array(rows)), cells[rows], rows.astype(np.float32), vectors[rows])
        found.append(IndexGroup.of_bytes(memoryview(made.to_bytes()), made.vectors))
    return SearchIndex.of(model, found)


def test_cells_do_not_depend_on_other_runs_and_hold_all_vectors() -> None:
    vectors = clustered(2_000)
    centres = fit_cells(vectors, 40)
    assert np.array_equal(centres, fit_cells(vectors.copy(), 40)) and centres.shape == (40, 70)
    cells = nearest_cells(vectors, centres)
    assert np.array_equal(cells, (on_grid(vectors).astype(np.int64) @ on_grid(centres).T.astype(np.int64)).argmax(1))
    near = centres @ vectors[0]
    assert probed_cells(near, 5).tolist() == np.argsort(-near, kind="stable")[:5].tolist()
    assert probed_cells(near, 99).tolist() == np.argsort(-near, kind="stable").tolist()


def test_neighbouring_cells_are_beside_each_other() -> None:
    centres = fit_cells(clustered(4_000), 64)
    beside = (centres[:-1] * centres[1:]).sum(1).mean()
    assert beside > (centres @ centres.T)[~np.eye(64, dtype=bool)].mean() + 0.05


def test_codes_estimate_dot_products_without_bias() -> None:
    vectors, turn = clustered(3_000, 128), rotation(128)
    centre = vectors.mean(0, keepdims=True).repeat(3_000, 0)
    codes, factors = encode(vectors, centre, turn)
    assert codes.shape == (3_000, 2) and codes.dtype == np.uint64
    errors = []
    for query in clustered(20, 128, seed=1):
        estimates = CodedQuery.of(query, turn).estimates(np.ascontiguousarray(codes.T), factors)
        errors.append(estimates - (vectors - centre) @ query)
    assert abs(np.mean(errors)) < 0.005 and np.std(errors) < 0.09


def test_a_vector_at_its_centre_has_the_estimate_zero() -> None:
    centre = clustered(1, 64)
    codes, factors = encode(centre, centre, rotation(64))
    assert CodedQuery.of(centre[0], rotation(64)).estimates(codes.T.copy(), factors).tolist() == [0]


@pytest.mark.parametrize("share", [None, 0.02, 0.5])
def test_the_search_finds_nearly_all_of_the_nearest_and_tells_exact_similarities(share: float | None) -> None:
    vectors = clustered(4_000)
    index = index_of(vectors)
    allowed = np.arange(4_000) if share is None else np.flatnonzero(np.random.default_rng(3).random(4_000) < share)
    mask = None if share is None else index.mask(pa.array([f"t{i:05}" for i in allowed]))
    hits = 0
    for query in clustered(50, seed=0)[:50]:
        found = index.search(query, 10, mask=mask, probes=60)
        rows = np.array([int(track[1:]) for track in found.track_ids])
        values = similarities(query, vectors)
        assert set(rows) <= set(allowed) and found.similarities.tolist() == values[rows].tolist()
        assert sorted(zip(-found.similarities, found.track_ids, strict=True)) == list(
            zip(-found.similarities, found.track_ids, strict=True)
        )
        hits += len(set(rows) & set(allowed[np.argsort(-values[allowed], kind="stable")[:10]]))
    assert hits >= 0.98 * 500


def test_rows_ids_durations_and_vectors_belong_together() -> None:
    vectors = clustered(300)
    index = index_of(vectors)
    row = index.row("t00123")
    assert row is not None and index.row("nobody") is None and len(index) == 300
    assert np.array_equal(index.vectors(np.array([row]))[0], vectors[123])
    assert index.durations(np.array([row])).tolist() == [123]
    assert index.search(vectors[123], 1).track_ids == ("t00123",)
    assert index.search(vectors[123], 5, mask=np.zeros(300, bool)).track_ids == ()


def test_a_model_refuses_other_bytes() -> None:
    with pytest.raises(ValueError, match="not an npz file"):
        IndexModel.from_bytes(b"nothing")


@pytest.mark.parametrize(
    ("similarity", "one", "other", "same"),
    [
        (0.99, 180.0, 181.0, True),
        (0.99, 180.0, 190.0, False),  # a live version
        (0.96, 180.0, 180.0, False),
        (0.99, 2.0, 2.4, True),
        (0.99, np.nan, 180.0, False),
    ],
)
def test_near_duplicates_need_similarity_and_length(similarity: float, one: float, other: float, same: bool) -> None:
    values = (np.array([value], np.float32) for value in (similarity, one, other))
    assert near_duplicates(*values).tolist() == [same]


def test_rows_without_a_track_keep_ranks_and_rename_groups() -> None:
    rows = pa.table(
        {
            "track_id": ["b", "b", "c", "d"],
            "rank": pa.array([1, 2, 1, 1], pa.int16()),
            "neighbour_id": ["a", "c", "b", "a"],
            "is_duplicate": [True, True, True, False],
            "duplicate_group": ["a", "a", "b", None],
        }
    )
    kept = neighbours_without(rows, pa.array(["a"])).to_pylist()
    assert [(r["track_id"], r["rank"], r["neighbour_id"], r["duplicate_group"]) for r in kept] == [
        ("b", 2, "c", "b"),
        ("c", 1, "b", "b"),
    ]


def test_a_first_run_keeps_no_neighbours() -> None:
    assert kept_neighbours(None, {"added": 3, "removed": 0}, 3) == ((), {})
