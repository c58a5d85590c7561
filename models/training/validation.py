"""Validation after each epoch: metrics of the mean logits of validation tracks."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from models.scoring import metrics
from models.scoring.heads import Layout, link
from models.training import data
from models.training.losses import masked_loss
from transforms.dataset.manifest import DatasetManifest

PATCHES = 4
"""Most patches of each validation track, spread evenly over it."""

VALIDATION_TRACKS = 2000
"""Most validation tracks. They stay in memory."""

_BATCH = 64


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """Validation patches and labels.

    Attributes:
      patches: patches of all tracks, float16 [n, frames, mels].
      track: index of the track of each patch, int [n].
      targets: [tracks, T].
      mask: [tracks, T].
      layout: the categories.
    """

    patches: np.ndarray
    track: np.ndarray
    targets: np.ndarray
    mask: np.ndarray
    layout: Layout

    @classmethod
    def of(cls, tracks: Iterable[data.TrainingTrack], manifest: DatasetManifest, layout: Layout) -> "Validation":
        """Takes `PATCHES` patches of each of the first `VALIDATION_TRACKS` tracks."""
        tracks = [_thinned(track) for track in itertools.islice(tracks, VALIDATION_TRACKS)]
        chosen, tags = [track.patches for track in tracks], len(manifest.taxonomy.tags)
        return cls(
            patches=np.concatenate([*chosen, np.zeros((0, *manifest.feature_spec.patch_shape), np.float16)]),
            track=np.repeat(np.arange(len(chosen)), [len(patches) for patches in chosen]),
            targets=np.array([track.targets for track in tracks]).reshape(-1, tags),
            mask=np.array([track.mask for track in tracks]).reshape(-1, tags),
            layout=layout,
        )

    def rate(self, logits_of: Callable[[np.ndarray], np.ndarray]) -> dict[str, float]:
        """Loss of a model, and macro PR-AUC if it is defined. `logits_of` maps float32 patches to logits."""
        if not len(self.targets):
            return {}
        logits = np.zeros(self.targets.shape)
        for start in range(0, len(self.patches), _BATCH):
            rows = slice(start, start + _BATCH)
            np.add.at(logits, self.track[rows], logits_of(self.patches[rows].astype(np.float32)))
        logits /= np.bincount(self.track)[:, None]
        packed = np.concatenate([self.targets, self.mask], axis=1)
        loss = float(np.mean(masked_loss(self.layout)(packed, logits.astype(np.float32))))
        scores = link(logits, self.layout)
        pr_auc = metrics.macro(metrics.tag_metrics(self.targets, self.mask, scores, scores >= 0.5))["pr_auc"]
        return {"val_loss": loss} if pr_auc is None else {"val_loss": loss, "val_pr_auc": pr_auc}


def _thinned(track: data.TrainingTrack) -> data.TrainingTrack:
    places = np.linspace(0, len(track.patches) - 1, PATCHES).round().astype(int)
    return dataclasses.replace(track, patches=track.patches[np.unique(places)])


def logits_function(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """The first output of a model in training, as a function of numpy arrays."""
    compiled = tf.function(lambda batch: model(batch, training=False), autograph=False, reduce_retracing=True)
    return lambda batch: tf.nest.flatten(compiled(tf.constant(batch)))[0].numpy()
