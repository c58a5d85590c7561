"""Scores and decisions of labelled tracks, read from a published snapshot instead of being computed again."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.bundles import split_record as split_file
from models.bundles.tagger_bundle import Bundle
from models.bundles.trunk_bundle import BundleError
from models.evaluation.examined import ExaminedTracks
from models.evaluation.fused_scores import FusedPredictions, fused_notes, read_fused
from models.evaluation.predictions import decisions, kept_baselines
from models.evaluation.summary import Evaluation
from models.fitting import baselines
from models.fitting.tagger import TAGGER
from models.scoring import heads
from transforms.splits.by_artist import SplitRatios
from transforms.splits.track_labels import TrackLabels
from transforms.table.mixture import taggers_of
from transforms.table.reader import SnapshotReader

UNSEEN_SIDE = "test"
"""Side of artists that are neither in the bundle's split nor in that of the labels: no model was fitted on them."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PublishedScores:
    """Labelled tracks of one side, and their predictions in a snapshot.

    Attributes:
      examined: the tracks that are in the snapshot.
      track_ids: their ids.
      cut: lowest published score; lower scores count as 0.
      absent: number of labelled tracks of the side that are not in the snapshot, or have tags of another tagger there.
      unseen: number of examined tracks whose artist is not in the bundle's split.
      fused: what a fused snapshot says; None if it was tagged without sources.
    """

    examined: ExaminedTracks
    track_ids: tuple[str, ...]
    cut: float
    absent: int
    unseen: int
    fused: FusedPredictions | None = None

    def notes(self) -> list[str]:
        """Sentences that are needed to interpret the metrics."""
        notes = []
        if self.cut:
            notes.append(
                f"Scores under {self.cut:g} are not published and count as equal. ROC-AUC and PR-AUC are those of the "
                "truncated scores, and there is no calibration error."
            )
        if self.absent:
            notes.append(f"{self.absent} labelled tracks were left out, because they are not in the table.")
        if self.unseen:
            notes.append(f"{self.unseen} tracks have artists that are not in the bundle's split.")
        return [*notes, *(fused_notes(self.fused) if self.fused else ())]


def examine_table(
    bundle: Bundle, snapshot: SnapshotReader, labels: Iterable[TrackLabels], split: str
) -> PublishedScores:
    """The scores and decisions of a snapshot for the labelled tracks on one side of the bundle's split.

    Args:
      bundle: the bundle that the table was tagged with.
      snapshot: a snapshot of that table.
      labels: labelled tracks, in the order of the bundle's tags.
      split: the side.

    Raises:
      BundleError: the table was tagged with another bundle or with `--top-k`, lacks scores, or has none of the tracks.
    """
    _check(bundle, snapshot)
    found, unseen = _of_side(split_file.read_sides(bundle), labels, split)
    ids, durations_s, positives = _read_tracks(snapshot, sorted(found), bundle.taxonomy.tag_ids, bundle.tagger_id)
    if not ids:
        raise BundleError(f"{snapshot.root} has none of the {len(found)} labelled tracks of split {split!r}")
    cut = snapshot.manifest.run.options.get("min_score") or 0.0
    prevalence = _prevalence(bundle, len(ids))
    model = _read_scores(snapshot, ids, bundle.taxonomy.tag_ids, cut)
    fused = read_fused(snapshot, ids, model, bundle.taxonomy)
    if fused is not None:  # the snapshot's positives are those of the fused scores
        positives = decisions(TAGGER, model, bundle.thresholds, bundle.layout)
    further = {} if fused is None else fused.scores()
    decided = [] if fused is None else fused.decided()
    examined = ExaminedTracks(
        groups=tuple(found[track].group for track in ids),
        durations_s=durations_s,
        targets=np.stack([found[track].targets for track in ids]),
        mask=np.stack([found[track].mask for track in ids]),
        scores={TAGGER: model, **further, **prevalence},
        positives={
            TAGGER: positives,
            **{
                name: decisions(TAGGER if name in decided else name, scores, bundle.thresholds, bundle.layout)
                for name, scores in {**further, **prevalence}.items()
            },
        },
    )
    return PublishedScores(
        examined=examined,
        track_ids=tuple(ids),
        cut=cut,
        absent=len(found) - len(ids),
        unseen=len(unseen & set(ids)),
        fused=fused,
    )


class PublishedPredictions(NamedTuple):
    """The predictions of a snapshot, whichever bundle made them.

    Attributes:
      track_ids: the wanted tracks that it has.
      tag_ids: its tags, without those of rules.
      scores: float64 [n, T], 0 if below `--min-score`.
      positives: bool [n, T].
    """

    track_ids: list[str]
    tag_ids: list[str]
    scores: np.ndarray
    positives: np.ndarray


def read_predictions(snapshot: SnapshotReader, wanted: Sequence[str]) -> PublishedPredictions:
    """The predictions of a snapshot for some tracks, without those that a mixed snapshot has of earlier taggers.

    Raises:
      BundleError: the table was tagged with `--top-k`, or lacks scores.
    """
    _check_complete(snapshot)
    tag_ids = [row["tag"] for row in snapshot.scan("taxonomy").to_pylist() if row.get("rule") is None]
    ids, _, positives = _read_tracks(snapshot, sorted(wanted), tag_ids, snapshot.manifest.run.ids.tagger_id)
    cut = snapshot.manifest.run.options.get("min_score") or 0.0
    return PublishedPredictions(ids, tag_ids, _read_scores(snapshot, ids, tag_ids, cut), positives)


def without_calibration(evaluation: Evaluation) -> Evaluation:
    """The evaluation without calibration error, which is undefined for truncated scores."""
    nothing = {"value": None, "low": None, "high": None}
    return dataclasses.replace(
        evaluation,
        rows=[row | nothing if row["metric"] == "ece" else row for row in evaluation.rows],
        averages=[row | {"metrics": row["metrics"] | {"ece": nothing}} for row in evaluation.averages],
        reliability={},
    )


def _check(bundle: Bundle, snapshot: SnapshotReader) -> None:
    run = snapshot.manifest.run
    taggers = [ids.tagger_id for ids, _ in taggers_of(run)]
    if bundle.tagger_id not in taggers:
        raise BundleError(
            f"{snapshot.root} was tagged with {' and '.join(taggers)}, but {bundle.url} is {bundle.tagger_id}: give "
            "the bundle that the table was tagged with, or first tag with this one"
        )
    _check_complete(snapshot)


def _check_complete(snapshot: SnapshotReader) -> None:
    run = snapshot.manifest.run
    if run.options.get("top_k") is not None:
        raise BundleError(
            f"{snapshot.root} was tagged with --top-k {run.options['top_k']}: whether it has a score depends on the "
            "other tags of the track, so metrics would be wrong; tag without --top-k, or give only --dataset"
        )


def _prevalence(bundle: Bundle, rows: int) -> dict[str, np.ndarray]:
    """The baseline that needs no spectrograms, by name; empty if the bundle has no baselines."""
    known = kept_baselines(bundle)
    if known is None:
        return {}
    return {baselines.PREVALENCE: np.round(baselines.constant_scores(known.shares, rows), heads.SCORE_DECIMALS)}


def _of_side(
    sides: split_file.Sides, labels: Iterable[TrackLabels], split: str
) -> tuple[dict[str, TrackLabels], set[str]]:
    """The tracks of one side by id, and the ids of those that the bundle's split does not decide."""
    found, unseen = {}, set()
    for track in labels:
        side, known = sides.of(track.track_id, track.group, track.official or UNSEEN_SIDE, SplitRatios())
        if side == split:
            found[track.track_id] = track
            if not known:
                unseen.add(track.track_id)
    return found, unseen


def _read_tracks(
    snapshot: SnapshotReader, wanted: Sequence[str], tag_ids: Sequence[str], tagger_id: str
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The wanted tracks that this tagger tagged: ids, lengths in seconds [n], and their positive tags, bool [n, T].

    `top_tags` has every positive tag, even if `track_tags` omits it.
    """
    tags = pa.array(tag_ids, pa.string())
    ids: list[str] = []
    lengths, given = [np.zeros(0)], [np.zeros((0, len(tag_ids)), bool)]
    columns = ["track_id", "duration_s", "top_tags", "tagger_id"]
    for rows in snapshot.batches("tracks", columns, track_ids=wanted):
        rows = rows.filter(pc.equal(rows["tagger_id"], tagger_id))
        positives = np.zeros((rows.num_rows, len(tag_ids)), bool)
        track, tag = pc.list_parent_indices(rows["top_tags"]), pc.struct_field(pc.list_flatten(rows["top_tags"]), "tag")
        place = pc.index_in(tag, tags)  # null for tags of rules
        positives[track.filter(place.is_valid()).to_numpy(), place.drop_null().to_numpy()] = True
        ids += rows["track_id"].to_pylist()
        lengths.append(rows["duration_s"].to_numpy().astype(np.float64))
        given.append(positives)
    return ids, np.concatenate(lengths), np.concatenate(given)


def _read_scores(snapshot: SnapshotReader, ids: Sequence[str], tag_ids: Sequence[str], cut: float) -> np.ndarray:
    """The model's scores of these tracks: float64 [n, T], 0 if below the cut.

    Raises:
      BundleError: scores are missing although the cut is 0.
    """
    among, tags = pa.array(ids, pa.string()), pa.array(tag_ids, pa.string())
    scores = np.full((len(ids), len(tag_ids)), np.nan)
    for rows in snapshot.batches("track_tags", ["track_id", "tag", "model_score"], track_ids=ids):
        rows = rows.filter(pc.is_in(rows["tag"], tags))  # without those of rules
        row, column = pc.index_in(rows["track_id"], among), pc.index_in(rows["tag"], tags)
        scores[row.to_numpy(), column.to_numpy()] = rows["model_score"].to_numpy()
    if cut == 0 and (lacking := int(np.isnan(scores).sum())):
        raise BundleError(
            f"{snapshot.root}: snapshot {snapshot.manifest.number} lacks {lacking} scores of its tracks: run "
            "`catalog-tagger verify`"
        )
    found: np.ndarray = np.round(np.nan_to_num(scores, nan=0.0), heads.SCORE_DECIMALS)
    return found
