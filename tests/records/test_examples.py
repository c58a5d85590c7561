"""The TFRecord layout: round trip, exact bytes, damage noticed."""

import dataclasses
import io
import struct

import numpy as np
import pytest

from transforms.records.examples import Example, decode_example, encode_example, frame, layout, read_records


def example(**changes):
    values = {
        "track_id": "tracké",
        "patches": np.arange(12, dtype=np.float16).reshape(2, 3, 2),
        "starts_s": np.array([0.0, 1.5], np.float32),
        "targets": np.array([0.5, 0, 1], np.float32),
        "mask": np.array([1, 0, 1], np.float32),
        "feature_id": "fs-1",
        "taxonomy_id": "tx-1",
    }
    return Example(**{**values, **changes})


def test_an_example_survives_its_encoding():
    found = decode_example(encode_example(example()))
    for field in dataclasses.fields(Example):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(example(), field.name))
    assert found.patches.dtype == np.float16


def test_features_are_those_of_the_layout_in_order_of_their_names():
    from tfrecord import example_pb2

    data = encode_example(example())
    features = example_pb2.Example.FromString(data).features.feature
    assert set(features) == set(layout(3))
    places = [data.index(b"\n" + bytes([len(name)]) + name.encode()) for name in sorted(layout(3))]
    assert places == sorted(places)
    for name, feature in layout(3).items():
        held = getattr(features[name], f"{feature.kind}_list").value
        assert len(held) == (feature.length or 2)


def test_equal_examples_have_equal_bytes_however_their_arrays_lie():
    turned = np.asfortranarray(example().patches)
    assert encode_example(example(patches=turned)) == encode_example(example())


def test_framing_is_tensorflows():
    # Length 3, CRC-32C of the length masked, data, CRC-32C of the data masked: by the format's definition.
    assert frame(b"abc")[:8] == struct.pack("<Q", 3)
    assert frame(b"abc")[12:15] == b"abc"
    assert len(frame(b"abc")) == 8 + 4 + 3 + 4
    import google_crc32c

    crc = google_crc32c.value(b"abc")
    assert frame(b"abc")[15:] == struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


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


def test_other_records_are_refused():
    with pytest.raises(ValueError, match="has no feature_id, mask"):
        decode_example(b"")
    with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
        decode_example(b"\xff\xff\xff")
