"""Lists of candidates against plain sorting, with many equal products; and products that are exact in any order."""

import numpy as np
import pytest

from transforms.discovery.index.candidates import (
    NO_CANDIDATE,
    best,
    candidate_rows,
    keys_of,
    lengths,
    merged,
    products_of,
    with_rows,
)
from transforms.discovery.index.codes import encode, rotation
from transforms.discovery.similarity import grid_length, on_grid, similarities, stored_similarities


def units(n: int, d: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def plain(products: np.ndarray, candidates: np.ndarray, own: np.ndarray, most: int) -> list[list[int]]:
    order = [
        sorted((-int(p), int(c)) for p, c in zip(row, candidates, strict=True) if c != me)
        for row, me in zip(products, own, strict=True)
    ]
    return [[c for _, c in row[:most]] for row in order]


@pytest.mark.parametrize("values", [3, 1_000])
@pytest.mark.parametrize("most", [1, 7, 100])
def test_the_best_come_first_and_of_equal_ones_the_first_rows(values: int, most: int) -> None:
    rng = np.random.default_rng(values)
    candidates = np.sort(rng.permutation(1_000)[:60])
    own = candidates[rng.permutation(60)[:20]]
    products = rng.integers(-values, values, (20, 60)).astype(np.float32)
    keys = best(products.copy(), candidates, own, most)
    expected = plain(products, candidates, own, most)
    assert [[row for row in found if row >= 0] for found in candidate_rows(keys).tolist()] == expected
    assert keys.shape == (20, most) and lengths(keys).tolist() == [min(most, 59)] * 20


def test_keys_hold_products_and_rows() -> None:
    products, rows = np.array([[-(2**24), -1, 0, 5, 2**24]]), np.array([[0, 7, 2**31 - 1, 3, 2**31 - 1]])
    keys = keys_of(products, rows)
    assert products_of(keys).tolist() == products.tolist() and candidate_rows(keys).tolist() == rows.tolist()
    assert candidate_rows(np.array([NO_CANDIDATE])).tolist() == [-1]
    moved = with_rows(keys, np.array([[4, -1, 6, 8, 9]]))
    assert candidate_rows(moved).tolist() == [[4, -1, 6, 8, 9]] and moved[0, 1] == NO_CANDIDATE


@pytest.mark.parametrize("seed", range(20))
def test_merged_lists_are_the_best_of_all_as_far_as_they_go(seed: int) -> None:
    rng = np.random.default_rng(seed)
    most, rows = int(rng.integers(2, 12)), np.arange(40)
    values = rng.integers(0, int(rng.choice([3, 50])), (1, 40)).astype(np.float32)
    is_new, is_gone = rng.random(40) < 0.2, rng.random(40) < 0.2
    me = np.array([0])
    is_new[0] = is_gone[0] = False
    before = rows[~is_new]
    lists = best(values[:, before].copy(), before, me, most)
    lists = with_rows(lists, np.where(is_gone[np.maximum(candidate_rows(lists), 0)], -1, candidate_rows(lists)))
    complete = np.array([most >= len(before) - 1])
    found = merged(lists, complete, values[:, is_new & ~is_gone], rows[is_new & ~is_gone])
    after = rows[~is_gone]
    expected = plain(values[:, after], after, me, most)[0]
    own = [row for row in candidate_rows(found)[0].tolist() if row >= 0]
    assert own == expected[: len(own)] and len(own) >= np.count_nonzero(lists != NO_CANDIDATE)
    assert found[0, len(own) :].tolist() == [NO_CANDIDATE] * (most - len(own))


@pytest.mark.parametrize("d", [24, 256, 700])
def test_products_on_the_grid_are_exact_in_any_shape(d: int) -> None:
    vectors = units(300, d)
    vectors[1] = vectors[0]
    grid = on_grid(vectors)
    exact = grid.astype(np.int64) @ grid.T.astype(np.int64)
    assert abs(exact).max() <= 2**24 and np.linalg.norm(grid, axis=1).max() <= 4096
    assert np.array_equal(grid @ grid.T, exact)
    assert np.array_equal(np.concatenate([grid[i : i + 7] @ grid[5:].T for i in range(0, 300, 7)]), exact[:, 5:])
    near = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    assert abs(exact / grid_length(d) ** 2 - near).max() < 0.002


def test_a_code_does_not_depend_on_the_other_vectors() -> None:
    vectors, turn = units(600, 128).astype(np.float32), rotation(128)
    centres = units(600, 128, seed=1).astype(np.float32)
    codes, factors = encode(vectors, centres, turn)
    order = np.random.default_rng(2).permutation(600)[:333]
    for found, whole in zip(encode(vectors[order], centres[order], turn), (codes, factors), strict=True):
        assert np.array_equal(found, whole[order])


def test_similarities_of_stored_vectors_are_the_same_to_the_bit() -> None:
    vectors, others = units(300, 200, 1), units(300, 200, 2)
    vectors[:5, :50], others[:5, 50:] = 2**-24, 2**-24  # the least float16
    expected = similarities(vectors.astype(np.float32), others.astype(np.float32))
    assert np.array_equal(stored_similarities(vectors, others), expected) and len(np.unique(expected)) > 250
