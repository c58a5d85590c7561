"""The `train` command: clear answers before TensorFlow is imported, a table of metrics at the end."""

from pathlib import Path

import pytest

from models.bundles.fake import write_fake_bundle
from pipelines.cli import main
from pipelines.jobs.train import advice_for
from tests.support.processes import imported_by
from tests.support.tiny import SPEC, TAXONOMY, tiny_dataset


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
    monkeypatch.setattr("pipelines.jobs.train._build", lambda *args: pytest.fail("training began"))
    command = ["train", "--dataset", str(dataset), "--output", str(tmp_path / "bundle")]
    assert main([*command, "--precision-target", "mood/calmm=0.9"]) == 2
    assert "precision of mood/calmm: no such tag in this taxonomy" in capsys.readouterr().err


def test_train_prints_metrics_beside_the_baselines(dataset, tmp_path, capsys):
    bundle = tmp_path / "bundle"
    assert main(["train", "--dataset", str(dataset), "--output", str(bundle), "--epochs", "1"]) == 0
    printed = capsys.readouterr().out
    for word in ("tagger", "prevalence", "logistic_mel_moments", "ROC-AUC", "tg-", "with 30 labelled tracks"):
        assert word in printed
    assert (bundle / "bundle.json").exists() and (tmp_path / "bundle.logs").is_dir()


def test_advice_is_for_few_labels_and_no_ready_made_network():
    few, many = {"train": 40, "validation": 10}, {"train": 40_000, "validation": 10}
    assert "with 50 labelled tracks" in advice_for(few, has_bundles=False)
    assert advice_for(few, has_bundles=True) is advice_for(many, has_bundles=False) is None


def test_who_trains_heads_on_the_statistics_is_told_of_ready_made_networks(dataset, tmp_path, capsys):
    words = ["train", "--dataset", str(dataset), "--output", str(tmp_path / "bundle"), "--trunk", "statistics"]
    assert main(words) == 0
    first = capsys.readouterr().out
    assert "`catalog-tagger import-model musicnn`" in first
    before = {path: path.read_bytes() for path in (tmp_path / "bundle").iterdir()}
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("the same command has already trained this bundle\n")
    assert before == {path: path.read_bytes() for path in (tmp_path / "bundle").iterdir()}
    assert main([*words, "--precision-target", "0.8"]) == 1
    assert "never overwritten" in capsys.readouterr().err


@pytest.mark.long
def test_a_run_killed_while_it_writes_its_bundle_is_finished_by_the_same_command(dataset, tmp_path, monkeypatch):
    from transforms import storage

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
    assert "--train-norms needs --fine-tune" in capsys.readouterr().err
