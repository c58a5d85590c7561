"""The plots of an evaluation report."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models.evaluation.examined import ExaminedTracks
from models.evaluation.report.svg import FIRST, INK, SECOND, figure, svg
from models.scoring import metrics
from transforms.reports.markup import Html

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

PANELS = 24
"""Most tags whose curves are drawn. If there are more, half of the panels show the best and half the worst tags."""

MOST_POINTS = 150
"""Most points of a curve. More are not visible in a panel."""

MOST_CLASSES = 30
"""Most classes of a confusion matrix. If there are more, those with the most tracks are shown."""


def ranked_tags(values: Mapping[int, float | None], most: int = PANELS) -> list[int]:
    """Columns from best to worst. If there are more than `most`, half of them are the best and half the worst."""
    order = sorted((c for c, value in values.items() if value is not None), key=lambda c: (-(values[c] or 0), c))
    return order if len(order) <= most else order[: most // 2] + order[len(order) - (most - most // 2) :]


def curve_grid(
    examined: ExaminedTracks,
    columns: Sequence[int],
    tag_ids: Sequence[str],
    kind: str,
    values: Mapping[int, float | None],
) -> Html:
    """ROC (`kind="roc"`) or precision-recall curves, one panel per tag, with the first model above the last."""
    across = min(6, len(columns))
    down = -(-len(columns) // across)
    made, axes = figure(1.55 * across + 0.3, 1.62 * down + 0.35, down, across)
    for panel, axis in enumerate(axes.flat):
        if panel >= len(columns):
            axis.set_visible(False)
            continue
        column = columns[panel]
        _draw_curves(axis, examined, column, kind)
        axis.set_title(f"{_short(tag_ids[column])}  {values[column]:.2f}", loc="left")
        axis.set(xlim=(0, 1), ylim=(0, 1.02), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], aspect="equal")
        axis.set_xticklabels(["0", ".5", "1"] if panel + across >= len(columns) else [])
        axis.set_yticklabels(["0", ".5", "1"] if panel % across == 0 else [])
    made.supxlabel("false positive rate" if kind == "roc" else "recall", fontsize=8)
    made.supylabel("true positive rate" if kind == "roc" else "precision", fontsize=8)
    names = {"roc": "ROC curves", "pr": "Precision-recall curves"}
    shown = ", ".join(f"{tag_ids[c]} {values[c]:.2f}" for c in columns)
    return svg(made, kind, f"{names[kind]} with the area under each: {shown}")


def _draw_curves(axis: "Axes", examined: ExaminedTracks, column: int, kind: str) -> None:
    rows = examined.mask[:, column] > 0
    truth = examined.targets[rows, column] >= metrics.POSITIVE_FROM
    base = truth.mean()
    axis.plot([0, 1], [0, 1] if kind == "roc" else [base, base], color=INK, linewidth=0.8, linestyle=":", alpha=0.7)
    models = list(examined.scores)
    for model, colour in zip(dict.fromkeys([models[-1], models[0]]), (SECOND, FIRST), strict=False):
        x, y = curve(truth, examined.scores[model][rows, column], kind)
        chosen = FIRST if model == models[0] else colour
        axis.plot(x, y, color=chosen, linewidth=1.6 if model == models[0] else 1.0)


def curve(truth: np.ndarray, scores: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a ROC or precision-recall curve, at most `MOST_POINTS` points each."""
    true, false = metrics.counts_from_the_top(truth, scores)
    if kind == "roc":
        x, y = np.append(0, false / false[-1]), np.append(0, true / true[-1])
    else:
        x, y = np.append(0, true / true[-1]), true / (true + false)
        y = np.append(y[:1], y)
    kept = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).round().astype(int))
    return x[kept], y[kept]


def _short(tag: str, most: int = 15) -> str:
    name = tag.split("/", 1)[1]
    return name if len(name) <= most else f"{name[: most - 1]}…"


def reliability_grid(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> Html:
    """Mean target over mean score in equal-mass bins, one panel per category. Dot size grows with the pairs."""
    known = {name: points for name, points in curves.items() if points}
    across = min(4, len(known))
    down = -(-len(known) // across)
    made, axes = figure(2.1 * across + 0.3, 2.3 * down + 0.3, down, across)
    for axis in axes.flat[len(known) :]:
        axis.set_visible(False)
    for axis, (name, points) in zip(axes.flat, known.items(), strict=False):
        score, target, pairs = (np.array([point[key] for point in points]) for key in ("score", "target", "pairs"))
        top = max(0.1, float(np.max([score.max(), target.max()])) * 1.05)
        axis.plot([0, top], [0, top], color=INK, linewidth=0.8, linestyle=":", alpha=0.7)
        axis.plot(score, target, color=FIRST, linewidth=1)
        axis.scatter(score, target, s=8 + 22 * pairs / pairs.max(), color=FIRST, zorder=3)
        axis.set(title=name, xlim=(0, top), ylim=(0, top), aspect="equal")
    made.supxlabel("mean score", fontsize=8)
    made.supylabel("share that carries the tag", fontsize=8)
    return svg(made, "reliability", f"Reliability diagrams of {', '.join(known)}: the diagonal is ideal")


def confusion_plot(category: str, matrix: Mapping[str, Any]) -> Html:
    """Confusion matrix: rows are true, columns predicted classes; colours are shares of the row, numbers are tracks."""
    counts = np.array(matrix["counts"])
    kept = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[:MOST_CLASSES])
    counts, names = counts[np.ix_(kept, kept)], [_short(matrix["tags"][k], 18) for k in kept]
    size = len(kept)
    inches = max(1.6, 0.3 * size)
    made, ((axis,),) = figure(inches + 1.6, inches + 1.1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        axis.add_patch(_cell(row, column, shares[row, column]))
        if size <= 16:
            strong = shares[row, column] > 0.55
            axis.text(column, row, counts[row, column], ha="center", va="center", color="#ffffff" if strong else INK)
    axis.set(
        xlim=(-0.5, size - 0.5),
        ylim=(size - 0.5, -0.5),
        aspect="equal",
        xlabel="predicted",
        ylabel="true",
        title=category,
    )
    axis.set_xticks(range(size), names, rotation=90)
    axis.set_yticks(range(size), names)
    axis.grid(False)
    right, total = int(np.trace(counts)), int(counts.sum())
    return svg(made, f"confusion-{category}", f"Confusion matrix of {category}: {right} of {total} tracks are correct")


def _cell(row: int, column: int, share: float) -> "Rectangle":
    from matplotlib.patches import Rectangle

    place = (column - 0.5, row - 0.5)
    return Rectangle(place, 1, 1, facecolor=FIRST if row == column else SECOND, alpha=0.12 + 0.88 * share, linewidth=0)


CURVES = {"loss": "training loss", "val_loss": "validation loss", "val_pr_auc": "validation PR-AUC"}
"""Names of the training curves."""


def training_plot(history: Mapping[str, Any]) -> Html:
    """Metrics of each epoch: losses on the left, validation metrics on the right, with the kept epoch marked."""
    epochs = history["epochs"]
    names = sorted({key for epoch in epochs for key, value in epoch.items() if isinstance(value, int | float)})
    losses = [name for name in names if name.endswith("loss")]
    rates = [name for name in names if "auc" in name]
    panels = [found for found in (losses, rates) if found]
    made, axes = figure(3.2 * len(panels), 2.2, 1, len(panels))
    for axis, shown in zip(axes.flat, panels, strict=True):
        for name, colour in zip(shown, (SECOND, FIRST, INK), strict=False):
            points = [(epoch["epoch"], epoch[name]) for epoch in epochs if epoch.get(name) is not None]
            axis.plot(
                *zip(*points, strict=True),
                color=colour,
                label=CURVES.get(name, name),
                marker="." if len(points) < 2 else None,
            )
        axis.axvline(history["best_epoch"], color=INK, linewidth=0.8, linestyle=":")
        axis.set_xlabel("epoch")
        axis.legend(fontsize=7)
    return svg(made, "training", f"Training curves over {len(epochs)} epochs; epoch {history['best_epoch']} was kept")


def average_plot(rows: Mapping[str, Mapping[str, Mapping[str, float | None]]], label: str, name: str) -> Html:
    """A dot plot with confidence intervals. `rows` is category -> model -> value, low and high."""
    categories = list(rows)
    models = list(next(iter(rows.values())))
    made, ((axis,),) = figure(5.2, 0.34 * len(categories) + 0.9)
    for place, model in enumerate(models):
        colour = FIRST if place == 0 else SECOND if place == len(models) - 1 else INK
        for row, category in enumerate(categories):
            found = rows[category][model]
            if found["value"] is None:
                continue
            height = row + 0.22 * (place - (len(models) - 1) / 2)
            if found["low"] is not None:
                axis.plot([found["low"], found["high"]], [height] * 2, color=colour, linewidth=1.2)
            axis.plot([found["value"]], [height], "o", color=colour, markersize=4)
    axis.set_yticks(range(len(categories)), categories)
    axis.set(ylim=(len(categories) - 0.5, -0.5), xlabel=label)
    axis.grid(axis="y", visible=False)
    shown = ", ".join(f"{c} {v[models[0]]['value']:.2f}" for c, v in rows.items() if v[models[0]]["value"] is not None)
    return svg(made, name, f"{label} of {models[0]} with confidence intervals: {shown}")
