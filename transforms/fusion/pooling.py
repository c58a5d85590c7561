"""Combines the scores of a model with what sources say: pooling of log-odds, then the rules of each category.

A weight e that a source with trust t gives to a tag becomes the probability q = 1/2 + t (e - 1/2). This is the
posterior of a symmetric channel that tells the truth with the probability (1 + t) / 2, from even odds. Sources that are
independent of the model and of each other, given the truth, multiply the odds of the model (Bordley, A Multiplicative
Formula for Aggregating Probability Assessments, Management Science 28, 1982):

    logit(score) = logit(model_score) + sum over sources of weight * logit(q)

Weights below 1 temper sources that are not independent (a logarithmic opinion pool: Genest and Zidek, Combining
Probability Distributions, Statistical Science 1, 1986). So a score stays a calibrated probability as far as the model
is calibrated, the trust is true and the weights fit. `evaluate --table` measures that.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.fusion.policy import Policy
from transforms.fusion.statements import Entries, Floats, entries_of, said_by, stated_blocks
from transforms.taxonomy.hierarchy import Taxonomy

EDGE = 0.00005
"""Probabilities are taken as at least this far from 0 and 1, half the step of published scores: none is absolute."""

DECIMALS = 4
"""Decimals of scores."""

MODEL, EXPERT, FUSED = "model", "expert", "fused"
ORIGINS = (MODEL, EXPERT, FUSED)
"""Values of `track_tags.source`: where a score is from."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FusedScores:
    """Scores of tracks, combined with what sources say.

    Attributes:
      scores: float64 [tracks, tags], multiples of 0.0001; parent >= child.
      expert_weights: float32 [tracks, tags]: the probability of the tag according to all sources together; NaN if none
        says anything.
      origins: int8 [tracks, tags]: places in `ORIGINS`.
      entries: what each source says.
    """

    scores: Floats
    expert_weights: npt.NDArray[np.float32]
    origins: npt.NDArray[np.int8]
    entries: Entries


def fuse(scores: Floats, rows: pa.Table, policy: Policy, taxonomy: Taxonomy) -> FusedScores:
    """Combines scores with the column `SAID` of catalog rows.

    Args:
      scores: calibrated scores of the model, float64 [tracks, tags], multiples of 0.0001.
      rows: catalog rows of the same tracks.
      policy: the rules.
      taxonomy: the tags.
    """
    final, origins = scores.copy(), np.zeros(scores.shape, np.int8)
    weights, parts = np.full(scores.shape, np.nan, np.float32), []
    for place, stated in stated_blocks(rows, policy, taxonomy):
        said = [said_by(source, own, taxonomy) for source, own in zip(policy.sources, stated, strict=True)]
        parts.append(entries_of(place, said))
        final[place], weights[place], origins[place] = pooled_scores(scores[place], said, policy, taxonomy)
    return FusedScores(scores=final, expert_weights=weights, origins=origins, entries=Entries.joined(parts))


def pooled_scores(
    scores: Floats, said: list[Floats], policy: Policy, taxonomy: Taxonomy
) -> tuple[Floats, npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Combined scores, the weights of all sources together, and places in `ORIGINS`: [tracks, tags] each.

    Args:
      scores: scores of the model, multiples of 0.0001.
      said: what each source of the policy says, as probabilities after its trust; NaN if nothing.
      policy: the rules.
      taxonomy: the tags.
    """
    fused, weights, decided = scores.copy(), np.full(scores.shape, np.nan), np.full(scores.shape, np.nan)
    for category in taxonomy.categories:
        columns = taxonomy.slices[category.name]
        evidence, fixed = _collected([one[:, columns] for one in said], policy, category.name)
        of_kind = _KINDS[category.kind] if len(category.tags) > 1 else _each
        found = of_kind(scores[:, columns], evidence, fixed)
        fused[:, columns], weights[:, columns], decided[:, columns] = found
    own = np.round(fused, DECIMALS)
    final = with_hierarchy(own, taxonomy)
    alone = ~np.isnan(decided) & (final == own)
    stated = ~np.isnan(weights) | (final != scores)
    origins = np.where(alone, 1, np.where(stated, 2, 0)).astype(np.int8)
    return final, weights.astype(np.float32), origins


def _collected(said: list[Floats], policy: Policy, category: str) -> tuple[Floats, Floats]:
    """The sum of the log-odds of the sources that blend or fill, and the probability of the first that overrides."""
    evidence, decided = np.full(said[0].shape, np.nan), np.full(said[0].shape, np.nan)
    filled = evidence.copy()
    for source, own in zip(policy.sources, said, strict=True):
        rule = source.rules[category]
        if rule.mode == "override":
            decided = np.where(np.isnan(decided), own, decided)
        elif rule.mode in ("blend", "fill"):
            into = evidence if rule.mode == "blend" else filled
            spoken = ~np.isnan(own)
            into[spoken] = np.nan_to_num(into[spoken]) + rule.weight * logit(own[spoken])
    gaps = np.isnan(evidence) & np.isnan(decided)
    evidence[gaps] = filled[gaps]
    return evidence, decided


class _Pooled(NamedTuple):
    """Scores of a category, weights of all sources together, and what overrides; NaN if nothing is said."""

    scores: Floats
    weights: Floats
    decided: Floats


def _each(scores: Floats, evidence: Floats, decided: Floats) -> _Pooled:
    """Every tag for itself."""
    weights = np.where(np.isnan(decided), _sigmoid(evidence), decided)
    blended = np.where(np.isnan(evidence), scores, _sigmoid(logit(scores) + evidence))
    return _Pooled(np.where(np.isnan(decided), blended, decided), weights, decided)


def _pair(scores: Floats, evidence: Floats, decided: Floats) -> _Pooled:
    """Two tags of which one applies: the second has what the first leaves."""
    first = _each(scores[:, :1], evidence[:, :1], decided[:, :1])
    return _Pooled(*(np.hstack([column, 1 - column]) for column in first))


def _exclusive(scores: Floats, evidence: Floats, decided: Floats) -> _Pooled:
    """Exactly one tag applies: odds are multiplied, and the scores add up to 1. What overrides keeps its share."""
    shares = _softmax(np.log(np.clip(scores, EDGE, 1)) + np.nan_to_num(evidence))
    fixed = ~np.isnan(decided)
    taken = np.where(fixed, decided, 0)
    total = taken.sum(axis=1, keepdims=True)
    all_fixed = fixed.all(axis=1, keepdims=True)
    usable = fixed & ((total > 0) | ~all_fixed)
    scale = np.where((total > 1) | (all_fixed & (total > 0)), total, 1.0)
    taken = np.where(usable, taken / np.where(scale > 0, scale, 1), 0)
    rest = np.where(usable, 0, shares)
    left = np.clip(1 - taken.sum(axis=1, keepdims=True), 0, 1)
    spread = np.divide(rest, rest.sum(axis=1, keepdims=True), out=np.zeros_like(rest), where=rest > 0)
    said = (usable | ~np.isnan(evidence)).any(axis=1, keepdims=True)
    weights = np.where(np.isnan(decided), _sigmoid(evidence), decided)
    return _Pooled(
        np.where(said, np.where(usable, taken, left * spread), scores), weights, np.where(usable, decided, np.nan)
    )


_KINDS = {"multilabel": _each, "binary": _pair, "multiclass": _exclusive}


def with_hierarchy(scores: Floats, taxonomy: Taxonomy) -> Floats:
    """A copy of scores [tracks, tags] in which each tag scores at least as high as its narrower tags."""
    found = scores.copy()
    for child in reversed(taxonomy.topological):
        for parent in taxonomy.parents[child]:
            np.maximum(found[:, parent], found[:, child], out=found[:, parent])
    return found


def logit(probabilities: Floats) -> Floats:
    """Log-odds of probabilities, which are kept `EDGE` away from 0 and 1."""
    kept = np.clip(probabilities, EDGE, 1 - EDGE)
    found: Floats = np.log(kept) - np.log1p(-kept)
    return found


def _sigmoid(log_odds: Floats) -> Floats:
    found: Floats = 0.5 * (1.0 + np.tanh(0.5 * log_odds))
    return found


def _softmax(logits: Floats) -> Floats:
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Floats = exp / exp.sum(axis=1, keepdims=True)
    return found
