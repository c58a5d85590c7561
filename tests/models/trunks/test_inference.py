"""What runs a trunk: each engine gives its own bits whatever it is given together, and both nearly the same scores."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.bundles.trunk_bundle import BundleError
from models.embedding.embedder import BATCH
from models.trunks.loading import format_for, load_embedder
from models.trunks.onnx_trunk import OnnxTrunk
from tests.support.processes import imported_by
from tests.support.tiny import SPEC, example

ENGINES = ("onnx", "tensorflow")
TRACKS = [example(number).patches for number in range(60, 90)]


@pytest.mark.parametrize("inference", ENGINES)
def test_the_same_bits_however_tracks_are_grouped(built, inference):
    embedder = load_embedder(built.bundle.url, inference=inference, threads=None)
    rng = np.random.default_rng(0)
    tracks = [rng.normal(-40, 9, (n, *SPEC.patch_shape)).astype(np.float16) for n in (1, 4, BATCH, BATCH + 3, 2)]
    together = embedder.embed(tracks)
    assert together.tobytes() == np.concatenate([embedder.embed([track]) for track in tracks]).tobytes()
    assert together[::-1].tobytes() == embedder.embed(tracks[::-1]).tobytes()
    assert together.shape == (5, built.bundle.embedding_dim)


def test_scores_of_both_engines_agree(built):
    scores = [built.bundle.score(load_embedder(built.bundle.url, inference=one).embed(TRACKS)) for one in ENGINES]
    assert np.abs(scores[0] - scores[1]).max() < 1e-3


def test_onnx_needs_no_tensorflow(built):
    found = imported_by(
        "import numpy as np; from models.trunks.loading import load_embedder;"
        f"load_embedder({built.bundle.url!r}).embed([np.zeros((2, *{SPEC.patch_shape}), np.float16)])"
    )
    assert "onnxruntime" in found and not found & {"tensorflow", "keras"}


def test_tag_runs_where_tensorflow_is_not_installed(built, world, tmp_path):
    command = ["tag", "--catalog", str(world.catalog), "--catalog-root", str(world.folder), "--max-reject-ratio", "0.9"]
    command += ["--model", built.bundle.url, "--table", str(tmp_path / "table")]
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None;"
        f"from pipelines.cli import main; sys.exit(main({command}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("inference, library", [("onnx", "onnxruntime"), ("tensorflow", "tensorflow")])
def test_a_machine_without_the_engine_is_told_what_to_install(built, monkeypatch, inference, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(BundleError, match=rf"pip install\s'catalog-tagger\[{inference}\]', or choose --inference"):
        load_embedder(built.bundle.url, inference=inference)


def test_a_file_that_is_no_network_is_refused():
    with pytest.raises(BundleError, match="cannot run this trunk"):
        OnnxTrunk(b"no protobuf")


def test_an_engine_without_a_file_is_refused(built):
    (trunk,) = built.bundle.trunks
    old = dataclasses.replace(trunk, files={"keras": trunk.files["keras"]})
    assert (format_for(trunk, "url", "auto"), format_for(old, "url", "auto")) == ("onnx", "keras")
    with pytest.raises(BundleError, match="'compact' has formats keras, but --inference onnx runs onnx, projection"):
        format_for(old, "url", "onnx")


def test_the_saved_model_gives_the_same_embeddings(built):
    import tensorflow as tf

    (trunk,) = built.bundle.trunks
    served = tf.saved_model.load(str(Path(built.bundle.url, trunk.files["saved_model"])))
    batch = TRACKS[0].astype(np.float32)
    found = served.serve(tf.constant(batch)).numpy()
    assert np.allclose(found, OnnxTrunk(Path(built.bundle.url, trunk.files["onnx"]).read_bytes())(batch), atol=1e-4)


def test_every_format_is_there_and_hashed(built):
    (trunk,) = built.bundle.trunks
    assert set(trunk.files) == {"keras", "saved_model", "onnx"}
    folder = "trunks/0-compact"
    for name in ("trunk.keras", "trunk.onnx", "saved_model/saved_model.pb", "saved_model/variables/variables.index"):
        assert f"{folder}/{name}" in built.bundle.files
