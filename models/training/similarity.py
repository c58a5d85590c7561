"""The tag similarity of tracks, and the loss that lets patch embeddings follow it, so that neighbours share tags."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf


def rarity(positive: Sequence[int], known: Sequence[int]) -> np.ndarray:
    """What a tag weighs, the more the fewer tracks carry it: log(1 + known / positive), float32 [T], always > 0."""
    carried = np.maximum(np.asarray(positive, np.float64), 1)
    return np.log1p(np.maximum(np.asarray(known, np.float64), carried) / carried).astype(np.float32)


def tag_similarity(targets: tf.Tensor, mask: tf.Tensor, weights: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
    """Cosine between the weighted tags of every two tracks, over the tags that are known of both.

    Args:
      targets: float32 [n, T], 0 to 1.
      mask: float32 [n, T], 1 where a tag is known.
      weights: of the tags, float32 [T].

    Returns:
      Similarities float32 [n, n], 0 to 1; and float32 [n, n], 1 where both carry a tag that is known of both, or 0:
      two tracks of which nothing is known are neither alike nor different.
    """
    weighted = targets * mask * weights
    # The length of a row's tags, seen through the mask of each other row.
    lengths = tf.sqrt(tf.matmul(weighted**2, mask, transpose_b=True))
    product = lengths * tf.transpose(lengths)
    similarity = tf.math.divide_no_nan(tf.matmul(weighted, weighted, transpose_b=True), product)
    return tf.minimum(similarity, 1.0), tf.cast(product > 0, tf.float32)


def similarity_loss(weights: np.ndarray) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The loss of packed labels [n, 2 T] and patch embeddings [n, d]: float32 [n].

    For each patch the mean, over the others of the batch that it can be compared with, of the squared difference
    between the cosine of the embeddings and the similarity of the tags.
    """

    def loss(packed: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
        targets, mask = tf.split(packed, 2, axis=-1)
        similarity, comparable = tag_similarity(targets, mask, weights)
        others = comparable * (1 - tf.eye(tf.shape(comparable)[0]))
        unit = tf.math.l2_normalize(tf.cast(embeddings, tf.float32), axis=-1)
        difference = tf.matmul(unit, unit, transpose_b=True) - similarity
        return tf.math.divide_no_nan(tf.reduce_sum(others * difference**2, axis=-1), tf.reduce_sum(others, axis=-1))

    return loss
