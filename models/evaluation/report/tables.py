"""The tables of an evaluation report, as HTML."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.scoring.formatting import UNDEFINED, show, show_range
from transforms.reports.markup import Html, element, escaped, html_joined
from transforms.reports.parts import barred_number, html_table

METRIC_NAMES = {
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "ece": "calibration error",
    "accuracy": "accuracy",
}
"""Names of the metrics on the page."""

AverageRow = Mapping[str, Any]
"""A row of `averages` in `evaluation.json`, or a row of `tags.parquet`."""


def interval(found: AverageRow | None) -> Html:
    """`0.873` with its interval in small print, or a dash if undefined."""
    if found is None or found["value"] is None:
        return escaped(UNDEFINED)
    known = show_range(found)
    return html_joined(show(found["value"]), *([" ", element("small", known)] if known else []))


def barred(found: AverageRow | None) -> Html:
    """A value from 0 to 1 with its interval, and a bar whose length is the value."""
    if found is None or found["value"] is None:
        return escaped(UNDEFINED)
    return barred_number(interval(found), max(found["value"], 0))


def comparison_table(averages: Sequence[AverageRow]) -> Html:
    """Macro and micro averages of all models on all tracks."""
    shown = ("roc_auc", "pr_auc", "f1", "precision", "recall", "ece")
    rows = [
        [
            html_joined(row["model"], " ", element("small", row["average"])),
            *(interval(row["metrics"][m]) for m in shown),
        ]
        for average in ("macro", "micro")
        for row in averages
        if (row["slice"], row["category"], row["average"]) == ("all", "all", average)
    ]
    return html_table(
        ["model", *(METRIC_NAMES[m] for m in shown)],
        rows,
        "All tags: macro is the mean over tags, micro pools all (track, tag) pairs",
    )


def categories(averages: Sequence[AverageRow], model: str, slice_name: str = "all") -> Html:
    """Macro averages of one model for each category."""
    shown = ("roc_auc", "pr_auc", "f1", "ece", "accuracy")
    rows = [
        [row["category"], str(row["tags"]), *(interval(row["metrics"].get(m)) for m in shown)]
        for row in averages
        if (row["slice"], row["model"], row["average"]) == (slice_name, model, "macro") and row["category"] != "all"
    ]
    return html_table(
        ["category", "tags rated", *(METRIC_NAMES[m] for m in shown)],
        rows,
        f"{model}: means over the tags of each category",
    )


def by_slice(averages: Sequence[AverageRow], model: str, tracks: Mapping[str, int]) -> Html:
    """Macro averages of one model for every slice."""
    shown = ("roc_auc", "pr_auc", "f1", "ece")
    rows = [
        [
            row["slice"],
            str(tracks[row["slice"]]),
            str(row["tags"]),
            *(interval(row["metrics"][m]) for m in shown),
        ]
        for row in averages
        if (row["model"], row["category"], row["average"]) == (model, "all", "macro")
    ]
    return html_table(
        ["length", "tracks", "tags rated", *(METRIC_NAMES[m] for m in shown)], rows, f"{model} by length of the track"
    )


def tag_table(rows: Sequence[AverageRow], category: str, thresholds: Mapping[str, tuple[float, str]]) -> Html:
    """Every tag of one category, best ROC-AUC first. `rows` are the rows of one model and slice."""
    found: dict[str, dict[str, AverageRow]] = {}
    for row in rows:
        if row["category"] == category:
            found.setdefault(row["tag"], {})[row["metric"]] = row
    order = sorted(found, key=lambda tag: (-(found[tag]["roc_auc"]["value"] or 0), tag))
    body = [[tag, *_tag_cells(found[tag], thresholds[tag])] for tag in order]
    head = ["tag", "positives", "known", "artists", *(METRIC_NAMES[m] for m in ("roc_auc", "pr_auc", "f1"))]
    return html_table([*head, "precision", "recall", "calibration error", "threshold"], body, f"Tags of {category}")


def _tag_cells(metrics: Mapping[str, AverageRow], threshold: tuple[float, str]) -> list[str]:
    one = metrics["roc_auc"]
    return [
        str(one["support"]),
        str(one["known"]),
        str(one["artists"]),
        barred(one),
        barred(metrics["pr_auc"]),
        *(show(metrics[m]["value"]) for m in ("f1", "precision", "recall", "ece")),
        html_joined(f"{threshold[0]:.4f} ", element("small", threshold[1].replace("_", " "))),
    ]
