"""The layout of training examples: a labelled track as `tf.train.Example`, with equal bytes for equal tracks.

A TensorFlow process builds its parser from `layout`, which is plain data. All others read with `decode_example`.
"""

import dataclasses
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from transforms.formats.tfrecord import decode_features, encode_features


@dataclasses.dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature of an example: its kind, its fixed length (None: the number of patches) and its description."""

    kind: Literal["bytes", "int64", "float"]
    length: int | None
    sentence: str


def layout(tags: int) -> dict[str, Feature]:
    """All features of an example, for a taxonomy of `tags` tags."""
    return {
        "track_id": Feature(kind="bytes", length=1, sentence="Catalog key, UTF-8."),
        "group": Feature(kind="bytes", length=1, sentence="Key of the artist, else the album, else the track."),
        "duration_s": Feature(kind="float", length=1, sentence="Length of the audio in seconds."),
        "patches": Feature(kind="bytes", length=1, sentence="Log-mel patches, little-endian float16 in C order."),
        "patches_shape": Feature(kind="int64", length=3, sentence="Shape of patches: patches, frames, mels."),
        "patch_start_s": Feature(kind="float", length=None, sentence="Start of each patch in seconds."),
        "targets": Feature(kind="float", length=tags, sentence="Target of each tag of the taxonomy, 0 to 1."),
        "mask": Feature(kind="float", length=tags, sentence="1 if the tag's category is known, else 0."),
        "feature_id": Feature(kind="bytes", length=1, sentence="Id of the feature spec."),
        "taxonomy_id": Feature(kind="bytes", length=1, sentence="Id of the taxonomy."),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    """One labelled track.

    Attributes:
      track_id: catalog key.
      group: the group that a split keeps together: the artist, else the album, else the track (`group_key`).
      duration_s: length of the audio, seconds.
      patches: float16 [patches, frames, mels].
      starts_s: float32 [patches], seconds.
      targets: float32 [tags], 0 to 1.
      mask: float32 [tags], 1 if the tag's category is known, else 0.
      feature_id: id of the feature spec.
      taxonomy_id: id of the taxonomy.
    """

    track_id: str
    group: str
    duration_s: float
    patches: npt.NDArray[np.float16]
    starts_s: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]
    mask: npt.NDArray[np.float32]
    feature_id: str
    taxonomy_id: str


def encode_example(example: Example) -> bytes:
    """Serialises the example as `tf.train.Example`, with equal bytes for equal values."""
    return encode_features(
        {
            "track_id": example.track_id.encode(),
            "group": example.group.encode(),
            "duration_s": np.array([example.duration_s], np.float32),
            "patches": np.ascontiguousarray(example.patches, "<f2").tobytes(),
            "patches_shape": np.array(example.patches.shape, np.int64),
            "patch_start_s": example.starts_s.astype(np.float32),
            "targets": example.targets.astype(np.float32),
            "mask": example.mask.astype(np.float32),
            "feature_id": example.feature_id.encode(),
            "taxonomy_id": example.taxonomy_id.encode(),
        }
    )


def decode_example(data: bytes) -> Example:
    """Reads the example that `encode_example` serialised.

    Raises:
      ValueError: the record is not such an example.
    """
    values: dict[str, Any] = dict(decode_features(data))
    if missing := sorted(set(layout(0)) - set(values)):
        raise ValueError(f"the example has no {', '.join(missing)}: it was not written by prepare")
    return Example(
        track_id=values["track_id"].decode(),
        group=values["group"].decode(),
        duration_s=float(values["duration_s"][0]),
        patches=np.frombuffer(values["patches"], "<f2").reshape(values["patches_shape"]),
        starts_s=values["patch_start_s"],
        targets=values["targets"],
        mask=values["mask"],
        feature_id=values["feature_id"].decode(),
        taxonomy_id=values["taxonomy_id"].decode(),
    )
