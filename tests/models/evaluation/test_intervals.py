"""Intervals beside what training reports."""

import dataclasses

import numpy as np
import pytest

from models.bundles.model_card import comparison, ranges_note
from models.evaluation.averages import ALL
from models.evaluation.intervals import with_intervals
from models.evaluation.predictions import examine
from models.evaluation.summary import Resampling, evaluate
from pipelines.reports.metrics_table import metrics_lines
from tests.models.fitting.test_tagger import LAYOUT, build, split_rows
from tests.support.tiny import TAXONOMY

TEST = split_rows(range(80, 100))


@pytest.fixture(scope="module")
def tagger():
    return with_intervals(build(), TEST, LAYOUT, Resampling(resamples=40))


def test_training_rates_what_evaluate_rates(tagger):
    """Both rate scores as they are published: rounded."""
    thresholds = np.array([facts.threshold for facts in tagger.tags])
    tracks = examine(TEST, tagger.heads, thresholds, tagger.baselines, LAYOUT)
    averages = evaluate(tracks, LAYOUT, TAXONOMY.tag_ids, Resampling(resamples=40)).averages
    for row in averages:
        if (row["slice"], row["category"], row["average"]) == (ALL, ALL, "macro"):
            assert tagger.metrics["intervals"]["test"][row["model"]] == row["metrics"]
            macro = tagger.metrics["macro"][row["model"]]["test"]
            for name, found in row["metrics"].items():
                assert macro[name] == pytest.approx(found["value"], abs=1e-12), name


def test_intervals_are_printed_and_in_the_card_beside_the_test_split_alone(tagger):
    found = tagger.metrics["intervals"]["test"]["tagger"]["roc_auc"]
    lines = list(metrics_lines(tagger.metrics))
    test, validation = (
        next(line for line in lines if line.split()[:2] == ["tagger", s]) for s in ("test", "validation")
    )
    assert f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]" in test and "[" not in validation
    assert lines[-2] == (
        "Brackets are 95% confidence intervals: bootstrap over the artists of the test split, 40 resamples."
    )
    assert f"[{found['low']:.3f}, {found['high']:.3f}]" in "\n".join(comparison(tagger.metrics))


def test_too_few_artists_have_no_interval():
    few = split_rows(range(80, 88))
    tagger = with_intervals(build(test=8), few, LAYOUT, Resampling(resamples=40))
    lines = list(metrics_lines(tagger.metrics))
    assert not any("[" in line for line in lines)
    assert lines[-2] == "The test split has too few artists for confidence intervals."


def test_a_large_test_split_is_left_to_evaluate(monkeypatch):
    monkeypatch.setattr("models.evaluation.intervals.MOST_PAIRS", 20 * 8 - 1)
    tagger = with_intervals(build(), TEST, LAYOUT)
    assert tagger.metrics["intervals"]["test"] == {} and "`catalog-tagger evaluate`" in ranges_note(tagger.metrics)


def test_without_test_tracks_there_is_nothing_to_print():
    tagger = with_intervals(build(test=0), split_rows(range(0)), LAYOUT)
    assert tagger.metrics["intervals"]["test"] == {}
    assert "-" in next(line for line in metrics_lines(tagger.metrics) if line.startswith("tagger                test"))


def test_the_rest_of_the_metrics_stays(tagger):
    kept = {name: value for name, value in tagger.metrics.items() if name != "intervals"}
    assert kept == build().metrics and dataclasses.replace(tagger, metrics=kept).tags == build().tags
