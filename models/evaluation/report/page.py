"""The HTML page of an evaluation: self-contained, without scripts. The same numbers give the same bytes."""

import dataclasses
import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.evaluation.averages import ALL
from models.evaluation.examined import ExaminedTracks
from models.evaluation.report import plots as report_plots
from models.evaluation.report import svg as report_svg
from models.evaluation.report import tables as report_tables
from models.evaluation.resampling import LEVEL, MIN_GROUPS
from models.evaluation.summary import Evaluation
from models.fitting import baselines
from models.scoring.formatting import show, show_range
from transforms.reports.markup import Html, element
from transforms.reports.page import html_page
from transforms.reports.parts import captioned, fact_list, folded, tile_row

BASELINES = {
    baselines.PREVALENCE: "gives every track the same score: the share of training tracks that carry the tag",
    baselines.LOGISTIC: "is logistic regression on mean and standard deviation of each mel band, without a network",
}
"""Model -> description of a baseline, as the end of a sentence."""

COLUMNS = (
    "<b>positives</b>: tracks that carry the tag. <b>known</b>: tracks whose category was annotated. "
    "<b>artists</b>: number of artists that have the tag, or that lack it if these are fewer. Confidence intervals "
    f"need at least {MIN_GROUPS}. <b>threshold</b>: the score from which a track gets the tag, and the rule that chose "
    "it. A dash means that a metric is undefined, mostly because all tracks carry the tag or none does."
)
"""Explanation of the columns in the table of tags."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """The description of an evaluation: everything on the page except the numbers.

    Attributes:
      title: heading of the page.
      facts: label -> text; identifies model and tracks.
      thresholds: tag -> threshold and the rule that chose it.
      history: content of the bundle's `history.json`, or None if it has none.
      notes: sentences that are needed to interpret the metrics.
    """

    title: str
    facts: Mapping[str, str]
    thresholds: Mapping[str, tuple[float, str]]
    history: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()


def page(subject: Subject, examined: ExaminedTracks, evaluation: Evaluation, tag_ids: Sequence[str]) -> str:
    """The whole page."""
    with report_svg.styled():
        return html_page(subject.title, map(Html, _body(subject, examined, evaluation, tag_ids)))


def _body(subject: Subject, examined: ExaminedTracks, evaluation: Evaluation, tag_ids: Sequence[str]) -> Iterator[str]:
    model, *others = examined.scores
    rows = [row for row in evaluation.rows if (row["model"], row["slice"]) == (model, ALL)]
    yield f"<header><h1>{html.escape(subject.title)}</h1>"
    yield f'<p class="soft">{len(examined.groups)} tracks of {len(set(examined.groups))} artists, {len(tag_ids)} tags. '
    yield f"Brackets are {LEVEL:.0%} confidence intervals (bootstrap over artists).</p></header>"
    yield _tiles(evaluation)
    yield _verdicts(evaluation)
    yield from (f"<p>{html.escape(note)}</p>" for note in subject.notes)
    yield "<h2>Models</h2>"
    yield report_tables.comparison_table(evaluation.averages)
    yield _explained(others)
    yield "<h2>Categories</h2>"
    yield _legend(model, others)
    yield captioned(_category_plots(evaluation), "Mean over the tags of each category, with confidence intervals.")
    yield report_tables.categories(evaluation.averages, model)
    yield from _curves(examined, rows, tag_ids)
    yield from _reliability(evaluation)
    yield from _confusions(evaluation)
    yield from _training(subject)
    yield from _slices(examined, evaluation)
    yield f"<h2>Every tag</h2><p>{COLUMNS}</p>"
    for category in dict.fromkeys(row["category"] for row in rows):
        yield folded(category, report_tables.tag_table(rows, category, subject.thresholds), opened=True)
    yield from _method(subject)


def _tiles(evaluation: Evaluation) -> Html:
    mean = evaluation.averages[0]["metrics"]
    return tile_row(
        (show(mean[name]["value"]), report_tables.METRIC_NAMES[name], _range(mean[name]))
        for name in ("roc_auc", "pr_auc", "f1", "ece")
    )


def _range(found: Mapping[str, float | None]) -> str:
    if found["value"] is None:
        return "undefined"
    return show_range(found) or "too few artists for an interval"


def _verdicts(evaluation: Evaluation) -> str:
    """A list that says whether the differences to the other models are statistically significant."""
    rows = [
        row for row in evaluation.differences if (row["slice"], row["category"], row["average"]) == (ALL, ALL, "macro")
    ]
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["value"] is not None:
            found.setdefault(row["against"], []).append(f"{report_tables.METRIC_NAMES[row['metric']]} {_verdict(row)}")
    items = (f"<li>Against <b>{html.escape(model)}</b>: {'; '.join(said)}.</li>" for model, said in found.items())
    return f"<ul>{''.join(items)}</ul>" if found else ""


def _verdict(row: Mapping[str, Any]) -> str:
    if row["low"] is None:
        return f"{row['value']:+.3f}, too few artists for a confidence interval"
    spread = f"{row['value']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
    clear = row["low"] > 0 or row["high"] < 0
    return f"{spread}, {'statistically significant' if clear else 'not statistically significant'}"


def _explained(models: Sequence[str]) -> str:
    """Paragraphs that describe the baselines."""
    known = (f"<b>{name}</b> {BASELINES[name]}" for name in models if name in BASELINES)
    return "".join(f'<p class="soft">{text}.</p>' for text in known)


def _legend(model: str, others: Sequence[str]) -> str:
    colours = ["--first", *["--ink"] * (len(others) - 1), *(["--second"] if others else [])]
    keys = (
        f'<span class="key" style="background:var({colour})"></span> {html.escape(name)}'
        for name, colour in zip([model, *others], colours, strict=True)
    )
    return f'<p class="soft">{" &nbsp; ".join(keys)}</p>'


def _category_plots(evaluation: Evaluation) -> Html:
    found = []
    for name in ("roc_auc", "pr_auc"):
        rows: dict[str, dict[str, Any]] = {}
        for row in evaluation.averages:
            if row["slice"] == ALL and row["average"] == "macro":
                rows.setdefault(row["category"], {})[row["model"]] = row["metrics"][name]
        found.append(report_plots.average_plot(rows, report_tables.METRIC_NAMES[name], f"categories-{name}"))
    return element("div", *found, class_="pair")


def _curves(examined: ExaminedTracks, rows: Sequence[Mapping[str, Any]], tag_ids: Sequence[str]) -> Iterator[str]:
    *_, last = examined.scores
    thin = f" Thin line: {last}." if len(examined.scores) > 1 else ""
    for kind, metric in (("roc", "roc_auc"), ("pr", "pr_auc")):
        values = {tag_ids.index(row["tag"]): row["value"] for row in rows if row["metric"] == metric}
        ratable = {tag_ids.index(row["tag"]) for row in rows if row["metric"] == "roc_auc" and row["value"] is not None}
        columns = report_plots.ranked_tags({c: value for c, value in values.items() if c in ratable})
        if not columns:
            continue
        name = "ROC curves" if kind == "roc" else "Precision and recall"
        which = "best first" if len(columns) == len(ratable) else f"best and worst of {len(ratable)} tags, best first"
        yield f"<h2>{name}</h2>"
        yield captioned(
            report_plots.curve_grid(examined, columns, tag_ids, kind, values),
            f"One panel per tag, {which}. The number is the area under the curve.{thin} Dotted line: chance.",
        )


def _reliability(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.reliability:
        return
    yield "<h2>Are scores probabilities?</h2>"
    yield captioned(
        report_plots.reliability_grid(evaluation.reliability),
        "Scores are in ten bins with equal numbers of (track, tag) pairs. Below the diagonal, scores are too high.",
    )


def _confusions(evaluation: Evaluation) -> Iterator[str]:
    known = {name: m for name, m in evaluation.confusions.items() if any(map(any, m["counts"]))}
    if not known:
        return
    yield "<h2>Confusion matrices</h2>"
    plots = (report_plots.confusion_plot(name, matrix) for name, matrix in known.items())
    caption = f"{', '.join(known)}: rows are true classes, columns predicted classes, shades are shares of the row."
    yield captioned(element("div", *plots, class_="pair"), caption)


def _training(subject: Subject) -> Iterator[str]:
    if not subject.history or not subject.history.get("epochs"):
        return
    yield "<h2>Training</h2>"
    yield captioned(
        report_plots.training_plot(subject.history), "Each epoch. The dotted line is the epoch that was kept."
    )


def _slices(examined: ExaminedTracks, evaluation: Evaluation) -> Iterator[str]:
    if len(evaluation.tracks) > 1:
        yield "<h2>Length of the track</h2>"
        yield report_tables.by_slice(evaluation.averages, next(iter(examined.scores)), evaluation.tracks)


def _method(subject: Subject) -> Iterator[str]:
    yield "<h2>How this was measured</h2>"
    yield (
        "<p>A track counts for a tag only if the tag's category was annotated. It carries the tag if its weight is at "
        "least 0.5. Scores are published scores: calibrated, rounded to 0.0001, and parents score at least as high as "
        "their children. PR-AUC is average precision; its chance level is the share of tracks with the tag. "
        "Calibration error is the mean distance between score and annotated weight over ten bins with equal numbers of "
        "tracks; it is above 0 even by chance. Means are over tags that some tracks carry and others do not. "
        "Confidence intervals are a bootstrap over artists, because tracks of an artist resemble each other. A tag has "
        f"none if fewer than {MIN_GROUPS} artists have it, or lack it. Differences are computed in each resample.</p>"
    )
    yield fact_list(subject.facts)
