"""The metrics of a bundle as lines of text."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.bundles.model_card import ranges_note, shared_artists
from models.scoring.formatting import with_interval


def metrics_lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yields the metrics of a bundle by model and split, with confidence intervals on the test split."""
    tracks, intervals = metrics["tracks"], metrics["intervals"]["test"]
    yield f"tracks: {tracks['train']} train, {tracks['validation']} validation, {tracks['test']} test"
    if shared := shared_artists(metrics):
        yield shared
    yield f"{'model':<22}{'split':<12}{'ROC-AUC':>22}{'PR-AUC':>22}{'tags rated':>12}"
    for model, splits in metrics["macro"].items():
        for split, macro in splits.items():
            known = intervals.get(model, {}) if split == "test" else {}
            cells = "".join(f"{with_interval(macro[name], known.get(name)):>22}" for name in ("roc_auc", "pr_auc"))
            yield f"{model:<22}{split:<12}{cells}{macro['tags']:>12}"
    yield ranges_note(metrics)
    yield metrics["note"]
