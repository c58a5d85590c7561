"""The predictions of a bundle for the tracks of a dataset, embedded and scored exactly as `tag` does."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from models.bundles.split_record import Sides, read_sides
from models.bundles.tagger_bundle import Bundle, load_bundle
from models.bundles.trunk_bundle import BundleError, read_file
from models.evaluation.examined import ExaminedTracks
from models.fitting import baselines
from models.fitting.baselines import Baselines
from models.fitting.calibration import DEFAULT_THRESHOLD
from models.fitting.rows import SplitRows, embed_split
from models.fitting.tagger import TAGGER
from models.scoring import heads
from models.scoring.heads import Heads, Layout
from models.trunks.quiet_start import start_tensorflow
from transforms.dataset.manifest import DatasetError, DatasetManifest


def check_fit(bundle: Bundle, manifest: DatasetManifest) -> None:
    """Raises BundleError unless bundle and dataset have the same features and taxonomy. The message has both ids."""
    bundle.check_feature_id(manifest.feature_id)
    check_taxonomy(bundle, manifest)


def check_taxonomy(bundle: Bundle, manifest: DatasetManifest) -> None:
    """Raises BundleError unless bundle and dataset have the same taxonomy. The message has both ids."""
    if manifest.taxonomy_id != bundle.taxonomy.taxonomy_id:
        raise BundleError(
            f"{bundle.url} has taxonomy {bundle.taxonomy.taxonomy_id}, but the dataset has {manifest.taxonomy_id}: "
            "prepare the dataset with the taxonomy that the bundle was trained on"
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class BundlePredictions:
    """A bundle and its predictions for the tracks of one split that it was not fitted on.

    Attributes:
      bundle: the bundle.
      examined: the tracks, with the scores of the bundle and of its baselines.
      track_ids: ids of these tracks.
      seen: number of tracks that were left out, because the bundle was fitted on them or on their artists.
    """

    bundle: Bundle
    examined: ExaminedTracks
    track_ids: tuple[str, ...]
    seen: int

    def notes(self) -> list[str]:
        """Sentences that are needed to interpret the metrics."""
        if not self.seen:
            return []
        return [
            f"{self.seen} tracks were left out, because the bundle was fitted on them or on other tracks of their "
            "artists."
        ]


def predict(bundle_url: str, dataset: str, manifest: DatasetManifest, split: str) -> BundlePredictions:
    """The bundle, its scores and those of its baselines for one split of a dataset.

    Raises:
      BundleError: the bundle cannot be used or was fitted on all tracks of the split, or the dataset has other features
        or another taxonomy.
      DatasetError: the split is empty, or a shard is missing or changed.
    """
    bundle = load_bundle(bundle_url)
    check_fit(bundle, manifest)
    if not manifest.splits.get(split):
        raise DatasetError(f"{dataset}: no track in split {split!r} (splits: {manifest.splits})")
    rows = _embed(bundle_url, dataset, manifest, split, read_sides(bundle))
    if not rows.track_ids:
        raise BundleError(
            f"{bundle_url} was fitted on all {manifest.splits[split]} tracks of split {split!r} of {dataset}, or on "
            "other tracks of their artists: evaluate it on a dataset with the split that it was trained with, or with "
            "other artists"
        )
    examined = examine(rows, bundle.heads, bundle.thresholds, kept_baselines(bundle), bundle.layout)
    seen = manifest.splits[split] - len(rows.track_ids)
    return BundlePredictions(bundle=bundle, examined=examined, track_ids=rows.track_ids, seen=seen)


def examine(
    rows: SplitRows, own: Heads, thresholds: np.ndarray, known: Baselines | None, layout: Layout
) -> ExaminedTracks:
    """The predictions of heads, and of baselines if there are any, for embedded tracks."""
    scores = dict(model_scores(rows, own, known, layout))
    return ExaminedTracks(
        groups=rows.groups,
        durations_s=rows.durations_s,
        targets=rows.embedded.targets,
        mask=rows.embedded.mask,
        scores=scores,
        positives={model: decisions(model, found, thresholds, layout) for model, found in scores.items()},
    )


def model_scores(
    rows: SplitRows, own: Heads, known: Baselines | None, layout: Layout
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields each model and its scores, rounded like published scores: float64 [n, T]."""
    found = heads.score(rows.embedded.embeddings, own, layout)
    yield TAGGER, np.round(found, heads.SCORE_DECIMALS, out=found)
    if known is not None and rows.moments is not None:
        for model, scores in known.scores(rows.moments.embeddings, layout).items():
            yield model, np.round(scores, heads.SCORE_DECIMALS)


def decisions(model: str, scores: np.ndarray, thresholds: np.ndarray, layout: Layout) -> np.ndarray:
    """The tags that a model predicts: bool [n, T]. Baselines have no fitted thresholds; the default is used."""
    halves = np.full(layout.size, DEFAULT_THRESHOLD)
    return heads.positives(scores, thresholds if model == TAGGER else halves, layout)


def _embed(bundle_url: str, dataset: str, manifest: DatasetManifest, split: str, sides: Sides) -> SplitRows:
    """Embeds the tracks that the bundle's split allows on this side."""
    # Local imports: TensorFlow loads slowly, and input errors are reported before that.
    start_tensorflow()
    from models.training import data
    from models.training.shards import local_shards
    from models.trunks.loading import load_embedder

    embedder, total = load_embedder(bundle_url, threads=None), manifest.splits[split]
    with local_shards(dataset, manifest, [split]) as paths:
        tracks = data.tracks(paths[split], manifest, total)
        allowed = (track for track in tracks if sides.allow(track.track_id, track.group, split))
        return embed_split(allowed, embedder, len(manifest.taxonomy.tags), total, split)


def kept_baselines(bundle: Bundle) -> Baselines | None:
    """The baselines that were fitted with the bundle; None if it has none."""
    if baselines.BASELINES_FILE not in bundle.files:
        return None
    return Baselines.from_npz(read_file(bundle.url, baselines.BASELINES_FILE, bundle.files[baselines.BASELINES_FILE]))
