"""ONNX networks as trunks: one that the project exported itself, and others that are none."""

import contextlib
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest

from models.bundles.trunk_bundle import BundleError, load_trunks
from models.trunks.loading import load_embedder
from models.trunks.onnx_file import check_self_contained
from pipelines.cli import main
from tests.support.manifests import edit_manifest
from tests.support.tiny import SPEC, example
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import json_bytes, short_id

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


WHERE = ["initializer", "attribute", "nested graph", "function", "sparse"]


def with_external_data(where: str, location: str) -> bytes:
    """A network with one tensor whose data is in another file."""
    import onnx
    from onnx import helper

    model = onnx.load_from_string(network())
    tensor = onnx.TensorProto(name="w", data_type=FLOAT, dims=[MELS], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    node = helper.make_node("Constant", [], ["w"], value=tensor)
    if where == "initializer":
        model.graph.initializer.append(tensor)
    elif where == "attribute":
        model.graph.node.insert(0, node)
    elif where == "nested graph":
        inner = helper.make_graph([node], "inner", [], [])
        model.graph.node.insert(0, helper.make_node("If", ["c"], ["x"], then_branch=inner, else_branch=inner))
    elif where == "function":
        model.functions.append(helper.make_function("own", "F", [], ["w"], [node], []))
    else:
        model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=tensor))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("location", ["weights.bin", "../../../etc/passwd", "/etc/passwd"])
@pytest.mark.parametrize("where", WHERE)
def test_a_network_with_weights_in_another_file_is_refused(imported, tmp_path, monkeypatch, capsys, where, location):
    (tmp_path / "weights.bin").write_bytes(bytes(4 * MELS))
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would look for the file of a network that it gets as bytes
    code, url = imported(with_external_data(where, location))
    assert code == 1 and not Path(url).exists()
    said = capsys.readouterr().err
    assert "keeps weights in another file" in said and len(said.splitlines()) == 1


def test_a_bundle_s_network_may_not_get_weights_from_beside_it(imported, capsys):
    """External data beside the file in the bundle: no file of the manifest, so nobody would notice its damage."""
    _, url = imported(network())
    data = with_external_data("initializer", "weights.bin")
    Path(url, "trunk.onnx").write_bytes(data)
    Path(url, "weights.bin").write_bytes(bytes(4 * MELS))
    sha256 = hashlib.sha256(data).hexdigest()

    def change(fields):
        fields["files"]["trunk.onnx"] = fields["trunks"][0]["digest"] = sha256
        fields["embedding_id"] = short_id("em", fields["feature_id"], "net", sha256, json_bytes(fields["pooling"]))

    edit_manifest(Path(url, "bundle.json"), change)
    with pytest.raises(BundleError, match="keeps weights in another file"):
        load_embedder(url)
    assert main(["verify", url]) == 1
    assert "keeps weights in another file" in capsys.readouterr().out


def test_another_network_under_the_same_id_is_refused(imported, capsys):
    """`embedding_id` names the network: who replaces the file and its hash in the manifest gets no embeddings."""
    _, url = imported(network())
    data = network(op="ReduceMax")
    Path(url, "trunk.onnx").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    manifest = Path(url, "bundle.json")
    fields = json.loads(manifest.read_bytes())
    manifest.write_text(json.dumps({**fields, "files": fields["files"] | {"trunk.onnx": sha256}}))
    with pytest.raises(BundleError, match="was changed since it was written: its digest"):
        load_embedder(url)
    edit_manifest(manifest, lambda fields: None)
    with pytest.raises(BundleError, match=f"the ONNX file has SHA-256 {sha256}, but the trunk 'net' is"):
        load_embedder(url)
    assert main(["verify", url]) == 1
    assert sha256 in capsys.readouterr().out


@pytest.mark.parametrize("count", range(40))
def test_broken_onnx_files_end_in_one_line(count):
    data, rng = bytearray(with_external_data("initializer", "x")), random.Random(count)
    for _ in range(3):
        data[rng.randrange(len(data))] = rng.randrange(256)
    with contextlib.suppress(BundleError):
        check_self_contained(bytes(data[: rng.randrange(len(data))]))


def test_a_missing_file_is_named(tmp_path, capsys):
    (tmp_path / "spec.json").write_text(json.dumps(SPEC.to_json()))
    places = ["--onnx", "nowhere.onnx", "--feature-spec", str(tmp_path / "spec.json")]
    assert main(["import-model", "onnx", *places, "--output", str(tmp_path / "net")]) == 1
    assert "nowhere.onnx: no such file" in capsys.readouterr().err


def odd_network(kind: int = FLOAT, values: int = 4, constant: bool = False) -> bytes:
    """A network whose output is of a type, has a number of values per patch, or does not depend on the patches."""
    from onnx import helper, numpy_helper

    weights = numpy_helper.from_array(np.random.default_rng(0).normal(size=(MELS, values)).astype(np.float32), "w")
    nodes = [
        helper.make_node("ReduceMean", ["patch"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["product"]),
        helper.make_node("Sub", ["product", "product" if constant else "zero"], ["values"]),
        helper.make_node("Cast", ["values"], ["embedding"], to=kind),
    ]
    zero = numpy_helper.from_array(np.float32(0), "zero")
    patch = helper.make_tensor_value_info("patch", FLOAT, ("n", FRAMES, MELS))
    found = helper.make_tensor_value_info("embedding", kind, ("n", values))
    graph = helper.make_graph(nodes, "net", [patch], [found], [weights, zero])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


@pytest.mark.parametrize(
    "odd, words",
    [
        ({"kind": 7}, "returns tensor(int64): a trunk must return floating-point numbers"),
        ({"kind": 8}, "returns tensor(string): a trunk must return floating-point numbers"),
        ({"values": 0}, "a row of 1 to 65536 values for each patch"),
        ({"values": 65_537}, "a row of 1 to 65536 values for each patch"),
        ({"constant": True}, "gives all patches the same embedding"),
    ],
)
def test_outputs_that_are_no_embeddings_are_one_line(imported, odd, words, capfd):
    assert imported(odd_network(**odd))[0] == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert words in line and "internal error" not in line


def test_a_network_that_fails_is_one_line(imported, capfd):
    """ONNX Runtime logs an error that it also raises."""
    from onnx import helper, numpy_helper

    size = numpy_helper.from_array(np.array([1 << 60]), "size")
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        helper.make_node("ReduceMean", ["patch"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Add", ["mean", "sum"], ["embedding"]),
    ]
    patch = helper.make_tensor_value_info("patch", FLOAT, ("n", FRAMES, MELS))
    found = helper.make_tensor_value_info("embedding", FLOAT, None)
    graph = helper.make_graph(nodes, "net", [patch], [found], [size])
    onnx = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    assert imported(onnx)[0] == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "net.onnx: " in line and "internal error" not in line


def test_an_import_can_be_started_again(imported):
    code, url = imported(network())
    before = {path.name: path.read_bytes() for path in Path(url).iterdir()}
    assert code == 0 and imported(network())[0] == 0
    assert {path.name: path.read_bytes() for path in Path(url).iterdir()} == before
    assert imported(network(op="ReduceMax"))[0] == 1
