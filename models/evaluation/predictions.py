"""What a bundle says of the tracks of a dataset: embedded and scored exactly as tagging does."""

from collections.abc import Mapping

import numpy as np

from models.bundles import baselines
from models.bundles.baselines import Baselines
from models.bundles.bundle import Bundle, BundleError, load_bundle
from models.evaluation.evaluation import Examined
from models.heads import heads
from models.heads.calibration import DEFAULT_THRESHOLD
from models.heads.tagger import TAGGER, SplitRows, embed_split
from transforms.records import storage
from transforms.records.datasets import DatasetError, DatasetManifest


def check_fit(bundle: Bundle, manifest: DatasetManifest) -> None:
    """Raises BundleError unless features and taxonomy of bundle and dataset are the same; names both ids."""
    bundle.check_feature_id(manifest.feature_id)
    if manifest.taxonomy_id != bundle.taxonomy.taxonomy_id:
        raise BundleError(
            f"{bundle.url} has taxonomy {bundle.taxonomy.taxonomy_id}, the dataset {manifest.taxonomy_id}: "
            "prepare the dataset with the taxonomy that the bundle was trained on"
        )


def predict(bundle_url: str, dataset: str, manifest: DatasetManifest, split: str) -> tuple[Bundle, Examined]:
    """The bundle, and its scores and those of the baselines that it keeps, for one split of a dataset.

    Raises:
      BundleError: the bundle cannot be used, or the dataset has other features or another taxonomy.
      DatasetError: the split is empty, or a shard is missing or changed.
    """
    bundle = load_bundle(bundle_url)
    check_fit(bundle, manifest)
    if not manifest.splits.get(split):
        raise DatasetError(f"{dataset}: no track in split {split!r} (splits: {manifest.splits})")
    rows = _embed(bundle_url, dataset, manifest, split)
    thresholds = np.full(bundle.layout.size, DEFAULT_THRESHOLD)
    scores = {TAGGER: bundle.score(rows.embedded.embeddings), **_baseline_scores(bundle, rows)}
    scores = {model: np.round(found, heads.SCORE_DECIMALS) for model, found in scores.items()}
    return bundle, Examined(
        groups=rows.groups,
        durations_s=rows.durations_s,
        targets=rows.embedded.targets,
        mask=rows.embedded.mask,
        scores=scores,
        positives={
            model: heads.positives(found, bundle.thresholds if model == TAGGER else thresholds, bundle.layout)
            for model, found in scores.items()
        },
    )


def _embed(bundle_url: str, dataset: str, manifest: DatasetManifest, split: str) -> SplitRows:
    # Imported here: TensorFlow takes its time, and refusals come before it.
    from models.training import data
    from models.training.shards import local_shards
    from models.trunks.embedding import load_embedder

    embedder, total = load_embedder(bundle_url, threads=None), manifest.splits[split]
    with local_shards(dataset, manifest, [split]) as paths:
        tracks = data.tracks(paths[split], manifest, total)
        return embed_split(tracks, embedder, len(manifest.taxonomy.tags), total, split)


def _baseline_scores(bundle: Bundle, rows: SplitRows) -> Mapping[str, np.ndarray]:
    """Scores of the baselines that were fitted with the bundle; none where it was not trained here."""
    if baselines.FILE not in bundle.files:
        return {}
    kept = Baselines.from_npz(storage.read_bytes(storage.join(bundle.url, baselines.FILE)))
    return kept.scores(rows.moments.embeddings, bundle.layout)
