"""The layout of examples: round trip, exact bytes."""

import dataclasses

import numpy as np
import pytest

from transforms.dataset.example import Example, decode_example, encode_example, layout
from transforms.formats.tfrecord import decode_features


def example(**changes):
    values = {
        "track_id": "tracké",
        "group": "artist:é",
        "duration_s": 1.5,
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
    features = decode_features(encode_example(example()))
    assert list(features) == sorted(layout(3))
    for name, feature in layout(3).items():
        kinds = {"bytes": bytes, "int64": np.int64, "float": np.float32}
        value = features[name]
        assert isinstance(value, bytes) if feature.kind == "bytes" else value.dtype == kinds[feature.kind]
        assert feature.kind == "bytes" or len(value) == (feature.length or 2)


def test_equal_examples_have_equal_bytes_however_their_arrays_lie():
    turned = np.asfortranarray(example().patches)
    assert encode_example(example(patches=turned)) == encode_example(example())


def test_other_records_are_refused():
    with pytest.raises(ValueError, match="has no duration_s, feature_id, group, mask"):
        decode_example(b"")
    with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
        decode_example(b"\xff\xff\xff")
