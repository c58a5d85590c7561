"""The batch of a trunk: chosen by the memory of the network's largest step, stored, and part of `embedding_id`."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from models.bundles.trunk_bundle import BUNDLE_FILE, BundleError, load_trunks
from models.embedding.embedder import BATCH
from models.trunks.batch_size import LARGEST_STEP_BYTES, chosen_batch, largest_step
from models.trunks.onnx_import import write_onnx_bundle
from models.trunks.onnx_trunk import OnnxTrunk
from tests.support.manifests import edit_manifest
from tests.support.tiny import SPEC

FRAMES, MELS = SPEC.patch_shape
PATCH_BYTES = 4 * FRAMES * MELS
HEAVY = 340
"""Copies of a patch with which a batch of 32 is still in the limit, and one more is not."""


def network(copies: int, batch: int | str = "n") -> bytes:
    """A network whose largest step takes one patch and gives so many copies of it. Then it takes their mean."""
    from onnx import TensorProto, helper

    repeats = helper.make_tensor("repeats", TensorProto.INT64, [3], [1, copies, 1])
    graph = helper.make_graph(
        [
            helper.make_node("Tile", ["patch", "repeats"], ["copies"]),
            helper.make_node("ReduceMean", ["copies"], ["embedding"], axes=[1], keepdims=0),
        ],
        "net",
        [helper.make_tensor_value_info("patch", TensorProto.FLOAT, [batch, FRAMES, MELS])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, None)],
        [repeats],
    )
    opset = [helper.make_opsetid("", 13)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.mark.parametrize("copies", [1, 7, 300])
def test_the_largest_step_is_measured_without_weights(copies):
    assert largest_step(network(copies), SPEC.patch_shape) == (1 + copies) * PATCH_BYTES


@pytest.mark.parametrize(
    ("copies", "batch"),
    [(1, 32), (HEAVY, 32), (HEAVY + 1, 16), (2 * HEAVY, 16), (2 * HEAVY + 2, 8), (11_000, 1), (30_000, 1)],
)
def test_the_batch_is_the_largest_whose_steps_stay_in_the_limit(copies, batch):
    assert chosen_batch(network(copies), SPEC.patch_shape) == batch
    step = (1 + copies) * PATCH_BYTES
    assert batch == 1 or batch * step <= LARGEST_STEP_BYTES
    assert batch == BATCH or 2 * batch * step > LARGEST_STEP_BYTES


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_a_network_with_a_fixed_batch_keeps_it(batch):
    assert chosen_batch(network(30_000 if batch == 64 else 1, batch), SPEC.patch_shape) == batch


@pytest.fixture
def heavy(tmp_path: Path):
    """A bundle whose trunk has a batch of 16."""
    return write_onnx_bundle(str(tmp_path / "heavy"), network(HEAVY + 1), SPEC, name="heavy")


def manifest_of(bundle) -> dict:
    return json.loads(Path(bundle.url, BUNDLE_FILE).read_bytes())


def test_a_batch_is_stored_and_is_part_of_the_id(heavy):
    manifest = manifest_of(heavy)
    assert (manifest["schema_version"], manifest["trunks"][0]["batch"]) == (3, 16)
    again = load_trunks(heavy.url)
    assert again.trunks[0].batch == 16 and again.embedding_id == heavy.embedding_id
    ids = set()
    for batch in (1, 8, 16, 32):
        trunk = dataclasses.replace(heavy.trunks[0], batch=batch)
        ids.add(dataclasses.replace(heavy, trunks=(trunk,)).embedding_id)
    assert len(ids) == 4 and heavy.embedding_id in ids


@pytest.mark.parametrize("change", [{"batch": 8}, {"batch": 32}, {"batch": None}], ids=str)
def test_another_batch_than_the_id_says_is_refused(heavy, change):
    def changed(manifest):
        trunk = manifest["trunks"][0] | change
        manifest["trunks"][0] = {name: value for name, value in trunk.items() if value is not None}

    edit_manifest(Path(heavy.url, BUNDLE_FILE), changed)
    with pytest.raises(BundleError, match=r"bundle\.json was changed: its embedding_id is"):
        load_trunks(heavy.url)


def test_a_batch_of_32_is_left_out_and_changes_no_id(tmp_path):
    light = write_onnx_bundle(str(tmp_path / "light"), network(1), SPEC, name="light")
    manifest = manifest_of(light)
    assert manifest["schema_version"] == 2 and "batch" not in manifest["trunks"][0]
    assert load_trunks(light.url).trunks[0].batch == BATCH == 32
    assert light.trunks[0].batch_parts == ()


def test_the_batch_changes_nothing_but_the_last_bits(heavy):
    patches = np.random.default_rng(0).normal(-40, 9, (20, FRAMES, MELS)).astype(np.float32)
    run = OnnxTrunk(Path(heavy.url, "trunk.onnx").read_bytes())
    pieces = [run(patches[start : start + 4]) for start in range(0, 20, 4)]
    assert np.allclose(run(patches), np.concatenate(pieces), rtol=1e-6)
