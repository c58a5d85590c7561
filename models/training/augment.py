"""Light augmentation of a batch of patches: random gain, SpecAugment and mixup. It is seeded and stateless."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from transforms.features.spec import FeatureSpec

GAIN_DB = 6.0
"""Largest random gain of a patch, up or down, in dB."""

MASKED_FRAMES = 0.15
MASKED_MELS = 0.12
"""Largest share of frames and of mel bands that SpecAugment masks."""

MIXED = 0.3
"""Largest weight of the other patch in mixup."""

Batch = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def augmenter(spec: FeatureSpec, mel_mean: Sequence[float]) -> Callable[[Batch, tf.Tensor], Batch]:
    """A function from ((patches, targets, mask), seed int64 [2]) to an augmented batch of the same shapes.

    Args:
      spec: feature spec of the patches.
      mel_mean: mean of each mel band, which replaces masked values.
    """
    blank = tf.constant(list(mel_mean), tf.float32)

    def apply(batch: Batch, seed: tf.Tensor) -> Batch:
        patches, targets, mask = batch
        seeds = tf.unstack(tf.random.split(seed, 4))
        if spec.compression == "db":  # a gain adds a constant in dB, but not under log10p1
            patches = patches + tf.random.stateless_uniform([tf.shape(patches)[0], 1, 1], seeds[0], -GAIN_DB, GAIN_DB)
        patches, targets, mask = mix(patches, targets, mask, seeds[1])
        for axis, share, number in ((1, MASKED_FRAMES, 2), (2, MASKED_MELS, 3)):
            hidden = band(tf.shape(patches), axis, share, seeds[number])
            patches = tf.where(hidden, blank, patches)
        return patches, targets, mask

    return apply


def mix(patches: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> Batch:
    """Mixes half of the patches with others, at a smaller weight. A mixed target is known if both are known."""
    order_seed, share_seed = tf.unstack(tf.random.split(seed, 2))
    count = tf.shape(patches)[0]
    order = tf.random.experimental.stateless_shuffle(tf.range(count), order_seed)
    # Half of the patches stay unmixed.
    share = tf.nn.relu(tf.random.stateless_uniform([count, 1], share_seed, -MIXED, MIXED))
    mixed = patches * (1 - share[:, :, None]) + tf.gather(patches, order) * share[:, :, None]
    known = tf.where(share > 0, mask * tf.gather(mask, order), mask)
    return mixed, targets * (1 - share) + tf.gather(targets, order) * share, known


def band(shape: tf.Tensor, axis: int, share: float, seed: tf.Tensor) -> tf.Tensor:
    """A random band of an axis for each row, at most `share` of the axis wide: bool, broadcastable to `shape`."""
    size = tf.cast(shape[axis], tf.float32)
    drawn = tf.random.stateless_uniform([shape[0], 2], seed)
    width = drawn[:, :1] * share * size
    start = drawn[:, 1:] * (size - width)
    places = tf.range(size)[None]
    inside = tf.logical_and(places >= start, places < start + width)
    return inside[:, :, None] if axis == 1 else inside[:, None, :]
