"""The layout of training examples: `tf.train.Example` records in TFRecord framing, the same bytes for the same track.

Writing and checking go through the `tfrecord` package, which must not meet TensorFlow in one process: it is imported
inside the functions that need it. A TensorFlow process builds its parser from `layout`, which is plain data.
"""

import dataclasses
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature of an example: its kind, its fixed length (None: as many as there are patches) and what it holds."""

    kind: Literal["bytes", "int64", "float"]
    length: int | None
    sentence: str


def layout(tags: int) -> dict[str, Feature]:
    """Every feature of an example for a taxonomy of so many tags."""
    return {
        "track_id": Feature(kind="bytes", length=1, sentence="Catalog key, UTF-8."),
        "patches": Feature(kind="bytes", length=1, sentence="Log-mel patches, little-endian float16 in C order."),
        "patches_shape": Feature(kind="int64", length=3, sentence="Shape of patches: patches, frames, mels."),
        "patch_start_s": Feature(kind="float", length=None, sentence="Where each patch starts, in seconds."),
        "targets": Feature(kind="float", length=tags, sentence="Target of each tag of the taxonomy, 0 to 1."),
        "mask": Feature(kind="float", length=tags, sentence="1 where the tag's category is known, else 0."),
        "feature_id": Feature(kind="bytes", length=1, sentence="Id of the feature spec."),
        "taxonomy_id": Feature(kind="bytes", length=1, sentence="Id of the taxonomy."),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    """One labelled track.

    Attributes:
      track_id: catalog key.
      patches: float16 [patches, frames, mels].
      starts_s: float32 [patches], seconds.
      targets: float32 [tags], 0 to 1.
      mask: float32 [tags], 1 where the tag's category is known.
      feature_id: id of the feature spec.
      taxonomy_id: id of the taxonomy.
    """

    track_id: str
    patches: npt.NDArray[np.float16]
    starts_s: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]
    mask: npt.NDArray[np.float32]
    feature_id: str
    taxonomy_id: str


def encode_example(example: Example) -> bytes:
    """The example as a serialised `tf.train.Example`, its features in order of their names.

    The message is put together here, field by field: a protocol buffer library orders a map as it likes, from one
    version to the next.
    """
    entries = (
        _field(1, _field(1, name.encode()) + _field(2, _feature(value)))
        for name, value in sorted(_values(example).items())
    )
    return _field(1, b"".join(entries))


def _feature(value: bytes | npt.NDArray[np.int64] | npt.NDArray[np.float32]) -> bytes:
    """A `Feature`: bytes_list is its field 1, float_list 2, int64_list 3; numbers are packed."""
    if isinstance(value, bytes):
        return _field(1, _field(1, value))
    if value.dtype == np.int64:
        return _field(3, _field(1, b"".join(_varint(int(number)) for number in value)))
    return _field(2, _field(1, value.astype("<f4").tobytes()))


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field of the protocol buffer wire format."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def _values(example: Example) -> dict[str, bytes | npt.NDArray[np.int64] | npt.NDArray[np.float32]]:
    return {
        "track_id": example.track_id.encode(),
        "patches": np.ascontiguousarray(example.patches, "<f2").tobytes(),
        "patches_shape": np.array(example.patches.shape, np.int64),
        "patch_start_s": example.starts_s.astype(np.float32),
        "targets": example.targets.astype(np.float32),
        "mask": example.mask.astype(np.float32),
        "feature_id": example.feature_id.encode(),
        "taxonomy_id": example.taxonomy_id.encode(),
    }


def decode_example(data: bytes) -> Example:
    """The example that `encode_example` serialised.

    Raises:
      ValueError: the record is no such example.
    """
    from google.protobuf.message import DecodeError
    from tfrecord import example_pb2

    try:
        found = example_pb2.Example.FromString(data).features.feature
    except DecodeError as e:
        raise ValueError(f"not a tf.train.Example: {e}") from e
    if missing := sorted(set(layout(0)) - set(found)):
        raise ValueError(f"the example has no {', '.join(missing)}: it was not written by prepare")
    shape = tuple(found["patches_shape"].int64_list.value)
    return Example(
        track_id=found["track_id"].bytes_list.value[0].decode(),
        patches=np.frombuffer(found["patches"].bytes_list.value[0], "<f2").reshape(shape),
        starts_s=np.array(found["patch_start_s"].float_list.value, np.float32),
        targets=np.array(found["targets"].float_list.value, np.float32),
        mask=np.array(found["mask"].float_list.value, np.float32),
        feature_id=found["feature_id"].bytes_list.value[0].decode(),
        taxonomy_id=found["taxonomy_id"].bytes_list.value[0].decode(),
    )


def frame(record: bytes) -> bytes:
    """A record in TFRecord framing: length and data, each with its masked CRC-32C."""
    from tfrecord.writer import TFRecordWriter

    length = struct.pack("<Q", len(record))
    return b"".join((length, TFRecordWriter.masked_crc(length), record, TFRecordWriter.masked_crc(record)))


def write_records(stream: BinaryIO, records: Iterable[bytes]) -> None:
    """Writes records to an open file in TFRecord framing."""
    for record in records:
        stream.write(frame(record))


def read_records(stream: BinaryIO) -> Iterator[bytes]:
    """The records of a TFRecord file, each checked.

    Raises:
      ValueError: a checksum does not fit, or the file ends within a record.
    """
    from tfrecord.writer import TFRecordWriter

    while head := stream.read(12):
        if len(head) < 12 or TFRecordWriter.masked_crc(head[:8]) != head[8:]:
            raise ValueError("broken TFRecord file: the checksum of a record's length does not fit")
        length = struct.unpack("<Q", head[:8])[0]
        body = stream.read(length + 4)
        if len(body) < length + 4 or TFRecordWriter.masked_crc(body[:length]) != body[length:]:
            raise ValueError("broken TFRecord file: the checksum of a record does not fit")
        yield body[:length]
