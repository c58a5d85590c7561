"""Keras files that would run code, open other files or fill the memory."""

import io
import json
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest

from models.bundles.trunk_bundle import BundleError
from models.trunks import musicnn
from models.trunks.keras_archive import check_archive
from models.trunks.keras_trunk import digest_of, load_model
from models.trunks.networks import TRUNKS, build_network
from tests.support.tiny import SPEC

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEANS = [0.0] * SPEC.n_mels, [1.0] * SPEC.n_mels


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """The members of a sound file."""
    path = tmp_path_factory.mktemp("sound") / "trunk.keras"
    build_network("compact", SPEC, *MEANS).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def packed(tmp_path):
    """Writes members into a file."""

    def pack(members, name="trunk.keras", method=zipfile.ZIP_STORED):
        with zipfile.ZipFile(tmp_path / name, "w", method) as archive:
            for member, data in members.items():
                archive.writestr(member, data)
        return tmp_path / name

    return pack


def with_layer(members, **layer):
    """The members, with another layer in the middle."""
    config = json.loads(members[CONFIG])
    config["config"]["layers"][2] |= layer
    return {**members, CONFIG: json.dumps(config).encode()}


def with_weights(members, change):
    """The members, with weights that were changed."""
    stream = io.BytesIO(members[WEIGHTS])
    with h5py.File(stream, "r+") as file:
        change(file)
    return {**members, WEIGHTS: stream.getvalue()}


CALL = {"class_name": "__lambda__", "config": {"code": "4wEA"}}
CODE = pickle.dumps(len)
LAYERS = {
    "lambda": {
        "class_name": "Lambda",
        "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wEA"}}},
    },
    "function": {"config": {"activation": {"class_name": "function", "module": "os", "config": "system"}}},
    "module": {"module": "os", "class_name": "system"},
    "wrapper": {"class_name": "TorchModuleWrapper", "config": {"module": "gAR9lC4="}},
    "registered": {"registered_name": "evil>Layer"},
    "vocabulary": {"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
    "list": {"class_name": ["Dense"]},
    "no module": {"class_name": "Dense", "module": None},
}
WEIGHT_CHANGES = {
    "external link": lambda file: file.update({"stolen": h5py.ExternalLink("/etc/passwd", "/")}),
    "soft link": lambda file: file.update({"loop": h5py.SoftLink("/")}),
    "cycle": lambda file: file["layers"].update({"again": file["layers"]}),
    "outside": lambda file: file.create_dataset("x", (4,), "f4", external=[("/etc/passwd", 0, 16)]),
    "packed": lambda file: file.create_dataset("x", (1 << 30,), "f4", chunks=(1 << 20,), compression="gzip"),
    "unwritten": lambda file: file.create_dataset("x", (1 << 40,), "f4"),
    "texts": lambda file: file.create_dataset("x", (4,), h5py.string_dtype()),
}
MEMBER_CHANGES = {
    "traversal": lambda members: {**members, "../../escaped": b"x"},
    "absolute": lambda members: {**members, "/tmp/escaped": b"x"},
    "assets": lambda members: {**members, "assets/vocabulary.txt": b"x"},
    "missing": lambda members: {CONFIG: members[CONFIG]},
    "no json": lambda members: {**members, CONFIG: b"\x00\x00"},
    "deep json": lambda members: {**members, CONFIG: b"[" * 100_000},
    "no weights": lambda members: {**members, WEIGHTS: b"\x89HDF\r\n\x1a\n"},
    "cut weights": lambda members: {**members, WEIGHTS: members[WEIGHTS][:5000]},
}


@pytest.mark.parametrize("name", [name for name, build in TRUNKS.items() if build])
def test_every_network_of_this_program_passes(name, tmp_path):
    network = build_network(name, SPEC, *MEANS)
    network.save(tmp_path / "trunk.keras")
    check_archive(tmp_path / "trunk.keras")


def test_musicnn_passes(tmp_path):
    musicnn.network().save(tmp_path / "trunk.keras")
    check_archive(tmp_path / "trunk.keras")


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_no_other_class_is_named(layer, members, packed):
    with pytest.raises(BundleError, match="which no network of this program contains"):
        check_archive(packed(with_layer(members, **layer)))


@pytest.mark.parametrize("change", WEIGHT_CHANGES.values(), ids=WEIGHT_CHANGES)
def test_weights_are_plain_numbers_in_the_file(change, members, packed):
    with pytest.raises(BundleError, match="its weights"):
        check_archive(packed(with_weights(members, change)))


@pytest.mark.parametrize("change", MEMBER_CHANGES.values(), ids=MEMBER_CHANGES)
def test_an_archive_has_three_sound_members(change, members, packed):
    with pytest.raises(BundleError) as refused:
        check_archive(packed(change(members)))
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 700


def test_a_member_that_unpacks_to_more_than_the_file_is_refused(members, packed):
    large = {**members, WEIGHTS: bytes(1 << 26)}
    with pytest.raises(BundleError, match=r"model\.weights\.h5 claims more bytes"):
        check_archive(packed(large, method=zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("data", [b"", CODE, b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"])
def test_other_files_are_refused(data, tmp_path):
    (tmp_path / "trunk.keras").write_bytes(data)
    with pytest.raises(BundleError, match="not a Keras network that can be loaded"):
        check_archive(tmp_path / "trunk.keras")


@pytest.mark.parametrize("name", ["trunk.h5", "trunk.hdf5", "trunk", "trunk.keras.pkl"])
def test_other_formats_of_keras_are_refused(name, members, packed):
    with pytest.raises(BundleError, match=r"whose name ends in \.keras"):
        check_archive(packed(members, name))


def test_any_flipped_byte_gives_a_network_or_a_sentence(members, packed):
    path = packed(members)
    data, rng = path.read_bytes(), np.random.default_rng(0)
    for place in rng.integers(0, len(data), 300):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << rng.integers(8))]) + data[place + 1 :])
        try:
            check_archive(path)
        except BundleError as refused:
            assert "\n" not in str(refused)


def test_what_keras_refuses_is_a_sentence(members, packed, built):
    config = json.loads(members[CONFIG])
    config["config"]["layers"][3]["config"]["strides"] = "no number"
    (trunk,) = built.bundle.trunks
    with pytest.raises(BundleError, match="Keras cannot load this network"):
        load_model(packed({**members, CONFIG: json.dumps(config).encode()}), trunk)


def test_the_weights_of_a_sound_file_are_loaded(members, packed, built):
    path = packed(members)
    (trunk,) = built.bundle.trunks
    with pytest.raises(BundleError, match=digest_of(keras.saving.load_model(path))):
        load_model(path, trunk)
