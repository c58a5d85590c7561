"""One self-contained HTML page of an evaluation: no script, no other file, the same bytes for the same numbers."""

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

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --paper: #ffffff; --card: #f6f8fa; --line: #d1d9e0;
  --first: #0969da; --second: #bc4c00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --paper: #0d1117; --card: #151b23;
  --line: #3d444d; --first: #58a6ff; --second: #f0883e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p { max-width: 46rem; } .soft, small, caption, figcaption { color: var(--soft); }
small { font-size: .8em; white-space: nowrap; } code { font-size: .85em; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .75rem 0; }
caption { text-align: left; padding-bottom: .35rem; font-size: .9em; }
caption span { display: block; max-width: min(46rem, calc(100vw - 2.5rem)); }
th, td { padding: .3rem .55rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child { text-align: left; } thead th { font-weight: 600; border-bottom-width: 2px; vertical-align: bottom;
  white-space: normal; } details caption { position: absolute; clip-path: inset(50%); }
tbody th { font-weight: 500; } details table { width: 100%; } details th:first-child { width: 99%; }
.bar { display: inline-block; min-width: 8.5rem; padding: 0 .25rem; text-align: left;
  background: linear-gradient(color-mix(in srgb, var(--first) 22%, transparent) 0 0) no-repeat;
  background-size: calc(var(--share) * 100%) 100%; border-radius: .2rem; }
figure { margin: 1rem 0; overflow-x: auto; } figure svg { width: 100%; height: auto; display: block; }
.pair { display: flex; flex-wrap: wrap; gap: 1.5rem; } .pair > svg { flex: 0 1 auto; }
summary { cursor: pointer; font-weight: 600; padding: .3rem 0; } dl { display: grid; gap: .2rem 1rem;
  grid-template-columns: max-content 1fr; } dt { color: var(--soft); } dd { margin: 0; }
.key { display: inline-block; width: 1.1em; height: .25em; vertical-align: middle; border-radius: .1em; }
"""

BASELINES = {
    baselines.PREVALENCE: "gives every track the same score: the share of training tracks that carry the tag",
    baselines.LOGISTIC: "is logistic regression on mean and deviation of each mel band, without a network",
}
"""What models are that are compared with."""

COLUMNS = (
    "<b>with it</b>: tracks that carry the tag. <b>known</b>: tracks whose category was annotated. "
    "<b>artists</b>: those with the tag, or without it if they are fewer; there is a range "
    f"from {MIN_GROUPS} on. <b>threshold</b>: the score from which a track is given the tag, and the rule that chose "
    "it. A dash stands where a figure is undefined, mostly for want of tracks with the tag, or without it."
)
"""What the columns of the table of tags hold."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """What is reported on, beside the numbers.

    Attributes:
      facts: label -> text of what identifies model and tracks.
      thresholds: tag -> threshold and the rule that it comes from.
      history: what `history.json` of the bundle holds, or None where no network was trained.
      notes: what a reader of the figures must know.
    """

    title: str
    facts: Mapping[str, str]
    thresholds: Mapping[str, tuple[float, str]]
    history: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()


def page(subject: Subject, examined: ExaminedTracks, evaluation: Evaluation, tag_ids: Sequence[str]) -> str:
    """The whole page."""
    with report_svg.styled():
        body = "\n".join(_body(subject, examined, evaluation, tag_ids))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(subject.title)}</title>\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _body(subject: Subject, examined: ExaminedTracks, evaluation: Evaluation, tag_ids: Sequence[str]) -> Iterator[str]:
    model, *others = examined.scores
    rows = [row for row in evaluation.rows if (row["model"], row["slice"]) == (model, ALL)]
    yield f"<header><h1>{html.escape(subject.title)}</h1>"
    yield f'<p class="soft">{len(examined.groups)} tracks of {len(set(examined.groups))} artists, {len(tag_ids)} tags. '
    yield f"Ranges hold {LEVEL:.0%} of the resamples of artists.</p></header>"
    yield _tiles(evaluation)
    yield _verdicts(evaluation)
    yield from (f"<p>{html.escape(note)}</p>" for note in subject.notes)
    yield "<h2>Models</h2>"
    yield report_tables.comparison_table(evaluation.averages)
    yield _explained(others)
    yield "<h2>Categories</h2>"
    yield _legend(model, others)
    yield _figure(_category_plots(evaluation), "Means over the tags of each category, with intervals.")
    yield report_tables.categories(evaluation.averages, model)
    yield from _curves(examined, rows, tag_ids)
    yield from _reliability(evaluation)
    yield from _confusions(evaluation)
    yield from _training(subject)
    yield from _slices(examined, evaluation)
    yield f"<h2>Every tag</h2><p>{COLUMNS}</p>"
    for category in dict.fromkeys(row["category"] for row in rows):
        found = report_tables.tag_table(rows, category, subject.thresholds)
        yield f"<details open><summary>{html.escape(category)}</summary>{found}</details>"
    yield from _method(subject)


def _tiles(evaluation: Evaluation) -> str:
    mean = evaluation.averages[0]["metrics"]
    tiles = "".join(
        f'<div class="tile"><b>{show(mean[name]["value"])}</b>{report_tables.METRIC_NAMES[name]}'
        f"<br><small>{_range(mean[name])}</small></div>"
        for name in ("roc_auc", "pr_auc", "f1", "ece")
    )
    return f'<div class="tiles">{tiles}</div>'


def _range(found: Mapping[str, float | None]) -> str:
    if found["value"] is None:
        return "undefined"
    return show_range(found) or "too few artists for a range"


def _verdicts(evaluation: Evaluation) -> str:
    """Whether the model beats each other one, in words."""
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
        return f"{row['value']:+.3f}, from too few artists to tell whether that is chance"
    spread = f"{row['value']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
    clear = row["low"] > 0 or row["high"] < 0
    return f"{spread}, {'more than chance' if clear else 'too little to tell from chance'}"


def _explained(models: Sequence[str]) -> str:
    """What the baselines are, in words."""
    known = (f"<b>{name}</b> {BASELINES[name]}" for name in models if name in BASELINES)
    return "".join(f'<p class="soft">{text}.</p>' for text in known)


def _legend(model: str, others: Sequence[str]) -> str:
    colours = ["--first", *["--ink"] * (len(others) - 1), *(["--second"] if others else [])]
    keys = (
        f'<span class="key" style="background:var({colour})"></span> {html.escape(name)}'
        for name, colour in zip([model, *others], colours, strict=True)
    )
    return f'<p class="soft">{" &nbsp; ".join(keys)}</p>'


def _figure(plot: str, caption: str) -> str:
    return f"<figure>{plot}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _category_plots(evaluation: Evaluation) -> str:
    found = []
    for name in ("roc_auc", "pr_auc"):
        rows: dict[str, dict[str, Any]] = {}
        for row in evaluation.averages:
            if row["slice"] == ALL and row["average"] == "macro":
                rows.setdefault(row["category"], {})[row["model"]] = row["metrics"][name]
        found.append(report_plots.average_plot(rows, report_tables.METRIC_NAMES[name], f"categories-{name}"))
    return f'<div class="pair">{"".join(found)}</div>'


def _curves(examined: ExaminedTracks, rows: Sequence[Mapping[str, Any]], tag_ids: Sequence[str]) -> Iterator[str]:
    *_, last = examined.scores
    thin = f" Thin: {last}." if len(examined.scores) > 1 else ""
    for kind, metric in (("roc", "roc_auc"), ("pr", "pr_auc")):
        values = {tag_ids.index(row["tag"]): row["value"] for row in rows if row["metric"] == metric}
        ratable = {tag_ids.index(row["tag"]) for row in rows if row["metric"] == "roc_auc" and row["value"] is not None}
        columns = report_plots.ranked_tags({c: value for c, value in values.items() if c in ratable})
        if not columns:
            continue
        name = "ROC curves" if kind == "roc" else "Precision and recall"
        which = "best first" if len(columns) == len(ratable) else f"best and worst of {len(ratable)} tags, best first"
        yield f"<h2>{name}</h2>"
        yield _figure(
            report_plots.curve_grid(examined, columns, tag_ids, kind, values),
            f"A panel a tag, {which}; the number is the area.{thin} Dotted: chance.",
        )


def _reliability(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.reliability:
        return
    yield "<h2>Are scores probabilities?</h2>"
    yield _figure(
        report_plots.reliability_grid(evaluation.reliability),
        "Scores in ten bins of equally many pairs of track and tag. Below the diagonal scores are too high.",
    )


def _confusions(evaluation: Evaluation) -> Iterator[str]:
    known = {name: m for name, m in evaluation.confusions.items() if any(map(any, m["counts"]))}
    if not known:
        return
    yield "<h2>What is taken for what</h2>"
    plots = "".join(report_plots.confusion_plot(name, matrix) for name, matrix in known.items())
    caption = f"{', '.join(known)}: rows are the true class, columns what it was called; shades are shares of the row."
    yield _figure(f'<div class="pair">{plots}</div>', caption)


def _training(subject: Subject) -> Iterator[str]:
    if not subject.history or not subject.history.get("epochs"):
        return
    yield "<h2>Training</h2>"
    yield _figure(report_plots.training_plot(subject.history), "Each epoch; the dotted line is the one that was kept.")


def _slices(examined: ExaminedTracks, evaluation: Evaluation) -> Iterator[str]:
    if len(evaluation.tracks) > 1:
        yield "<h2>Length of the track</h2>"
        yield report_tables.by_slice(evaluation.averages, next(iter(examined.scores)), evaluation.tracks)


def _method(subject: Subject) -> Iterator[str]:
    yield "<h2>How this was measured</h2>"
    yield (
        "<p>A track counts for a tag only where the tag's category was annotated. It carries the tag from a weight of "
        "0.5 on. Scores are those that would be published: calibrated, parents at least as high as their children, "
        "rounded to 0.0001. PR-AUC is average precision; chance gives the share of tracks with the tag. Calibration "
        "error is the mean distance between score and annotated weight over ten bins of equally many tracks; chance "
        "alone leaves some. Means are over tags that some tracks carry and others do not. Ranges come from resampling "
        f"artists with replacement, since tracks of an artist resemble each other; below {MIN_GROUPS} artists with the "
        "tag, or without it, there is none. Differences are taken within each resample.</p>"
    )
    facts = "".join(
        f"<dt>{html.escape(k)}</dt><dd><code>{html.escape(v)}</code></dd>" for k, v in subject.facts.items()
    )
    yield f"<dl>{facts}</dl>"
