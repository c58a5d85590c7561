"""What a fused snapshot says about labelled tracks: its scores, each source alone, the scores without one source."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.bundles.trunk_bundle import BundleError
from models.scoring.heads import SCORE_DECIMALS
from transforms.fusion.policy import CATALOG_SOURCE, Policy
from transforms.fusion.pooling import pooled_scores
from transforms.table.reader import SnapshotReader
from transforms.taxonomy.hierarchy import Taxonomy

FUSED_MODEL = "fused"
"""Name of the published scores, beside the model's."""

DECISIVE_METRIC = "pr_auc"
"""Metric whose macro average says whether a source hurts."""


class FusedPredictions(NamedTuple):
    """Scores of labelled tracks, each float64 [n, T].

    Attributes:
      published: the scores of the snapshot.
      without: source -> the scores if this source did not exist. Empty for a single source: then they are the model's.
      alone: source -> what it says; the mean of the model's scores of the tag where it says nothing.
      coverage: source -> share of the pairs of track and tag of which it says something.
    """

    published: np.ndarray
    without: dict[str, np.ndarray]
    alone: dict[str, np.ndarray]
    coverage: dict[str, float]

    def scores(self) -> dict[str, np.ndarray]:
        """Name of a model in the evaluation -> scores."""
        return {
            FUSED_MODEL: self.published,
            **{_without(name): scores for name, scores in self.without.items()},
            **{_alone(name): scores for name, scores in self.alone.items()},
        }

    def decided(self) -> list[str]:
        """Names of those models whose positives follow the thresholds of the bundle."""
        return [FUSED_MODEL, *map(_without, self.without)]


def _without(name: str) -> str:
    return f"without {name}"


def _alone(name: str) -> str:
    return f"source {name}"


def read_fused(
    snapshot: SnapshotReader, ids: Sequence[str], model: np.ndarray, taxonomy: Taxonomy
) -> FusedPredictions | None:
    """The predictions of a fused snapshot; None if it was tagged without sources.

    Args:
      snapshot: the snapshot.
      ids: tracks of the snapshot.
      model: the scores of the model, float64 [n, T].
      taxonomy: the tags.

    Raises:
      BundleError: low scores are not published, so the model's scores of tags that sources deny are missing.
    """
    run = snapshot.manifest.run
    if not run.fusion:
        return None
    if run.options.get("min_score"):
        raise BundleError(
            f"{snapshot.root} was tagged with --fusion and --min-score: where sources deny a tag, the model's score is "
            "missing, so metrics would be wrong; tag without --min-score"
        )
    policy = Policy.from_json(run.fusion["policy"])
    published, said = _read(snapshot, ids, policy, taxonomy)
    without = {} if len(policy.names) == 1 else dict(_left_out(model, said, policy, taxonomy))
    silent = np.broadcast_to(np.round(model.mean(axis=0), SCORE_DECIMALS), model.shape)
    alone = {
        name: np.round(np.where(np.isnan(own), silent, own), SCORE_DECIMALS)
        for name, own in zip(policy.names, said, strict=True)
    }
    coverage = {name: float(np.mean(~np.isnan(own))) for name, own in zip(policy.names, said, strict=True)}
    return FusedPredictions(published, without, alone, coverage)


def _left_out(
    model: np.ndarray, said: Sequence[np.ndarray], policy: Policy, taxonomy: Taxonomy
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields each source and the scores without it."""
    for place, name in enumerate(policy.names):
        others = [own for number, own in enumerate(said) if number != place]
        yield name, pooled_scores(model, others, policy.without(name), taxonomy)[0]


def _read(
    snapshot: SnapshotReader, ids: Sequence[str], policy: Policy, taxonomy: Taxonomy
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The published scores, and what each source says, NaN if nothing: float64 [n, T] each."""
    among, tags, names = (pa.array(values, pa.string()) for values in (ids, taxonomy.tag_ids, policy.names))
    published = np.zeros((len(ids), len(tags)))
    said = [np.full(published.shape, np.nan) for _ in policy.names]
    for rows in snapshot.batches("track_tags", ["track_id", "tag", "score", "experts"], track_ids=ids):
        rows = rows.filter(pc.is_in(rows["tag"], tags))  # without those of rules
        row, column = (
            pc.index_in(rows[name], values).to_numpy() for name, values in (("track_id", among), ("tag", tags))
        )
        published[row, column] = rows["score"].to_numpy()
        entries, place = pc.list_flatten(rows["experts"]), pc.list_parent_indices(rows["experts"]).to_numpy()
        source = pc.index_in(pc.struct_field(entries, "source"), names).to_numpy()
        weight = pc.struct_field(entries, "weight").to_numpy()
        for number, own in enumerate(said):
            mine = source == number
            own[row[place[mine]], column[place[mine]]] = weight[mine]
    return np.round(published, SCORE_DECIMALS), said


def fused_notes(found: FusedPredictions) -> list[str]:
    """Sentences that are needed to interpret the metrics."""
    shares = ", ".join(f"{name} {share:.1%}" for name, share in found.coverage.items())
    notes = [
        "The table was fused with sources. Share of the pairs of track and tag of which each says something: "
        f"{shares}. Where a source says nothing, its score is the mean of the model's scores of the tag."
    ]
    if CATALOG_SOURCE in found.coverage:
        notes.append(
            "The tags of the catalog are one of the sources: rate with annotations that were not in it, else fused "
            "scores look better than they are."
        )
    return notes


def harm_notes(averages: Sequence[Mapping[str, Any]], model: str) -> list[str]:
    """One sentence for each source without which the published scores would be better.

    Args:
      averages: averages of an evaluation.
      model: name of the model without any source.
    """
    macro = {
        row["model"]: row["metrics"][DECISIVE_METRIC]["value"]
        for row in averages
        if (row["slice"], row["category"], row["average"]) == ("all", "all", "macro")
    }
    if (own := macro.get(FUSED_MODEL)) is None:
        return []
    names = [name.removeprefix(_alone("")) for name in macro if name.startswith(_alone(""))]
    others = {name: macro.get(_without(name), macro[model]) for name in names}
    return [
        f"Source {name} hurts: macro PR-AUC is {own:.4f} with it, {other:.4f} without it."
        for name, other in others.items()
        if other is not None and other > own
    ]
