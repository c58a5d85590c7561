"""The sentence of a model card about the artists of the test tracks."""

from models.bundles.model_card import model_card
from pipelines.reports.metrics_table import metrics_lines

SHARED = "1 of 8 artists of test tracks also have training or validation tracks"


def card(built, metrics) -> str:
    return model_card(built.bundle, built.bundle, metrics)


def test_artists_on_both_sides_are_counted(built):
    """Tracks 74 and 75 are of one artist."""
    assert built.metrics["test_artists"] == {"all": 8, "shared": 1}
    assert f"tested on 15. {SHARED}." in card(built, built.metrics)
    assert SHARED in list(metrics_lines(built.metrics))


def test_unseen_artists_are_said_to_be_so_where_they_are(built):
    metrics = {**built.metrics, "test_artists": {"all": 8, "shared": 0}}
    assert "tested on 15. No artist of a test track has training or validation tracks." in card(built, metrics)
    assert not any("artists of test tracks" in line for line in metrics_lines(metrics))
