"""The `train` command: clear answers before TensorFlow is imported, a table of metrics at the end."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from models.bundles.fake import write_fake_bundle
from models.bundles.trunk_bundle import TrunkFile
from pipelines.cli import main
from pipelines.train import advice_for
from tests.models.tiny import SPEC, TAXONOMY, tiny_dataset
from tests.processes import imported_by


def test_a_folder_without_dataset_is_refused(tmp_path, capsys):
    assert main(["train", "--dataset", str(tmp_path), "--output", str(tmp_path / "bundle")]) == 1
    assert "dataset.json" in capsys.readouterr().err


def test_an_existing_bundle_is_never_overwritten(tmp_path, capsys):
    write_fake_bundle(str(tmp_path / "bundle"), TAXONOMY, SPEC)
    assert main(["train", "--dataset", str(tmp_path), "--output", str(tmp_path / "bundle")]) == 1
    assert "never overwritten" in capsys.readouterr().err


def test_refusals_need_no_tensorflow(tmp_path):
    command = ["train", "--dataset", str(tmp_path), "--output", str(tmp_path / "bundle")]
    assert not imported_by(f"from pipelines.cli import main; assert main({command}) == 1") & {"tensorflow", "keras"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """Nobody writes into it."""
    return tiny_dataset(tmp_path_factory.mktemp("train") / "dataset", tracks=36)


def test_a_wrong_option_is_a_usage_error(dataset, tmp_path, capsys):
    command = ["train", "--dataset", str(dataset), "--output", str(tmp_path / "bundle")]
    assert main([*command, "--epochs", "0"]) == 2
    assert main([*command, "--trunk", "huge"]) == 2
    assert "choose from compact" in capsys.readouterr().err


def test_a_mistyped_tag_is_refused_before_anything_is_trained(dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pipelines.train._build", lambda args: pytest.fail("training began"))
    command = ["train", "--dataset", str(dataset), "--output", str(tmp_path / "bundle")]
    assert main([*command, "--precision-target", "mood/calmm=0.9"]) == 2
    assert "mood/calmm: no tag of this taxonomy" in capsys.readouterr().err


def test_train_prints_metrics_beside_the_baselines(dataset, tmp_path, capsys):
    bundle = tmp_path / "bundle"
    assert main(["train", "--dataset", str(dataset), "--output", str(bundle), "--epochs", "1"]) == 0
    printed = capsys.readouterr().out
    for word in ("tagger", "prevalence", "logistic_mel_moments", "ROC-AUC", "tg-", "30 labelled tracks are few"):
        assert word in printed
    assert (bundle / "bundle.json").exists() and (tmp_path / "bundle.logs").is_dir()


def trunk(**facts) -> TrunkFile:
    return TrunkFile(**{"name": "one", "digest": "0", "patch_dim": 1, "files": {}, "learned": True, **facts})


@pytest.mark.parametrize(
    ("trunks", "helps"),
    [
        ((trunk(),), True),
        ((trunk(), trunk(learned=False)), False),
        ((trunk(source="fine-tuned from another"),), False),
        ((), False),
    ],
)
def test_advice_is_for_those_who_train_a_network_from_scratch(trunks, helps):
    bundle = SimpleNamespace(trunks=trunks)
    assert (advice_for(bundle, {"train": 40, "validation": 10}) is not None) == helps
    assert advice_for(bundle, {"train": 40_000, "validation": 10}) is None


def test_a_run_killed_while_it_writes_its_bundle_is_finished_by_the_same_command(dataset, tmp_path, monkeypatch):
    from transforms.records import storage

    class Killed(BaseException):
        pass

    def dying(url, data, create=storage.create):
        if url.endswith("bundle.json"):
            raise Killed
        create(url, data)

    bundle = tmp_path / "bundle"
    command = ["train", "--dataset", str(dataset), "--output", str(bundle), "--epochs", "1"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(storage, "create", dying)
        main(command)
    assert (bundle / "heads.npz").exists() and (tmp_path / "bundle.checkpoints").is_dir()
    assert main(command) == 0
    assert (bundle / "bundle.json").exists() and not (tmp_path / "bundle.checkpoints").exists()


def test_foreign_files_in_the_output_stay_and_are_named(dataset, tmp_path, capsys):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "notes.txt").write_text("mine")
    assert main(["train", "--dataset", str(dataset), "--output", str(tmp_path / "bundle")]) == 1
    assert "notes.txt" in capsys.readouterr().err and (tmp_path / "bundle" / "notes.txt").exists()


def test_normalisations_are_a_matter_of_fine_tuning(dataset, tmp_path, capsys):
    command = ["train", "--dataset", str(dataset), "--output", str(tmp_path / "bundle"), "--train-norms"]
    assert main(command) == 2
    assert "--train-norms is for --fine-tune" in capsys.readouterr().err
