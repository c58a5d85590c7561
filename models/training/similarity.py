"""Tag similarity of tracks, and a loss that fits patch embeddings to it, so that nearest neighbours share tags."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf


def rarity(positive: Sequence[int], known: Sequence[int]) -> np.ndarray:
    """Weight of each tag, higher for rarer tags: log(1 + known / positive), float32 [T], always > 0.

    Args:
      positive: number of tracks that carry each tag; 0 counts as 1.
      known: number of tracks in which each tag is known; raised to at least `positive`.
    """
    carried = np.maximum(np.asarray(positive, np.float64), 1)
    return np.log1p(np.maximum(np.asarray(known, np.float64), carried) / carried).astype(np.float32)


def tag_similarity(targets: tf.Tensor, mask: tf.Tensor, weights: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
    """Cosine similarity of the weighted tags of every pair of tracks, over the tags that are known for both.

    Args:
      targets: float32 [n, T], 0 to 1.
      mask: float32 [n, T], 1 if a tag is known.
      weights: weights of the tags, float32 [T].

    Returns:
      Similarities float32 [n, n], 0 to 1; and float32 [n, n], 1 if the pair is comparable, else 0. A pair is comparable
      if each of its tracks carries a tag that is known for both.
    """
    weighted = targets * mask * weights
    # Norm of each row's tags under the mask of every other row.
    lengths = tf.sqrt(tf.matmul(weighted**2, mask, transpose_b=True))
    product = lengths * tf.transpose(lengths)
    similarity = tf.math.divide_no_nan(tf.matmul(weighted, weighted, transpose_b=True), product)
    return tf.minimum(similarity, 1.0), tf.cast(product > 0, tf.float32)


def similarity_loss(weights: np.ndarray) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The loss of packed labels [n, 2 T] and patch embeddings [n, d]: float32 [n].

    For each patch it is the mean squared difference between the cosine similarity of the embeddings and the tag
    similarity, over the other comparable patches of the batch.
    """

    def loss(packed: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
        targets, mask = tf.split(packed, 2, axis=-1)
        similarity, comparable = tag_similarity(targets, mask, weights)
        others = comparable * (1 - tf.eye(tf.shape(comparable)[0]))
        unit = tf.math.l2_normalize(tf.cast(embeddings, tf.float32), axis=-1)
        difference = tf.matmul(unit, unit, transpose_b=True) - similarity
        return tf.math.divide_no_nan(tf.reduce_sum(others * difference**2, axis=-1), tf.reduce_sum(others, axis=-1))

    return loss
