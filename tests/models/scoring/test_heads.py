"""Heads: logits to scores, in bulk and row by row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scoring.heads import (
    SCORED_TOGETHER,
    SLICE_ROWS,
    Group,
    Heads,
    Layout,
    apply_hierarchy,
    layout_of,
    link,
    positives,
    raw_logits,
    score,
    sigmoid,
    softmax,
)
from tests.support.tiny import TAXONOMY
from transforms.taxonomy.hierarchy import Taxonomy

LAYOUT = layout_of(TAXONOMY)


def heads(dim: int = 5, tags: int = 8, seed: int = 0) -> Heads:
    rng = np.random.default_rng(seed)
    return Heads(
        mean=rng.normal(size=dim),
        scale=rng.uniform(0.5, 2, dim),
        weights=rng.normal(size=(dim, tags)),
        bias=rng.normal(size=tags),
        slope=rng.uniform(0.5, 2, tags),
        offset=rng.normal(size=tags),
    )


def test_layout_holds_categories_and_edges():
    assert [(g.name, g.kind, g.columns) for g in LAYOUT.groups] == [
        ("voice", "binary", (0, 1)),
        ("genre", "multiclass", (2, 3, 4)),
        ("mood", "multilabel", (5, 6, 7)),
    ]
    assert LAYOUT.edges == ((5, 6),)


def test_multiclass_scores_add_up_to_one():
    scores = link(np.random.default_rng(0).normal(size=(4, 8)), LAYOUT)
    np.testing.assert_allclose(scores[:, 2:5].sum(axis=1), 1)


def test_second_of_a_binary_pair_is_the_rest():
    scores = link(np.random.default_rng(0).normal(size=(4, 8)), LAYOUT)
    np.testing.assert_array_equal(scores[:, 1], 1 - scores[:, 0])


def test_multilabel_scores_are_independent_sigmoids():
    logits = np.random.default_rng(0).normal(size=(4, 8))
    np.testing.assert_array_equal(link(logits, LAYOUT)[:, 5:], sigmoid(logits[:, 5:]))


def test_extreme_logits_stay_finite():
    scores = link(np.array([[1e4] * 8, [-1e4] * 8]), LAYOUT)
    assert np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=6))
def test_softmax_does_not_change_under_a_shift(values):
    x = np.array(values)
    np.testing.assert_allclose(softmax(x + 100), softmax(x), rtol=1e-9)


def tower(order: list[int]) -> Layout:
    """a > b > c > d, the tags in any order in the file."""
    names = ["a", "b", "c", "d"]
    tags = [{"id": f"m/{names[i]}", "parents": [f"m/{names[i - 1]}"] if i else []} for i in order]
    return layout_of(Taxonomy.from_json({"categories": [{"name": "m", "kind": "multilabel", "tags": tags}]}))


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]])
def test_a_deep_child_lifts_all_its_ancestors(order):
    scores = np.zeros((1, 4))
    scores[0, order.index(3)] = 0.9
    assert (apply_hierarchy(scores, tower(order)) == 0.9).all()


def test_a_parent_does_not_lift_its_child():
    assert apply_hierarchy(np.array([[0.9, 0.1, 0.1, 0.1]]), tower([0, 1, 2, 3])).tolist() == [[0.9, 0.1, 0.1, 0.1]]


def test_hierarchy_leaves_its_input_alone():
    scores = np.array([[0.1, 0.2, 0.3, 0.4]])
    apply_hierarchy(scores, tower([0, 1, 2, 3]))
    assert scores.tolist() == [[0.1, 0.2, 0.3, 0.4]]


def test_a_cycle_of_parents_is_an_error():
    class Fake:
        def __init__(self, **fields):
            self.__dict__.update(fields)

    tags = [Fake(id="a", parents=("b",)), Fake(id="b", parents=("a",))]
    with pytest.raises(ValueError, match="form a cycle"):
        layout_of(Fake(tags=tags, categories=[Fake(name="m", kind="multilabel", tags=tags)]))


def test_score_is_the_written_formula():
    h, x = heads(), np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
    logits = h.slope * (((x.astype(np.float64) - h.mean) / h.scale) @ h.weights + h.bias) + h.offset
    expected = apply_hierarchy(link(logits, LAYOUT), LAYOUT)
    np.testing.assert_allclose(score(x, h, LAYOUT), expected, rtol=1e-12)


@pytest.mark.parametrize("cuts", [[1], [3, 7], [255, 256, 257], [100, 511]])
def test_scores_do_not_depend_on_the_rows_scored_together(cuts):
    h, x = heads(40), np.random.default_rng(2).normal(size=(2 * SCORED_TOGETHER + 5, 40)).astype(np.float32)
    together = score(x, h, LAYOUT)
    apart = np.concatenate([score(part, h, LAYOUT) for part in np.split(x, cuts)])
    assert together.tobytes() == apart.tobytes()


def test_no_rows_give_no_scores():
    assert score(np.zeros((0, 5), np.float32), heads(), LAYOUT).shape == (0, 8)


def test_positives_are_at_or_over_the_threshold():
    scores = np.array([[0.6, 0.4, 0.2, 0.5, 0.3, 0.49999, 0.4999, 0.49]])
    found = positives(scores, np.full(8, 0.5), LAYOUT)
    assert found.tolist() == [[True, False, False, True, False, True, False, False]]


def test_multiclass_has_exactly_one_positive_even_on_a_tie():
    found = positives(np.full((3, 8), 1 / 3), np.full(8, 0.9), LAYOUT)
    assert found[:, 2:5].sum(axis=1).tolist() == [1, 1, 1] and found[:, 2].all()


def test_npz_round_trip_keeps_the_digest():
    h = heads()
    assert Heads.from_npz(h.to_npz()).digest == h.digest


def test_npz_bytes_are_the_same_each_time():
    assert heads().to_npz() == heads().to_npz()


@pytest.mark.parametrize("name", ["mean", "scale", "weights", "bias", "slope", "offset"])
def test_digest_changes_with_every_array(name):
    changed = {f: getattr(heads(), f).copy() for f in ("mean", "scale", "weights", "bias", "slope", "offset")}
    changed[name].flat[0] += 1e-9
    assert Heads(**changed).digest != heads().digest


def test_arrays_that_do_not_fit_are_refused():
    arrays = {f: getattr(heads(), f) for f in ("mean", "scale", "weights", "bias", "slope", "offset")}
    with pytest.raises(ValueError, match="bias has shape"):
        Heads(**{**arrays, "bias": np.zeros(3)})
    with pytest.raises(ValueError, match="positive"):
        Heads(**{**arrays, "slope": np.zeros(8)})


def test_pickled_arrays_are_not_read(tmp_path):
    np.savez(tmp_path / "evil.npz", mean=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        Heads.from_npz((tmp_path / "evil.npz").read_bytes())


def test_binary_category_of_three_tags_is_refused():
    class Fake:
        def __init__(self, **fields):
            self.__dict__.update(fields)

    tags = [Fake(id=name, parents=()) for name in "abc"]
    with pytest.raises(ValueError, match="one or two"):
        layout_of(Fake(tags=tags, categories=[Fake(name="v", kind="binary", tags=tags)]))


def test_single_binary_tag_is_one_sigmoid():
    layout = Layout(groups=(Group(name="v", kind="binary", columns=(0,)),), edges=(), size=1)
    assert link(np.array([[0.0]]), layout).tolist() == [[0.5]]


def test_raw_logits_ignore_calibration():
    h, x = heads(), np.ones((1, 5), np.float32)
    expected = ((x - h.mean) / h.scale) @ h.weights + h.bias
    np.testing.assert_allclose(raw_logits(x, h), expected, rtol=1e-12)


def test_scores_of_four_bytes_decide_as_those_of_eight():
    """A threshold may be a published score: rounded to four bytes it must still reach it."""
    steps = np.arange(10_001) / 10_000
    layout = Layout(groups=(Group(name="m", kind="multilabel", columns=(0,)),), edges=(), size=1)
    for threshold in (0.1234, 0.3333, 0.7001):
        found = positives(steps.astype(np.float32)[:, None], np.array([threshold]), layout)
        np.testing.assert_array_equal(found[:, 0], steps >= threshold)


def test_blocks_of_rows_are_scored_alike():
    x = np.random.default_rng(0).normal(size=(2 * SLICE_ROWS + 3, 5)).astype(np.float32)
    h = heads()
    expected = apply_hierarchy(link(raw_logits(x, h) * h.slope + h.offset, LAYOUT), LAYOUT)
    np.testing.assert_array_equal(score(x, h, LAYOUT), expected)
    kept = score(x, h, LAYOUT, np.float32)
    assert kept.dtype == np.float32
    np.testing.assert_allclose(kept, expected, atol=1e-7)
