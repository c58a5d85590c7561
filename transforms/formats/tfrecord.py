"""TFRecord framing and the `tf.train.Example` message, without TensorFlow or its protocol buffer descriptors.

A protocol buffer library may order the entries of a map in any way, and two libraries that both contain TensorFlow's
messages cannot be loaded in one process. The part of the format that examples use is small.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import google_crc32c
import numpy as np
import numpy.typing as npt

Value = bytes | npt.NDArray[np.int64] | npt.NDArray[np.float32]
"""A feature: one byte string, int64 [n] or float32 [n]."""

_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3
_LENGTH_DELIMITED = 2


def encode_features(features: Mapping[str, Value]) -> bytes:
    """A serialised `tf.train.Example` with features in order of their names, so that equal values give equal bytes."""
    entries = (_field(1, _field(1, name.encode()) + _field(2, _feature(features[name]))) for name in sorted(features))
    return _field(1, b"".join(entries))


def _feature(value: Value) -> bytes:
    if isinstance(value, bytes):
        return _field(_BYTES_LIST, _field(1, value))
    if value.dtype == np.int64:
        return _field(_INT64_LIST, _field(1, b"".join(_varint(int(number) % 2**64) for number in value)))
    return _field(_FLOAT_LIST, _field(1, value.astype("<f4").tobytes()))


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field of the protocol buffer wire format."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(payload)) + payload


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def decode_features(data: bytes) -> dict[str, Value]:
    """The features of a `tf.train.Example` that `encode_features` serialised.

    Raises:
      ValueError: the bytes are not such a message.
    """
    try:
        return dict(_entry(entry) for _, features in _fields(data) for _, entry in _fields(features))
    except (IndexError, KeyError, UnicodeDecodeError) as e:
        raise ValueError(f"not a tf.train.Example: {type(e).__name__} {e}") from e


def _entry(data: memoryview) -> tuple[str, Value]:
    parts = dict(_fields(data))
    ((kind, values),) = _fields(parts[2])
    payload = b"".join(bytes(packed) for _, packed in _fields(values))
    return bytes(parts[1]).decode(), _value(kind, payload)


def _value(kind: int, payload: bytes) -> Value:
    if kind == _BYTES_LIST:
        return payload
    if kind == _FLOAT_LIST:
        return np.frombuffer(payload, "<f4")
    numbers, at = [], 0
    while at < len(payload):
        number, at = _read_varint(memoryview(payload), at)
        numbers.append(number - 2**64 if number >= 2**63 else number)
    return np.array(numbers, np.int64)


def _fields(data: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and payload of each field of a message that has only length-delimited fields."""
    view, at = memoryview(data), 0
    while at < len(view):
        key, at = _read_varint(view, at)
        length, at = _read_varint(view, at)
        if key & 7 != _LENGTH_DELIMITED or at + length > len(view):
            raise ValueError(f"not a tf.train.Example: broken field at byte {at}")
        yield key >> 3, view[at : at + length]
        at += length


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = view[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def frame(record: bytes) -> bytes:
    """A record in TFRecord framing: its length and its data, each followed by its masked CRC-32C."""
    length = struct.pack("<Q", len(record))
    return b"".join((length, _masked_crc(length), record, _masked_crc(record)))


def _masked_crc(data: bytes) -> bytes:
    """CRC-32C, masked because the checksum of data that contains its own checksums would be weak."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def read_records(stream: BinaryIO) -> Iterator[bytes]:
    """Yields the records of a TFRecord file after checking their checksums.

    Raises:
      ValueError: a checksum does not match, or the file ends within a record.
    """
    while head := stream.read(12):
        if len(head) < 12 or _masked_crc(head[:8]) != head[8:]:
            raise ValueError("broken TFRecord file: the checksum of a record's length does not match")
        length = struct.unpack("<Q", head[:8])[0]
        body = stream.read(length + 4)
        if len(body) < length + 4 or _masked_crc(body[:length]) != body[length:]:
            raise ValueError("broken TFRecord file: the checksum of a record does not match")
        yield body[:length]
