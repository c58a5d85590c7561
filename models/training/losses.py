"""Losses by kind of category, masked if a category is unknown."""

from collections.abc import Callable

import keras
import tensorflow as tf

from models.scoring.heads import Group, Layout, fitted_columns


def pack(targets: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Concatenates targets and mask [n, T] to [n, 2 T], because Keras passes only one tensor of labels to a loss."""
    return tf.concat([targets, mask], axis=-1)


def masked_loss(layout: Layout) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The loss of packed labels [n, 2 T] and logits [n, T]: float32 [n].

    It is the sum over known categories, divided by the number of outputs. `binary` has one sigmoid and `multilabel` one
    per tag, with binary cross-entropy; `multiclass` has a softmax with categorical cross-entropy. Targets are soft.
    Unknown categories contribute 0.
    """
    outputs = sum(1 if group.kind == "multiclass" else len(fitted_columns(group)) for group in layout.groups)

    def loss(packed: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        targets, mask = tf.split(packed, 2, axis=-1)
        terms = [_category_loss(group, targets, mask, logits) for group in layout.groups]
        return tf.add_n(terms) / outputs

    return loss


def _category_loss(group: Group, targets: tf.Tensor, mask: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    columns = fitted_columns(group)
    y, known, z = (tf.gather(values, columns, axis=-1) for values in (targets, mask, logits))
    if group.kind == "multiclass":
        return tf.reduce_min(known, axis=-1) * tf.nn.softmax_cross_entropy_with_logits(y, z)
    return tf.reduce_sum(known * tf.nn.sigmoid_cross_entropy_with_logits(y, z), axis=-1)


def with_outputs(trunk: keras.Model, layout: Layout, *, embeds: bool = False) -> keras.Model:
    """The model for training at patch level: the trunk and a layer with the logits of all tags.

    With `embeds`, the patch embedding is a second output.
    """
    x = keras.layers.Dropout(0.3, name="head_dropout")(trunk.output)
    logits = keras.layers.Dense(layout.size, dtype="float32", name="logits")(x)
    return keras.Model(trunk.input, [logits, trunk.output] if embeds else [logits], name="trainer")
