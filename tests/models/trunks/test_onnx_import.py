"""ONNX networks as trunks: one that the project exported itself, and others that are none."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.bundles.trunk_bundle import load_trunks
from models.trunks.loading import load_embedder
from pipelines.cli import main
from tests.support.tiny import SPEC, example
from transforms.features.spec import FeatureSpec

FRAMES, MELS = SPEC.patch_shape
FLOAT, DOUBLE = 1, 11
"""ONNX's numbers for them."""


@pytest.fixture
def imported(tmp_path):
    """Runs `import trunk` on a file's bytes; gives exit code and bundle."""

    def run(onnx: bytes, spec: FeatureSpec = SPEC, *flags: str) -> tuple[int, str]:
        (tmp_path / "net.onnx").write_bytes(onnx)
        (tmp_path / "spec.json").write_text(json.dumps(spec.to_json()))
        places = ["--onnx", str(tmp_path / "net.onnx"), "--feature-spec", str(tmp_path / "spec.json")]
        return main(["import-model", "onnx", *places, "--output", str(tmp_path / "net"), *flags]), str(tmp_path / "net")

    return run


def network(shape=("n", FRAMES, MELS), op="ReduceMean", extra=False, across=False, kind=FLOAT) -> bytes:
    """An ONNX network of one operation over the frames: an embedding of as many values as there are mels."""
    from onnx import helper

    outputs = [helper.make_tensor_value_info(name, kind, None) for name in ("embedding", "more")[: 1 + extra]]
    nodes = [
        helper.make_node("ReduceMean", ["patch"], ["batch"], axes=[0], keepdims=1),
        # With `across`: less the batch's mean, as a normalisation in training does.
        helper.make_node("Sub", ["patch", "batch"] if across else ["patch", "patch"], ["rest"]),
        helper.make_node(op, ["rest" if across else "patch"], ["embedding"], axes=[1], keepdims=0),
        helper.make_node("Identity", ["embedding"], ["more"]),
    ]
    graph = helper.make_graph(nodes, "net", [helper.make_tensor_value_info("patch", kind, shape)], outputs)
    opset = [helper.make_opsetid("", 13)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_an_exported_trunk_comes_back(built, imported):
    (trunk,) = built.bundle.trunks
    onnx = Path(built.bundle.url, trunk.files["onnx"]).read_bytes()
    code, url = imported(onnx, SPEC, "--name", "mine", "--licence", "CC0-1.0", "--origin", "a test")
    bundle = load_trunks(url)
    assert code == 0 and (bundle.spec, bundle.trunks[0].patch_dim) == (SPEC, trunk.patch_dim)
    assert (bundle.trunks[0].name, bundle.trunks[0].licence, bundle.trunks[0].source) == ("mine", "CC0-1.0", "a test")
    (found,) = load_embedder(url).embed([example(0).patches])
    (wanted,) = load_embedder(built.bundle.url).embed([example(0).patches])
    assert np.array_equal(found, wanted[: len(found)])


def test_heads_are_trained_on_an_imported_trunk(imported, dataset, tmp_path):
    _, url = imported(network())
    assert main(["train", "--dataset", str(dataset), "--output", str(tmp_path / "new"), "--trunk", url]) == 0
    assert load_trunks(str(tmp_path / "new")).trunks[0].name == "net"


@pytest.mark.parametrize("size", [1, 5, 64])
def test_networks_with_a_fixed_batch_give_the_same(imported, size):
    _, url = imported(network(shape=(size, FRAMES, MELS)))
    patches = example(0).patches
    (found,) = load_embedder(url).embed([patches])
    assert np.allclose(found[:MELS], patches.astype(np.float32).mean(axis=(0, 1)), rtol=1e-3)


def test_a_bundle_without_tags_tags_nothing(imported, tmp_path, capsys):
    _, url = imported(network())
    (tmp_path / "catalog.csv").write_text("track_id,uri\na,a.wav\n")
    command = ["tag", "--catalog", str(tmp_path / "catalog.csv"), "--table", str(tmp_path / "table"), "--model", url]
    assert main(command) == 1
    assert "holds a trunk without tags" in capsys.readouterr().err


@pytest.mark.parametrize(
    "onnx, message",
    [
        (b"no network", "cannot run this trunk"),
        (network(shape=("n", FRAMES + 1, MELS)), f"the feature spec makes float32 [n, {FRAMES}, {MELS}]"),
        (network(shape=("n", FRAMES)), "the network takes tensor(float) ['n', 24]"),
        (network(kind=DOUBLE), "the network takes tensor(double)"),
        (network(extra=True), "outputs embedding, more: a trunk must have one of each"),
        (network(op="Softmax2"), "cannot run this trunk"),
        (network(across=True), "changes with the other patches of its batch"),
    ],
    ids=["garbage", "frames", "rank", "type", "outputs", "operation", "batch"],
)
def test_networks_that_are_no_trunk(imported, capsys, onnx, message):
    code, url = imported(onnx)
    assert code == 1 and not Path(url).exists()
    assert message in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path, capsys):
    (tmp_path / "spec.json").write_text(json.dumps(SPEC.to_json()))
    places = ["--onnx", "nowhere.onnx", "--feature-spec", str(tmp_path / "spec.json")]
    assert main(["import-model", "onnx", *places, "--output", str(tmp_path / "net")]) == 1
    assert "nowhere.onnx: no such file" in capsys.readouterr().err
