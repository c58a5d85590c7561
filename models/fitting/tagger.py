"""Stage 2: fits heads, calibration and thresholds on track embeddings, and compares them with the baselines."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from models.bundles.tagger_bundle import TagFacts
from models.embedding.blocks import Block
from models.fitting import baselines, calibration
from models.fitting.balance import BALANCES, Balance
from models.fitting.baselines import Baselines
from models.fitting.category_fitting import HeadFit
from models.fitting.head_fitting import fit_heads
from models.fitting.labelled import LabelledRows, tag_counts
from models.fitting.rows import SplitRows
from models.scoring import metrics
from models.scoring.heads import SCORE_DECIMALS, Heads, Layout, positives, published, score
from transforms.splits.by_artist import SPLITS
from transforms.telemetry.phases import phase

RATED = ("validation", "test")

MANY_ROWS = 20_000
"""Fewest training tracks for fitting heads with all BLAS threads."""

TAGGER = "tagger"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FittedTagger:
    """Calibrated heads and everything that is recorded about them.

    Attributes:
      heads: calibrated heads.
      baselines: the baselines that heads are compared with; None without patches.
      tags: threshold and metrics of each tag.
      fits: how the head of each category was fitted.
      metrics: content of `metrics.json`.
      validation_losses: held-out loss of each validation track, float64 [n]; see `log_losses` in `scoring.metrics`.
    """

    heads: Heads
    baselines: Baselines | None
    tags: tuple[TagFacts, ...]
    fits: list[HeadFit]
    metrics: dict[str, Any]
    validation_losses: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadOptions:
    """Options of heads.

    Attributes:
      balance: class balance in the loss.
      precision: requested precision of every tag that is not in `tag_precision`; None: thresholds with the best F1.
      tag_precision: tag id -> requested precision.
    """

    balance: Balance = "none"
    precision: float | None = None
    tag_precision: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.balance not in BALANCES:
            raise ValueError(f"balance={self.balance!r}: choose from {', '.join(BALANCES)}")
        for name, value in {"every tag": self.precision, **self.tag_precision}.items():
            if value is not None and not 0 < value <= 1:
                raise ValueError(f"precision {value} of {name}: give a share above 0 and up to 1")

    def precisions(self, tag_ids: Sequence[str]) -> list[float | None]:
        """The requested precision of each tag.

        Raises:
          ValueError: a precision is requested for a tag that does not exist.
        """
        if unknown := sorted(set(self.tag_precision) - set(tag_ids)):
            raise ValueError(
                f"precision of {', '.join(unknown)}: no such tag in this taxonomy; give ids such as {tag_ids[0]}"
            )
        return [self.tag_precision.get(tag, self.precision) for tag in tag_ids]


def build_tagger(
    splits: Mapping[str, SplitRows],
    layout: Layout,
    tag_ids: tuple[str, ...],
    blocks: Sequence[Block],
    options: HeadOptions | None = None,
) -> FittedTagger:
    """Fits heads, calibration and thresholds on training and validation tracks; evaluates validation and test.

    Args:
      splits: rows of `train`, `validation` and `test`.
      layout: the categories.
      tag_ids: ids of the columns.
      blocks: the blocks of an embedding.
      options: options of heads; None: the defaults.

    Raises:
      ValueError: a precision is requested for a tag that does not exist.
    """
    with phase("fitting heads and baselines"), single_threaded_if_small(len(splits["train"].track_ids)):
        return _build_tagger(splits, layout, tag_ids, blocks, options or HeadOptions())


def single_threaded_if_small(rows: int) -> contextlib.AbstractContextManager[object]:
    """Limits BLAS to one thread for small problems: synchronising threads takes longer than many small products."""
    return threadpool_limits(1, "blas") if rows < MANY_ROWS else contextlib.nullcontext()


def _build_tagger(
    splits: Mapping[str, SplitRows],
    layout: Layout,
    tag_ids: tuple[str, ...],
    blocks: Sequence[Block],
    options: HeadOptions,
) -> FittedTagger:
    train, validation = splits["train"].embedded, splits["validation"].embedded
    fitted = fit_heads(train, validation, layout, blocks, options.balance)
    heads = calibration.calibrate(fitted.heads, fitted.logits, fitted.targets, fitted.mask, layout)
    held_out = published(fitted.logits, heads, layout)
    cuts = calibration.thresholds(held_out, fitted.targets, fitted.mask, layout, options.precisions(tag_ids))
    values = np.array([cut.value for cut in cuts])
    test, kept = splits["test"].embedded, fitted.logits.dtype.type
    # Heads may also be fitted on validation tracks, so validation metrics use held-out scores.
    unseen = held_out[len(held_out) - len(validation) :]
    rated = {"validation": rate_splits(validation, unseen, values, layout)}
    losses = metrics.log_losses(validation.targets, validation.mask, unseen)
    del held_out, unseen
    rated["test"] = rate_splits(test, score(test.embeddings, heads, layout, kept), values, layout)
    support = [tag_counts(p.targets, p.mask, metrics.POSITIVE_FROM) for p in (train, fitted)]
    facts = [
        TagFacts(
            tag=tag,
            threshold=cuts[i].value,
            threshold_rule=cuts[i].rule,
            calibration=kind,
            support=int(support[0][i]),
            validation_support=int(support[1][i]),
            metrics={split: rated[split][i] for split in RATED},
        )
        for i, (tag, kind) in enumerate(zip(tag_ids, calibration.kinds(heads, layout), strict=True))
    ]
    known, compared = _baselines(splits, layout)
    compared = {TAGGER: rated, **compared}
    report = _report(compared, tag_ids, layout, fitted.fits, splits)
    report["calibration_error"] = {
        step: _calibration_error(test, score(test.embeddings, found, layout, kept))
        for step, found in (("before", fitted.heads), ("after", heads))
    }
    return FittedTagger(
        heads=heads,
        baselines=known,
        tags=tuple(facts),
        fits=fitted.fits,
        metrics=report,
        validation_losses=losses,
    )


def _calibration_error(test: LabelledRows, scores: np.ndarray) -> float | None:
    """Mean calibration error over the tags, of published scores on the test split, which calibration did not use."""
    return metrics.mean_calibration_error(test.targets, test.mask, np.round(scores, SCORE_DECIMALS, out=scores))


def rate_splits(
    rows: LabelledRows, scores: np.ndarray, thresholds: np.ndarray, layout: Layout
) -> list[metrics.TagMetrics]:
    """Metrics of each tag on published scores, and the accuracy of its category if that is multiclass."""
    found = positives(scores, thresholds, layout)
    rated = metrics.tag_metrics(rows.targets, rows.mask, scores, found, SCORE_DECIMALS)
    for group in layout.groups:
        if group.kind == "multiclass":
            columns = list(group.columns)
            share = metrics.accuracy(rows.targets[:, columns], rows.mask[:, columns], found[:, columns])
            for column in columns:
                rated[column]["category_accuracy"] = share
    return rated


_Rated = dict[str, dict[str, list[metrics.TagMetrics]]]


def _baselines(splits: Mapping[str, SplitRows], layout: Layout) -> tuple[Baselines | None, _Rated]:
    """Both baselines and their metrics on the rated splits. Without mel moments, only the metrics of prevalence."""
    train, validation, test = (splits[split].moments for split in SPLITS)
    halves = np.full(layout.size, calibration.DEFAULT_THRESHOLD)
    shares = baselines.prevalence(splits["train"].embedded, layout)
    constant = {
        split: rate_splits(rows, baselines.constant_scores(shares, len(rows)), halves, layout)
        for split, rows in ((split, splits[split].embedded) for split in RATED)
    }
    if train is None or validation is None or test is None:
        return None, {baselines.PREVALENCE: constant}
    fitted = baselines.logistic_regression(train, validation, layout)
    kept = fitted.logits.dtype.type
    unseen = published(fitted.logits[len(fitted.logits) - len(validation) :], fitted.heads, layout)
    rated = {"validation": rate_splits(validation, unseen, halves, layout)}
    rated["test"] = rate_splits(test, score(test.embeddings, fitted.heads, layout, kept), halves, layout)
    return Baselines(shares=shares, regression=fitted.heads), {
        baselines.PREVALENCE: constant,
        baselines.LOGISTIC: rated,
    }


def _report(
    compared: Mapping[str, Mapping[str, list[metrics.TagMetrics]]],
    tag_ids: tuple[str, ...],
    layout: Layout,
    fits: list[HeadFit],
    splits: Mapping[str, SplitRows],
) -> dict[str, Any]:
    """The content of `metrics.json`."""
    return {
        "note": "Strengths, calibration and thresholds were chosen on held-out scores of training and validation "
        "tracks. Only the test split was not used for any choice.",
        "tracks": {split: len(splits[split].track_ids) for split in SPLITS},
        "test_artists": _test_artists(splits),
        "macro": {model: metrics.macro_by_split(by_split) for model, by_split in compared.items()},
        "categories": {
            model: {split: _by_category(rated, layout) for split, rated in by_split.items()}
            for model, by_split in compared.items()
        },
        "tags": {
            model: {split: dict(zip(tag_ids, rated, strict=True)) for split, rated in by_split.items()}
            for model, by_split in compared.items()
        },
        "heads": [_fit_to_json(fit) for fit in fits],
    }


def _test_artists(splits: Mapping[str, SplitRows]) -> dict[str, int]:
    """Number of artists of test tracks, and of those that also have training or validation tracks."""
    fitted, tested = {*splits["train"].groups, *splits["validation"].groups}, set(splits["test"].groups)
    return {"all": len(tested), "shared": len(tested & fitted)}


def _by_category(rated: list[metrics.TagMetrics], layout: Layout) -> dict[str, metrics.TagMetrics]:
    found = {}
    for group in layout.groups:
        columns = list(group.columns[:1]) if len(group.columns) == 2 and group.kind == "binary" else group.columns
        found[group.name] = metrics.macro([rated[column] for column in columns])
        if group.kind == "multiclass":
            found[group.name]["accuracy"] = rated[group.columns[0]]["category_accuracy"]
    return found


def _fit_to_json(fit: HeadFit) -> dict[str, Any]:
    gain = fit.gain._asdict() if fit.gain else None
    losses = {f"{tried:g}": loss for tried, loss in fit.losses.items()}
    return {**dataclasses.asdict(fit), "losses": losses, "gain": gain}
