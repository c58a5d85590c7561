"""Trunks of a new bundle: taken from other bundles frozen or fine-tuned, joined, or left out."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models import build as building
from models.bundles import split_record as split_file
from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import load_bundle
from models.bundles.trunk_bundle import BundleError, Embedding, load_trunks
from models.bundles.writing import write_trunk_bundle
from models.embedding.pooling import Pooling
from models.fitting.gain import Gain
from models.training.data import Sampling
from models.trunks.loading import load_embedder
from pipelines.cli import main
from pipelines.terminal.errors import UsageError
from tests.models.conftest import build
from tests.support.manifests import edit_manifest
from tests.support.tiny import SPEC, SPLITS, TAXONOMY, example, write_dataset
from transforms.features.spec import FeatureSpec


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    return write_fake_bundle(str(tmp_path_factory.mktemp("fake") / "bundle"), TAXONOMY, SPEC, patch_dim=6)


def train(dataset, output: Path, *flags: str) -> int:
    return main(["train", "--dataset", str(dataset), "--output", str(output), *flags])


def test_a_frozen_trunk_gives_the_embeddings_that_it_gave(built, dataset, tmp_path, capsys):
    assert train(dataset, tmp_path / "new", "--trunk", built.bundle.url) == 0
    assert "imported networks are mostly better" not in capsys.readouterr().out
    new = load_bundle(str(tmp_path / "new"))
    (trunk,), (old,) = new.trunks, built.bundle.trunks
    assert trunk.learned and trunk.digest == old.digest and new.embedding_id == built.bundle.embedding_id
    track = [example(80).patches]
    assert np.array_equal(load_embedder(new.url).embed(track), load_embedder(built.bundle.url).embed(track))
    assert json.loads(Path(new.url, "history.json").read_bytes())["epochs"] == []
    assert "`compact`: trained on the training tracks in `splits.parquet`" in Path(new.url, "MODEL_CARD.md").read_text()


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A dataset whose tracks are those of the other one: its test side was trained on there, and some are new."""
    rows = [example(number) for number in range(100)]
    sides = {"train": rows[30:60] + rows[75:], "validation": rows[60:75], "test": rows[:30]}
    return write_dataset(tmp_path_factory.mktemp("other") / "dataset", sides, SPEC, TAXONOMY)


@pytest.mark.parametrize("flags", [(), ("--fine-tune",)])
def test_a_trunk_is_not_rated_on_tracks_that_it_was_trained_on(built, other, tmp_path, capsys, flags):
    assert train(other, tmp_path / "new", "--trunk", built.bundle.url, *flags) == 1
    said = capsys.readouterr().err
    assert "was trained or tuned on 30 tracks" in said and "'track-000' (test)" in said and "--previous" in said
    assert not (tmp_path / "new").exists()


def test_ready_made_trunks_go_with_any_split(fake, dataset, other, tmp_path):
    for number, place in enumerate((dataset, other)):
        assert train(place, tmp_path / str(number), "--trunk", fake.url) == 0
    assert train(other, tmp_path / "next", "--trunk", str(tmp_path / "0")) == 0


def test_what_a_trunk_was_trained_on_is_handed_on(built, other, tmp_path, capsys):
    """Through a bundle whose own dataset has none of it."""
    rows = [example(number) for number in range(60, 100)]
    sides = {"train": rows[15:30], "validation": rows[:15], "test": rows[30:]}
    between = write_dataset(tmp_path / "between", sides, SPEC, TAXONOMY)
    assert train(between, tmp_path / "new", "--trunk", built.bundle.url) == 0
    known = split_file.read_sides(load_trunks(str(tmp_path / "new"))).tracks
    assert [known[f"track-0{number}"] for number in ("00", "75", "60", "90")] == [
        "train",
        "train",
        "validation",
        "test",
    ]
    assert train(other, tmp_path / "next", "--trunk", str(tmp_path / "new")) == 1
    assert "was trained or tuned on 30 tracks" in capsys.readouterr().err


def test_tracks_that_chose_the_epoch_are_no_test_tracks():
    sides = split_file.Sides.of_rows([("a", "x", "train"), ("b", "y", "validation"), ("c", "z", "test")])
    allowed = [[sides.allow(*track, split) for split in SPLITS] for track in (("a", "x"), ("b", "y"), ("c", "z"))]
    assert allowed == [[True, False, False], [True, True, False], [True, True, True]]
    assert sides.allow("new", "new", "test") and not sides.allow("new", "x", "validation")


def test_an_official_split_that_shares_artists_is_one_that_is_kept():
    sides = split_file.Sides.of_rows([("a", "x", "train"), ("b", "x", "test")])
    assert sides.allow("a", "x", "train") and sides.allow("b", "x", "test") and not sides.allow("new", "x", "test")


@pytest.mark.long
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
    assert train(dataset, tmp_path / "new", "--trunk", built.bundle.url, "--fine-tune", "always", "--epochs", "1") == 0
    (trunk,) = load_bundle(str(tmp_path / "new")).trunks
    assert trunk.learned and trunk.digest != built.bundle.trunks[0].digest and "fine-tuned from" in trunk.source
    assert len(json.loads((tmp_path / "new" / "history.json").read_bytes())["epochs"]) == 1


@pytest.mark.long
def test_a_trunk_that_fine_tuning_did_not_better_is_published_as_it_was(built, dataset, tmp_path, capsys, monkeypatch):
    """On this little the gain of an epoch is chance: a gain within its standard error is given."""
    words = ["--trunk", built.bundle.url, "--epochs", "1", "--learning-rate", "1e-9"]
    monkeypatch.setattr(building, "Gain", SimpleNamespace(of=lambda *losses: Gain(0.001, 0.002)))
    assert train(dataset, tmp_path / "new", *words, "--fine-tune") == 0
    assert "the bundle contains the original trunks" in capsys.readouterr().out
    new = load_bundle(str(tmp_path / "new"))
    assert new.trunks[0].learned and new.trunks[0].digest == built.bundle.trunks[0].digest
    assert train(dataset, tmp_path / "frozen", "--trunk", built.bundle.url) == 0
    assert new.tagger_id == load_bundle(str(tmp_path / "frozen")).tagger_id
    metrics = json.loads((tmp_path / "new" / "metrics.json").read_bytes())
    assert metrics["fine_tuning"] == {"published": "frozen", "gain": {"mean": 0.001, "standard_error": 0.002}}
    assert len(json.loads((tmp_path / "new" / "history.json").read_bytes())["epochs"]) == 1


@pytest.mark.long
def test_trunks_of_one_name_are_fine_tuned_apart(dataset, tmp_path):
    twins = [build(dataset, tmp_path / f"twin{seed}", epochs=1, sampling=Sampling(seed=seed)).bundle for seed in (1, 2)]
    words = [word for twin in twins for word in ("--trunk", twin.url)]
    folders = ["--checkpoints", str(tmp_path / "checkpoints"), "--logs", str(tmp_path / "logs")]
    assert train(dataset, tmp_path / "new", *words, *folders, "--fine-tune", "always", "--epochs", "1") == 0
    new = load_bundle(str(tmp_path / "new"))
    assert [trunk.name for trunk in new.trunks] == ["compact", "compact"] and all(t.learned for t in new.trunks)
    assert len({trunk.digest for trunk in (*twins[0].trunks, *twins[1].trunks, *new.trunks)}) == 4
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["0-compact", "1-compact"]
    assert not (tmp_path / "checkpoints").exists(), "the bundle is complete"


@pytest.mark.long
def test_a_trunk_that_fine_tuning_bettered_is_published(dataset, tmp_path):
    blind = build(dataset, tmp_path / "blind", epochs=1, learning_rate=1e-9)
    words = ["--trunk", blind.bundle.url, "--fine-tune", "--learning-rate", "0.003", "--epochs", "4", "--train-norms"]
    assert train(dataset, tmp_path / "new", *words, "--statistics", "none") == 0
    (trunk,) = load_bundle(str(tmp_path / "new")).trunks
    assert trunk.learned and trunk.digest != blind.bundle.trunks[0].digest
    found = json.loads((tmp_path / "new" / "metrics.json").read_bytes())["fine_tuning"]
    assert found["published"] == "fine-tuned" and found["gain"]["mean"] > found["gain"]["standard_error"]


def test_statistics_are_a_tagger_without_a_network(dataset, tmp_path):
    assert train(dataset, tmp_path / "new", "--trunk", "statistics") == 0
    new = load_bundle(str(tmp_path / "new"))
    assert new.trunks == () and load_embedder(new.url).dim == new.embedding_dim == Pooling().dim(0, SPEC.n_mels)


def test_tied_tracks_are_named_by_the_bundle(tmp_path, capsys):
    sides = {"train": range(30), "validation": range(30, 36), "test": range(36, 42)}
    folder = write_dataset(tmp_path / "data", {s: [example(n) for n in ns] for s, ns in sides.items()}, SPEC, TAXONOMY)
    edit_manifest(folder / "dataset.json", lambda fields: fields.update(none={"tied": 1}))
    assert train(folder, tmp_path / "new", "--trunk", "statistics") == 1
    assert "rejects.parquet is missing" in capsys.readouterr().err
    rejects = pa.table({"track_id": ["copy", "broken"], "reason": ["tied", "empty"]})
    pq.write_table(rejects, folder / "rejects.parquet", write_page_checksum=True)
    assert train(folder, tmp_path / "new", "--trunk", "statistics") == 0
    found = split_file.read_sides(load_trunks(str(tmp_path / "new"))).tracks
    assert found["copy"] == "none" and "broken" not in found


def test_only_keras_files_can_be_fine_tuned(fake, dataset, tmp_path, capsys):
    assert train(dataset, tmp_path / "new", "--trunk", fake.url, "--fine-tune") == 1
    assert "fake has no .keras file" in capsys.readouterr().err


def test_a_trunk_of_other_features_is_refused(dataset, tmp_path, capsys):
    other = write_fake_bundle(str(tmp_path / "other"), TAXONOMY, FeatureSpec(n_mels=16, patch_frames=25))
    assert train(dataset, tmp_path / "new", "--trunk", other.url) == 1
    assert f"prepare with `--trunk {other.url}`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--fine-tune"], "--fine-tune starts from the trunk of a bundle"),
        (["--trunk", "statistics", "--statistics", "none"], "there would be no embedding"),
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
    write_trunk_bundle(url, Embedding(spec=SPEC, pooling=Pooling(), trunks=()), {"README.md": b"none"})
    assert train(dataset, tmp_path / "new", "--trunk", url) == 1
    assert "holds no trunk" in capsys.readouterr().err


def test_prepare_takes_over_the_feature_spec(fake, tmp_path):
    from pipelines.jobs.prepare import _spec

    assert _spec(None, fake.url) == SPEC
    with pytest.raises(BundleError, match="no such folder, or it is empty: give a bundle"):
        _spec(None, str(tmp_path))
    with pytest.raises(UsageError, match="leave --feature-spec out"):
        _spec("spec.json", fake.url)
