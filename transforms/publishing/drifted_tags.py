"""How far each tag drifted since the last snapshot, from the counts in a run's evidence. Larger values drifted more."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

LEAST_TRACKS = 1_000
"""Fewest tracks of both snapshots for which all tracks are compared: some new albums change the shares of fewer."""

LEAST_UNCHANGED = 100
"""Fewest unchanged tracks for which these are compared. They are the same on both sides, so fewer suffice."""

LEAST_POSITIVES = 20
"""Fewest tracks with the tag, in one of the snapshots, for which scores are correlated."""

PRIOR_TRACKS = 20
"""Tracks with, and tracks without the tag that are added to the odds, so that those of few tracks change little."""


class DriftedTag(NamedTuple):
    """The drift of one tag, and a sentence on it."""

    value: float
    text: str


Measured = Mapping[str, Mapping[str, Any]]
"""Tag -> counts, as `TagDrift.to_json` returns them."""

Drift = Callable[[Measured], Iterator[DriftedTag]]


def _odds_factor(positives: tuple[int, int], tracks: tuple[int, int]) -> float:
    """The factor, at least 1, by which the odds of a tag changed.

    >>> _odds_factor((1000, 1000), (10_000, 10_000)), round(_odds_factor((1000, 5000), (10_000, 10_000)), 1)
    (1.0, 8.8)
    """
    before, after = (
        (positive + PRIOR_TRACKS) / (every - positive + PRIOR_TRACKS)
        for positive, every in zip(positives, tracks, strict=True)
    )
    return round(max(before / after, after / before), 6)


def _prevalence(tag: str, positives: tuple[int, int], tracks: tuple[int, int]) -> DriftedTag:
    (was, is_), (before, after) = positives, tracks
    value = _odds_factor(positives, tracks)
    return DriftedTag(value, f"{tag}: {was} of {before} tracks, now {is_} of {after}: odds by a factor of {value:.3g}")


def prevalence_drift(measured: Measured) -> Iterator[DriftedTag]:
    """Yields the factor by which the odds of each tag changed, over all tracks."""
    for tag, found in measured.items():
        if min(found["tracks"]) >= LEAST_TRACKS:
            yield _prevalence(tag, tuple(found["positives"]), tuple(found["tracks"]))


def score_drift(measured: Measured) -> Iterator[DriftedTag]:
    """Yields the population stability index of the scores of each tag, over all tracks."""
    for tag, found in measured.items():
        if min(found["tracks"]) >= LEAST_TRACKS and (index := found["stability_index"]) is not None:
            before, after = found["tracks"]
            yield DriftedTag(index, f"{tag}: stability index {index:.3g}, over {before} and {after} tracks")


def _unchanged(measured: Measured) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for tag, found in measured.items():
        if found["unchanged"]["tracks"] >= LEAST_UNCHANGED:
            yield tag, found["unchanged"]


def unchanged_prevalence_drift(measured: Measured) -> Iterator[DriftedTag]:
    """Like `prevalence_drift`, over the tracks whose source did not change."""
    for tag, found in _unchanged(measured):
        yield _prevalence(tag, tuple(found["positives"]), (found["tracks"], found["tracks"]))


def unchanged_score_drift(measured: Measured) -> Iterator[DriftedTag]:
    """Like `score_drift`, over the tracks whose source did not change."""
    for tag, found in _unchanged(measured):
        if (index := found["stability_index"]) is not None:
            yield DriftedTag(index, f"{tag}: stability index {index:.3g}, over {found['tracks']} unchanged tracks")


def unchanged_order_drift(measured: Measured) -> Iterator[DriftedTag]:
    """Yields 1 minus the correlation of the scores of each tag, over the tracks whose source did not change.

    Two tags with equally distributed scores that are swapped change neither prevalence nor stability index.
    """
    for tag, found in _unchanged(measured):
        correlation = found["correlation"]
        if correlation is not None and max(found["positives"]) >= LEAST_POSITIVES:
            text = f"{tag}: correlation {correlation:.3g} with its last scores, over {found['tracks']} unchanged tracks"
            yield DriftedTag(round(1 - correlation, 6), text)


def worst_first(drift: Drift, measured: Measured) -> list[DriftedTag]:
    """The drift of all tags that have enough tracks, the greatest first."""
    return sorted(drift(measured), key=lambda tag: (-tag.value, tag.text))


def greatest(drift: Drift, measured: Measured) -> float | None:
    """The greatest drift of a tag; None if no tag has enough tracks."""
    return max((tag.value for tag in drift(measured) if not math.isnan(tag.value)), default=None)
