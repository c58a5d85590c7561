"""Averages, slices and differences of an evaluation, against plain sums over the same rows."""

import dataclasses

import numpy as np
import pytest

from models.evaluation.averages import ALL
from models.evaluation.examined import ExaminedTracks
from models.evaluation.summary import Resampling, evaluate, slices
from models.scoring import metrics
from models.scoring.heads import layout_of, positives
from tests.support.tiny import TAXONOMY, example

LAYOUT = layout_of(TAXONOMY)
TAGS = TAXONOMY.tag_ids


def examined(tracks: int = 40, noise: float = 0.6) -> ExaminedTracks:
    """Tracks of `tests.support.tiny` with a good model and one that knows nothing."""
    rng = np.random.default_rng(0)
    rows = [example(number) for number in range(tracks)]
    targets, mask = np.array([row.targets for row in rows]), np.array([row.mask for row in rows])
    good = np.round(np.clip(targets * 0.4 + rng.random(targets.shape) * noise, 0, 1), 4)
    scores = {"tagger": good, "constant": np.full(good.shape, 0.3)}
    return ExaminedTracks(
        groups=tuple(row.group for row in rows),
        durations_s=np.array([row.duration_s for row in rows]),
        targets=targets,
        mask=mask,
        scores=scores,
        positives={model: positives(found, np.full(8, 0.5), LAYOUT) for model, found in scores.items()},
    )


@pytest.fixture(scope="module")
def evaluation():
    return evaluate(examined(), LAYOUT, TAGS, Resampling(resamples=40), edges_s=(7.5,))


def average(evaluation, model="tagger", slice_name=ALL, category=ALL, kind="macro"):
    (row,) = [
        row
        for row in evaluation.averages
        if (row["model"], row["slice"], row["category"], row["average"]) == (model, slice_name, category, kind)
    ]
    return row


def test_macro_averages_are_those_of_training(evaluation):
    tracks = examined()
    rated = metrics.tag_metrics(tracks.targets, tracks.mask, tracks.scores["tagger"], tracks.positives["tagger"])
    expected, row = metrics.macro(rated), average(evaluation)
    assert row["tags"] == expected["tags"]
    for name in metrics.MEASURES:
        assert row["metrics"][name]["value"] == pytest.approx(expected[name]), name


def test_every_tag_has_a_row_per_model_slice_and_metric(evaluation):
    assert len(evaluation.rows) == 2 * len(evaluation.tracks) * 8 * len(metrics.MEASURES)
    assert evaluation.tracks == {ALL: 40, "under 7.5 s": 12, "from 7.5 s": 28}


def test_intervals_hold_their_value(evaluation):
    found = [row for row in evaluation.rows if row["low"] is not None and row["slice"] == ALL]
    assert found and all(row["low"] <= row["value"] <= row["high"] for row in found)


def test_a_slice_is_rated_as_if_it_were_alone(evaluation):
    tracks = examined()
    alone = evaluate(tracks.of(tracks.durations_s < 7.5), LAYOUT, TAGS, Resampling(resamples=0))
    found, expected = average(evaluation, slice_name="under 7.5 s"), average(alone)
    for name in metrics.MEASURES:
        assert found["metrics"][name]["value"] == pytest.approx(expected["metrics"][name]["value"])


def test_accuracy_of_a_multiclass_category(evaluation):
    tracks = examined()
    columns = [2, 3, 4]
    expected = metrics.accuracy(
        tracks.targets[:, columns], tracks.mask[:, columns], tracks.positives["tagger"][:, columns]
    )
    found = average(evaluation, category="genre")["metrics"]["accuracy"]
    assert found["value"] == pytest.approx(expected) and found["low"] <= expected <= found["high"]


def test_confusion_counts_every_known_track_once(evaluation):
    tracks = examined()
    counts = np.array(evaluation.confusions["genre"]["counts"])
    assert counts.sum() == np.sum(tracks.mask[:, 2] > 0)
    assert np.trace(counts) / counts.sum() == average(evaluation, category="genre")["metrics"]["accuracy"]["value"]


def test_differences_are_paired(evaluation):
    (row,) = [
        r
        for r in evaluation.differences
        if (r["slice"], r["category"], r["average"], r["metric"]) == (ALL, ALL, "macro", "roc_auc")
    ]
    own, other = (average(evaluation, model)["metrics"]["roc_auc"]["value"] for model in ("tagger", "constant"))
    assert row["against"] == "constant" and row["value"] == pytest.approx(own - other) and row["low"] > 0


def test_a_model_differs_from_itself_by_nothing():
    tracks = examined()
    twin = {"tagger": tracks.scores["tagger"], "twin": tracks.scores["tagger"]}
    found = {"tagger": tracks.positives["tagger"], "twin": tracks.positives["tagger"]}
    twins = dataclasses.replace(tracks, scores=twin, positives=found)
    for row in evaluate(twins, LAYOUT, TAGS, Resampling(resamples=20)).differences:
        assert (row["value"], row["low"], row["high"]) in {(0, 0, 0), (None, None, None), (0, None, None)}


def test_the_same_seed_gives_the_same_numbers(evaluation):
    assert evaluate(examined(), LAYOUT, TAGS, Resampling(resamples=40), edges_s=(7.5,)) == evaluation


def test_reliability_looks_at_every_known_pair(evaluation):
    assert sum(point["pairs"] for point in evaluation.reliability["voice"]) == 40


def test_one_slice_alone_is_not_repeated():
    assert list(slices(np.array([3.0, 4.0]), (10.0, 60.0))) == [ALL]


def test_edges_belong_to_the_longer_slice():
    found = slices(np.array([9.9, 10.0, 60.0]), (10.0, 60.0))
    assert {name: rows.tolist() for name, rows in found.items()} == {
        ALL: [True] * 3,
        "under 10 s": [True, False, False],
        "10 to 60 s": [False, True, False],
        "from 60 s": [False, False, True],
    }
