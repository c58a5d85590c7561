"""TFRecord files as others read and write them; damage noticed."""

import io
import json
import struct
import subprocess
import sys

import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.formats.tfrecord import decode_features, encode_features, frame, read_records

FEATURES = {
    "b": b"\x00\xff",
    "a": np.array([0.5, -1.0], np.float32),
    "c": np.array([0, 1, 300, -1], np.int64),
    "long": b"x" * 1000,
    "none": np.array([], np.float32),
}


def same(a, b):
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)


def test_features_survive_in_order_of_their_names():
    found = decode_features(encode_features(FEATURES))
    assert same(found, dict(sorted(FEATURES.items())))


@given(
    st.dictionaries(
        st.text(),
        st.binary()
        | st.lists(st.integers(-(2**63), 2**63 - 1)).map(lambda v: np.array(v, np.int64))
        | st.lists(st.floats(width=32, allow_nan=False)).map(lambda v: np.array(v, np.float32)),
    )
)
def test_any_features_survive(features):
    assert same(decode_features(encode_features(features)), dict(sorted(features.items())))


@given(st.binary())
def test_garbage_never_hangs_or_crashes(data):
    try:
        decode_features(data)
    except ValueError:
        return


# The tfrecord package and TensorFlow cannot meet in one process, so it reads in one of its own.
READ = """
import json, sys
from tfrecord.reader import tfrecord_iterator
from tfrecord import example_pb2
for record in tfrecord_iterator(sys.argv[1]):
    found = example_pb2.Example.FromString(bytes(record)).features.feature
    lists = {n: getattr(f, f.WhichOneof("kind")).value for n, f in found.items()}
    print(json.dumps({n: [v.hex() if isinstance(v, bytes) else v for v in vs] for n, vs in sorted(lists.items())}))
"""


def test_the_tfrecord_package_reads_the_files(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(frame(encode_features(FEATURES)) * 2)
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    first, second = map(json.loads, done.stdout.splitlines())
    expected = {n: [v.hex()] if isinstance(v, bytes) else v.tolist() for n, v in sorted(FEATURES.items())}
    assert first == second == expected


WRITE = """
import sys
from tfrecord.writer import TFRecordWriter
writer = TFRecordWriter(sys.argv[1])
writer.write({"x": (b"abc", "byte"), "y": ([1.5, 2.0], "float")})
writer.close()
"""


def test_files_of_the_tfrecord_package_are_read(tmp_path):
    path = tmp_path / "a.tfrecord"
    subprocess.run([sys.executable, "-c", WRITE, str(path)], check=True)
    with path.open("rb") as stream:
        (record,) = read_records(stream)
    found = decode_features(record)
    assert found["x"] == b"abc" and found["y"].tolist() == [1.5, 2.0]


def test_framing_is_as_the_format_says():
    crc = google_crc32c.value(b"abc")
    masked = struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
    data = frame(b"abc")
    assert data[:8] == struct.pack("<Q", 3) and data[12:] == b"abc" + masked


def test_records_are_read_back():
    assert list(read_records(io.BytesIO(frame(b"one") + frame(b"") + frame(b"three")))) == [b"one", b"", b"three"]


@pytest.mark.parametrize("cut", [1, 5, 17, 22])
def test_a_cut_file_is_noticed(cut):
    with pytest.raises(ValueError, match="broken TFRecord"):
        list(read_records(io.BytesIO((frame(b"one") + frame(b"two"))[:-cut])))


@pytest.mark.parametrize("position", [0, 9, 13, 16])
def test_a_flipped_bit_is_noticed(position):
    data = bytearray(frame(b"one"))
    data[position] ^= 4
    with pytest.raises(ValueError, match="broken TFRecord"):
        list(read_records(io.BytesIO(bytes(data))))
