"""Networks that do not end, or that ask for any amount of memory."""

import json

import numpy as np
import pytest

from models.bundles.trunk_bundle import BundleError
from models.trunks import onnx_trial, onnx_trunk
from models.trunks.onnx_trunk import OnnxTrunk
from pipelines.cli import main
from tests.support.tiny import SPEC

FLOAT, INT64, BOOL = 1, 7, 9
"""ONNX's numbers for them."""


def of_nodes(*nodes) -> bytes:
    """A network of patches whose output is `embedding`."""
    from onnx import helper

    patch = helper.make_tensor_value_info("patch", FLOAT, ["n", *SPEC.patch_shape])
    graph = helper.make_graph(nodes, "net", [patch], [helper.make_tensor_value_info("embedding", FLOAT, None)])
    opset = [helper.make_opsetid("", 13)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def endless() -> bytes:
    """A loop whose condition stays true."""
    from onnx import helper

    told = [("turn", INT64, []), ("before", BOOL, []), ("value", FLOAT, None)]
    body = helper.make_graph(
        [helper.make_node("Identity", ["before"], ["after"]), helper.make_node("Abs", ["value"], ["next"])],
        "body",
        [helper.make_tensor_value_info(*one) for one in told],
        [helper.make_tensor_value_info("after", BOOL, []), helper.make_tensor_value_info("next", FLOAT, None)],
    )
    return of_nodes(
        helper.make_node("Constant", [], ["true"], value=helper.make_tensor("", BOOL, [], [True])),
        helper.make_node("Loop", ["", "true", "patch"], ["looped"], body=body),
        helper.make_node("ReduceMean", ["looped"], ["embedding"], axes=[1], keepdims=0),
    )


def huge(gib: int) -> bytes:
    """A step whose output has so many GiB for a patch."""
    from onnx import helper

    shape = helper.make_tensor("", INT64, [3], [1, gib, 1 << 28])
    return of_nodes(
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("ReduceMean", ["patch"], ["mean"], axes=[1, 2], keepdims=1),
        helper.make_node("Expand", ["mean", "shape"], ["large"]),
        helper.make_node("ReduceMean", ["large"], ["embedding"], axes=[1], keepdims=0),
    )


@pytest.mark.parametrize(
    ("onnx", "sentence"),
    [(endless(), "was still running after 3 s"), (huge(1), "the network fails on 32 patches")],
    ids=["endless", "huge"],
)
def test_an_import_ends_within_its_limits(onnx, sentence, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(onnx_trial, "TRIAL_S", 3.0)
    (tmp_path / "net.onnx").write_bytes(onnx)
    (tmp_path / "spec.json").write_text(json.dumps(SPEC.to_json()))
    places = ["--onnx", str(tmp_path / "net.onnx"), "--feature-spec", str(tmp_path / "spec.json")]
    assert main(["import-model", "onnx", *places, "--output", str(tmp_path / "bundle")]) == 1
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "net.onnx" in line]
    assert sentence in line and not (tmp_path / "bundle").exists()


def test_a_network_that_ends_its_process_is_refused(monkeypatch):
    monkeypatch.setattr(onnx_trial, "_CHILD", "platform")  # it prints something else
    with pytest.raises(BundleError, match="ended the process that tried it"):
        onnx_trial.try_network(endless(), SPEC)


def test_a_batch_of_a_loaded_network_ends(monkeypatch):
    monkeypatch.setattr(onnx_trunk, "CALL_S", 0.5)
    patches = np.zeros((2, *SPEC.patch_shape), np.float32)
    with pytest.raises(BundleError, match=r"was still running after 0\.5 s with 2 patches"):
        OnnxTrunk(endless())(patches)
