"""The digest over the fields of a manifest: what it notices, and what it lets pass."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import storage
from transforms.formats.hashing import json_bytes
from transforms.formats.sealing import DIGEST, WRITER, BrokenSeal, fields_digest, open_sealed, read_record, sealed_bytes

FIELDS = {"counts": {"b": 2, "a": 1}, "mean": [0.1, -3e-9, 1e300], "name": "Größe", "parent": None, "ok": True}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


def altered(**changes):
    """The sealed file with other values; None removes a field."""
    fields = json.loads(sealed_bytes(FIELDS)) | changes
    return json_bytes({name: value for name, value in fields.items() if name not in changes or value is not None})


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON))
def test_what_is_sealed_is_read(fields):
    found = open_sealed(sealed_bytes(fields))
    assert found.sealed and {name: value for name, value in found.fields.items() if name != WRITER} == fields


def test_a_file_of_the_first_version_is_read():
    assert open_sealed(json_bytes(FIELDS)) == (FIELDS, False)


@pytest.mark.parametrize(
    "data",
    [
        altered(mean=[0.2, -3e-9, 1e300]),
        altered(more=1),
        altered(ok=1),
        altered(**{DIGEST: None}),
        altered(**{WRITER: None}),
        altered(**{WRITER: 1}),
        altered(**{WRITER: "2"}),
        altered(**{DIGEST: "0" * 64}),
        altered(**{DIGEST: []}),
        altered(**{DIGEST: None, "Digest": "0" * 64}),
    ],
)
def test_other_fields_break_the_seal(data):
    with pytest.raises(BrokenSeal, match=r"^was changed since it was written"):
        open_sealed(data)


def test_a_writer_that_seals_nothing_cannot_be_named():
    fields = {**FIELDS, WRITER: 1}
    with pytest.raises(BrokenSeal, match="writer_version 1 writes no digest"):
        open_sealed(json_bytes({**fields, DIGEST: fields_digest(fields)}))


def test_every_flipped_bit_is_noticed_or_without_effect():
    data, rng = sealed_bytes(FIELDS), random.Random(0)
    whole, noticed = open_sealed(data), 0
    for bit in rng.sample(range(8 * len(data)), 500):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert open_sealed(bytes(flipped)) == whole
        except (ValueError, TypeError):
            noticed += 1
    assert noticed > 400


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, b'{"a": "\\ud800"}', b"{}"])
def test_what_is_no_manifest_is_one_line_with_the_file(data, tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(_Error) as refused:
        read_record(str(path), "a thing", lambda fields: fields["b"], _Error)
    assert str(refused.value).startswith(f"{path}: not a thing (") and "\n" not in str(refused.value)


class _Error(ValueError):
    pass


def test_a_missing_digest_is_refused_where_one_must_be(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(json_bytes(FIELDS))
    assert read_record(str(path), "a thing", dict, _Error) == FIELDS
    with pytest.raises(_Error, match=r"x\.json was changed since it was written: its digest is missing"):
        read_record(str(path), "a thing", dict, _Error, must_be_sealed=lambda: True)


def test_a_missing_file_is_the_storage_s_error(tmp_path):
    with pytest.raises(storage.NotFound):
        read_record(str(tmp_path / "x.json"), "a thing", dict, _Error)
