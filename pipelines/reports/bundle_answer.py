"""The answer of `train` and `refit`: the metrics of a new bundle, its ids, and notes on the metrics."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.bundles.tagger_bundle import Bundle
from pipelines.reports.metrics_table import metrics_lines
from pipelines.terminal.answer import Answer

_TAGGER = "tagger"
"""Name of the bundle's own heads in its metrics."""


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
    notes = [*better_baselines(metrics), *notes]
    return Answer(
        text="\n".join([*before, *metrics_lines(metrics), *heads_lines(metrics), written, *notes]),
        document={"bundle": output, **ids, "metrics": metrics, "notes": [*before, *notes]},
        rows=list(_rows(metrics)),
    )


def _rows(metrics: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One row per model and split."""
    for model, splits in metrics["macro"].items():
        for split, macro in splits.items():
            yield {"model": model, "split": split, **macro}


def heads_lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yields which blocks of the embedding the heads use: one line for all categories with the same blocks."""
    users: dict[str, list[str]] = {}
    for fit in metrics.get("heads", ()):
        users.setdefault(_blocks_of(fit), []).append(fit["category"])
    for blocks, categories in users.items():
        yield f"heads of {', '.join(categories)}: {blocks}"


def _blocks_of(fit: Mapping[str, Any]) -> str:
    if fit["values"] == "none":
        return "constant, because no track is annotated"
    used = [name for name, scale in fit.get("scales", {}).items() if scale]
    if not used:
        return "all blocks of the embedding" if fit["values"] == "all" else "the blocks without learned values"
    return f"on {' and '.join(used)}"


def better_baselines(metrics: Mapping[str, Any], split: str = "test") -> Iterator[str]:
    """Yields a sentence for each baseline that has a higher PR-AUC than the tagger, over all tags or in categories."""
    found = {model: _pr_aucs(metrics, model, split) for model in metrics.get("categories", ())}
    own = found.pop(_TAGGER, {})
    for model, values in found.items():
        pairs = [(name, value, own.get(name)) for name, value in values.items()]
        better = ", ".join(
            f"{name} ({theirs:.3f} against {ours:.3f})"
            for name, theirs, ours in pairs
            if theirs is not None and ours is not None and round(theirs, 3) > round(ours, 3)
        )
        if better:
            yield f"the baseline {model} has a higher PR-AUC than the tagger on the {split} split in {better}"


def _pr_aucs(metrics: Mapping[str, Any], model: str, split: str) -> dict[str, float | None]:
    macro = metrics["macro"][model].get(split)
    values = {name: rated["pr_auc"] for name, rated in metrics["categories"][model].get(split, {}).items()}
    return {**({} if macro is None else {"all tags": macro["pr_auc"]}), **values}
