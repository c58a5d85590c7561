"""Trunks of a new bundle: taken from other bundles frozen or fine-tuned, joined, or left out."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.bundles.bundle import load_bundle
from models.bundles.bundle_writing import write_trunk_bundle
from models.bundles.fake import write_fake_bundle
from models.bundles.trunk_bundle import BundleError
from models.trunks.embedding import load_embedder
from models.trunks.pooling import Pooling
from pipelines.cli import main
from pipelines.errors import UsageError
from tests.models.tiny import SPEC, TAXONOMY, example
from transforms.signal.spec import FeatureSpec


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    return write_fake_bundle(str(tmp_path_factory.mktemp("fake") / "bundle"), TAXONOMY, SPEC, patch_dim=6)


def train(dataset, output: Path, *flags: str) -> int:
    return main(["train", "--dataset", str(dataset), "--output", str(output), *flags])


def test_a_frozen_trunk_gives_the_embeddings_that_it_gave(built, dataset, tmp_path):
    assert train(dataset, tmp_path / "new", "--trunk", built.bundle.url) == 0
    new = load_bundle(str(tmp_path / "new"))
    (trunk,), (old,) = new.trunks, built.bundle.trunks
    assert (trunk.digest, trunk.learned) == (old.digest, False) and new.embedding_id == built.bundle.embedding_id
    track = [example(80).patches]
    assert np.array_equal(load_embedder(new.url).embed(track), load_embedder(built.bundle.url).embed(track))
    assert json.loads(Path(new.url, "history.json").read_bytes())["epochs"] == []
    assert "`compact`: frozen" in Path(new.url, "MODEL_CARD.md").read_text()


def test_trunks_of_all_sorts_are_joined(fake, dataset, tmp_path):
    words = ["--trunk", fake.url, "--trunk", "compact", "--epochs", "1"]
    assert train(dataset, tmp_path / "new", *words) == 0
    new = load_bundle(str(tmp_path / "new"))
    assert [(trunk.name, trunk.learned) for trunk in new.trunks] == [("fake", False), ("compact", True)]
    embedder = load_embedder(new.url, threads=None)
    assert embedder.dim == new.embedding_dim == new.pooling.dim(6 + 96, SPEC.n_mels)
    (alone,) = load_embedder(fake.url).embed([example(80).patches])
    assert np.array_equal(embedder.embed([example(80).patches])[0, :6], alone[:6])


def test_fine_tuning_goes_on_from_the_trunk(built, dataset, tmp_path):
    assert train(dataset, tmp_path / "new", "--trunk", built.bundle.url, "--fine-tune", "--epochs", "1") == 0
    (trunk,) = load_bundle(str(tmp_path / "new")).trunks
    assert trunk.learned and trunk.digest != built.bundle.trunks[0].digest and "fine-tuned from" in trunk.source
    assert len(json.loads((tmp_path / "new" / "history.json").read_bytes())["epochs"]) == 1


def test_statistics_are_a_tagger_without_a_network(dataset, tmp_path):
    assert train(dataset, tmp_path / "new", "--trunk", "statistics") == 0
    new = load_bundle(str(tmp_path / "new"))
    assert new.trunks == () and load_embedder(new.url).dim == new.embedding_dim == Pooling().dim(0, SPEC.n_mels)


def test_only_keras_files_can_be_fine_tuned(fake, dataset, tmp_path, capsys):
    assert train(dataset, tmp_path / "new", "--trunk", fake.url, "--fine-tune") == 1
    assert "fake is there without a .keras file" in capsys.readouterr().err


def test_a_trunk_of_other_features_is_refused(dataset, tmp_path, capsys):
    other = write_fake_bundle(str(tmp_path / "other"), TAXONOMY, FeatureSpec(n_mels=16, patch_frames=25))
    assert train(dataset, tmp_path / "new", "--trunk", other.url) == 1
    assert f"prepare with `--trunk {other.url}`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--fine-tune"], "--fine-tune goes on from the trunk of a bundle"),
        (["--trunk", "statistics", "--statistics", "none"], "leaves nothing to embed tracks by"),
    ],
)
def test_flags_that_make_no_sense_together(dataset, tmp_path, capsys, flags, message):
    assert train(dataset, tmp_path / "new", *flags) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [["a/b"], ["compact", "compact"]])
def test_words_that_name_no_trunk(dataset, tmp_path, words):
    flags = [flag for word in words for flag in ("--trunk", word)]
    assert train(dataset, tmp_path / "new", *flags) == 1


def test_a_bundle_without_a_trunk_gives_none(dataset, tmp_path, capsys):
    url = str(tmp_path / "statistics")
    write_trunk_bundle(url, spec=SPEC, pooling=Pooling(), trunks=(), files={"README.md": b"none"})
    assert train(dataset, tmp_path / "new", "--trunk", url) == 1
    assert "holds no trunk" in capsys.readouterr().err


def test_prepare_takes_over_the_feature_spec(fake, tmp_path):
    from pipelines.prepare import _spec

    assert _spec(None, fake.url) == SPEC
    with pytest.raises(BundleError, match=r"holds no bundle\.json"):
        _spec(None, str(tmp_path))
    with pytest.raises(UsageError, match="leave --feature-spec out"):
        _spec("spec.json", fake.url)
