"""The answer of `train` and `refit`: the metrics of a new bundle, its ids, and notes on the metrics."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.bundles.tagger_bundle import Bundle
from pipelines.reports.metrics_table import metrics_lines
from pipelines.terminal.answer import Answer


def bundle_answer(
    output: str, bundle: Bundle, metrics: Mapping[str, Any], *, before: Sequence[str] = (), notes: Sequence[str] = ()
) -> Answer:
    """The answer about a bundle that was written.

    Args:
      output: folder of the bundle.
      bundle: the bundle.
      metrics: its `metrics.json`.
      before: lines about the input.
      notes: lines of advice.
    """
    ids = {"tagger_id": bundle.tagger_id, "embedding_id": bundle.embedding_id, "feature_id": bundle.feature_id}
    written = f"bundle {output}: {', '.join(ids.values())}"
    return Answer(
        text="\n".join([*before, *metrics_lines(metrics), written, *notes]),
        document={"bundle": output, **ids, "metrics": metrics, "notes": [*before, *notes]},
        rows=list(_rows(metrics)),
    )


def _rows(metrics: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One row per model and split."""
    for model, splits in metrics["macro"].items():
        for split, macro in splits.items():
            yield {"model": model, "split": split, **macro}
