"""Stage 2: heads, calibration and thresholds on track embeddings, rated against the baselines."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from models import baselines, calibration, metrics
from models.baselines import Baselines
from models.blocks import Block
from models.bundle import TagFacts
from models.embedding import TrackEmbedder
from models.head_fitting import Fit, Labelled, fit_heads
from models.heads import Heads, Layout, positives, raw_logits, score

SPLITS = ("train", "validation", "test")
RATED = ("validation", "test")
TRACKS_TOGETHER = 32

MANY_ROWS = 20_000
"""Training tracks from which on heads are fitted with all BLAS threads."""

TAGGER = "tagger"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SplitRows:
    """The tracks of one split: ids, groups (artists) and lengths, track embeddings and mel moments with labels."""

    track_ids: tuple[str, ...]
    groups: tuple[str, ...]
    durations_s: np.ndarray
    embedded: Labelled
    moments: Labelled


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tagger:
    """Calibrated heads, what they must beat, what is known of each tag, how heads were fitted, and all metrics."""

    heads: Heads
    baselines: Baselines
    tags: tuple[TagFacts, ...]
    fits: list[Fit]
    metrics: dict[str, Any]


def embed_split(tracks: Iterable[Any], embedder: TrackEmbedder, tags: int, total: int, name: str) -> SplitRows:
    """Embeds labelled tracks exactly as tagging does; `tracks` are `models.data.Track`."""
    seen, embeddings, moments, targets, masks = [], [np.zeros((0, embedder.dim), np.float32)], [], [], []
    bar = tqdm(tracks, f"embedding {name}", total=total, unit="track", disable=None, leave=False)
    # Some tracks together: they share the trunk's padded batches, and the bits are the same.
    for group in _grouped(bar, TRACKS_TOGETHER):
        embeddings.append(embedder.embed([track.patches for track in group]))
        for track in group:
            seen.append((track.track_id, track.group, track.duration_s))
            moments.append(baselines.mel_moments(track.patches))
            targets.append(track.targets)
            masks.append(track.mask)
    ids, groups, durations = (tuple(facts[i] for facts in seen) for i in range(3))
    labels: dict[str, Any] = {"targets": _rows(targets, tags), "mask": _rows(masks, tags), "groups": groups}
    return SplitRows(
        track_ids=ids,
        groups=groups,
        durations_s=np.array(durations, np.float64),
        embedded=Labelled(embeddings=np.concatenate(embeddings), **labels),
        moments=Labelled(embeddings=_rows(moments, 2 * embedder.mels), **labels),
    )


def _grouped(tracks: Iterable[Any], size: int) -> Iterator[list[Any]]:
    remaining = iter(tracks)
    while group := list(itertools.islice(remaining, size)):
        yield group


def _rows(values: list[np.ndarray], width: int) -> np.ndarray:
    return np.stack(values) if values else np.zeros((0, width), np.float32)


def build_tagger(
    splits: Mapping[str, SplitRows], layout: Layout, tag_ids: tuple[str, ...], blocks: Sequence[Block]
) -> Tagger:
    """Fits heads on the training split, calibrates and sets thresholds on validation, rates validation and test.

    Args:
      splits: rows of `train`, `validation` and `test`.
      layout: the categories.
      tag_ids: ids of the columns.
      blocks: the blocks of an embedding.
    """
    with single_threaded_if_small(len(splits["train"].track_ids)):
        return _build_tagger(splits, layout, tag_ids, blocks)


def single_threaded_if_small(rows: int) -> contextlib.AbstractContextManager[Any]:
    """One BLAS thread for small problems: waiting for each other costs many small products more than they take."""
    return threadpool_limits(1, "blas") if rows < MANY_ROWS else contextlib.nullcontext()


def _build_tagger(
    splits: Mapping[str, SplitRows], layout: Layout, tag_ids: tuple[str, ...], blocks: Sequence[Block]
) -> Tagger:
    train, validation = splits["train"].embedded, splits["validation"].embedded
    plain, fits = fit_heads(train, validation, layout, blocks)
    heads = calibration.calibrate(
        plain, raw_logits(validation.embeddings, plain), validation.targets, validation.mask, layout
    )
    cuts = calibration.thresholds(
        score(validation.embeddings, heads, layout), validation.targets, validation.mask, layout
    )
    values = np.array([cut.value for cut in cuts])
    rated = {
        split: rate(splits[split].embedded, score(splits[split].embedded.embeddings, heads, layout), values, layout)
        for split in RATED
    }
    support = [_support(splits[split].embedded) for split in ("train", "validation")]
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
    fitted = Baselines.fit(splits["train"].moments, splits["validation"].moments, layout)
    compared = {TAGGER: rated, **_rate_baselines(fitted, splits, layout)}
    report = _report(compared, tag_ids, layout, fits, splits)
    return Tagger(heads=heads, baselines=fitted, tags=tuple(facts), fits=fits, metrics=report)


def rate(rows: Labelled, scores: np.ndarray, thresholds: np.ndarray, layout: Layout) -> list[metrics.TagMetrics]:
    """Metrics of each tag, with the accuracy of its category added to each tag of a multiclass one."""
    found = positives(scores, thresholds, layout)
    rated = metrics.tag_metrics(rows.targets, rows.mask, scores, found)
    for group in layout.groups:
        if group.kind == "multiclass":
            columns = list(group.columns)
            share = metrics.accuracy(rows.targets[:, columns], rows.mask[:, columns], found[:, columns])
            for column in columns:
                rated[column]["category_accuracy"] = share
    return rated


def _rate_baselines(
    fitted: Baselines, splits: Mapping[str, SplitRows], layout: Layout
) -> dict[str, dict[str, list[metrics.TagMetrics]]]:
    halves = np.full(layout.size, calibration.DEFAULT_THRESHOLD)
    rated: dict[str, dict[str, list[metrics.TagMetrics]]] = {}
    for split in RATED:
        rows = splits[split].moments
        for model, scores in fitted.scores(rows.embeddings, layout).items():
            rated.setdefault(model, {})[split] = rate(rows, scores, halves, layout)
    return rated


def _support(rows: Labelled) -> np.ndarray:
    return np.sum((rows.targets >= metrics.POSITIVE_FROM) & (rows.mask > 0), axis=0)


def _report(
    compared: Mapping[str, Mapping[str, list[metrics.TagMetrics]]],
    tag_ids: tuple[str, ...],
    layout: Layout,
    fits: list[Fit],
    splits: Mapping[str, SplitRows],
) -> dict[str, Any]:
    """What `metrics.json` holds."""
    return {
        "note": "Strengths, calibration and thresholds were chosen on validation: only test is untouched.",
        "tracks": {split: len(splits[split].track_ids) for split in SPLITS},
        "macro": {model: metrics.summary(by_split) for model, by_split in compared.items()},
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


def _by_category(rated: list[metrics.TagMetrics], layout: Layout) -> dict[str, metrics.TagMetrics]:
    found = {}
    for group in layout.groups:
        columns = list(group.columns[:1]) if len(group.columns) == 2 and group.kind == "binary" else group.columns
        found[group.name] = metrics.macro([rated[column] for column in columns])
        if group.kind == "multiclass":
            found[group.name]["accuracy"] = rated[group.columns[0]]["category_accuracy"]
    return found


def _fit_to_json(fit: Fit) -> dict[str, Any]:
    gain = {"mean": fit.gain[0], "standard_error": fit.gain[1]} if fit.gain else None
    losses = {f"{tried:g}": loss for tried, loss in fit.losses.items()}
    return {**dataclasses.asdict(fit), "losses": losses, "gain": gain}
