"""The `evaluate` command: three files from a bundle and a dataset, or a clear refusal."""

import contextlib
import hashlib
import io
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from models.bundles import split_record as split_file
from models.bundles.blessing import read_blessing
from models.bundles.fake import write_fake_bundle
from pipelines.cli import main
from tests.support.manifests import edit_manifest
from tests.support.tiny import SPEC, TAXONOMY, tiny_dataset
from transforms import storage
from transforms.features.spec import FeatureSpec
from transforms.taxonomy.hierarchy import Taxonomy


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A dataset and a bundle whose scores are fixed by its seed."""
    folder = tmp_path_factory.mktemp("evaluate")
    tiny_dataset(folder / "dataset", tracks=36)
    write_fake_bundle(str(folder / "bundle"), TAXONOMY, SPEC)
    return folder


def evaluate(folder: Path, output: Path, *flags: str, model: str = "bundle") -> int:
    command = ["evaluate", "--model", str(folder / model), "--dataset", str(folder / "dataset")]
    return main([*command, "--output", str(output), "--resamples", "20", *flags])


@pytest.fixture(scope="module")
def printed(folder) -> str:
    """What `evaluate` printed of the validation split."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert evaluate(folder, folder / "out", "--split", "validation") == 0
    return out.getvalue()


@pytest.fixture(scope="module")
def output(folder, printed) -> Path:
    """What it wrote."""
    return folder / "out"


def test_averages_are_printed(printed):
    assert "ROC-AUC" in printed and "calibration error" in printed and "report.html" in printed


def test_three_files_say_the_same_twice(folder, output, tmp_path):
    assert evaluate(folder, tmp_path, "--split", "validation") == 0
    for name in ("tags.parquet", "evaluation.json", "report.html"):
        assert (tmp_path / name).read_bytes() == (output / name).read_bytes(), name


def test_json_names_what_was_evaluated(folder, output):
    found = json.loads((output / "evaluation.json").read_text())
    manifest = json.loads((folder / "bundle" / "bundle.json").read_text())
    assert found["facts"]["tagger"] == manifest["tagger_id"] and found["facts"]["split"] == "validation"
    assert found["tracks"]["all"] == 6 and found["artists"] == 3


def test_rows_can_be_read_by_analysts(output):
    rows = pq.read_table(output / "tags.parquet").to_pylist()
    (row,) = [r for r in rows if (r["tag"], r["metric"], r["slice"]) == ("voice/vocal", "roc_auc", "all")]
    assert row["model"] == "tagger" and 0 <= row["value"] <= 1 and row["known"] == 6


def test_a_bundle_without_baselines_says_why(printed, output):
    why = "The bundle has no baselines to compare with, because it was not trained on a dataset by `train`."
    assert why in printed and why in (output / "report.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_everything_may_be_on_gs(folder, output, gcs, capsys):
    for info in storage.list_files(str(folder)):
        storage.upload(Path(info.url), storage.join(gcs, info.url.removeprefix(f"{folder}/")))
    places = ["--model", f"{gcs}/bundle", "--dataset", f"{gcs}/dataset", "--output", f"{gcs}/new"]
    assert main(["evaluate", *places, "--split", "validation", "--resamples", "20"]) == 0
    assert f"report: {gcs}/new/report.html" in capsys.readouterr().out
    assert b"ROC-AUC" in storage.read_bytes(f"{gcs}/new/report.html")
    for name in ("tags.parquet", "evaluation.json"):
        assert storage.read_bytes(f"{gcs}/new/{name}") == (output / name).read_bytes(), name
    assert main(["evaluate", *places]) == 1


def test_a_finished_evaluation_is_not_overwritten(folder, tmp_path, capsys):
    (tmp_path / "evaluation.json").write_text("{}")
    assert evaluate(folder, tmp_path) == 1
    assert "choose another folder" in capsys.readouterr().err


def test_other_features_are_refused_naming_both(folder, tmp_path, capsys):
    other = FeatureSpec(n_mels=24, patch_frames=24, patches_per_track=4)
    write_fake_bundle(str(tmp_path / "bundle"), TAXONOMY, other)
    assert evaluate(folder, tmp_path / "out", model=str(tmp_path / "bundle")) == 1
    said = capsys.readouterr().err
    assert SPEC.feature_id in said and other.feature_id in said


def test_another_taxonomy_is_refused_naming_both(folder, tmp_path, capsys):
    other = Taxonomy.from_json({"categories": [{"name": "mood", "kind": "multilabel", "tags": ["mood/calm"]}]})
    write_fake_bundle(str(tmp_path / "bundle"), other, SPEC)
    assert evaluate(folder, tmp_path / "out", model=str(tmp_path / "bundle")) == 1
    said = capsys.readouterr().err
    assert TAXONOMY.taxonomy_id in said and other.taxonomy_id in said


def bundle_fitted_on(folder: Path, **sides: range) -> str:
    """The fake bundle, with a split of these tracks."""
    write_fake_bundle(str(folder), TAXONOMY, SPEC)
    rows = {split: [(f"track-{n:03d}", f"artist-{n // 2}") for n in numbers] for split, numbers in sides.items()}
    data = split_file.to_bytes(rows)
    (folder / split_file.SPLIT_FILE).write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    edit_manifest(folder / "bundle.json", lambda fields: fields["files"].update({split_file.SPLIT_FILE: sha256}))
    return str(folder)


@pytest.mark.parametrize(
    ("split", "sides", "kept"),
    [
        ("test", {"train": range(24), "validation": range(24, 30), "test": range(30, 36)}, 6),
        ("test", {"train": range(32), "test": range(32, 36)}, 4),
        ("test", {"train": range(31)}, 4),  # track-031 is of the same artist as track-030
        ("test", {"validation": range(32)}, 4),
        ("validation", {"train": range(26), "validation": range(26, 30)}, 4),
        ("validation", {"test": range(24, 30)}, 6),
        ("train", {"train": range(24)}, 24),
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_tracks_that_the_bundle_was_fitted_on_are_left_out(folder, tmp_path, capsys, split, sides, kept):
    model = bundle_fitted_on(tmp_path / "bundle", **sides)
    assert evaluate(folder, tmp_path / "out", "--split", split, model=model) == 0
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    left_out = {"train": 24, "validation": 6, "test": 6}[split] - kept
    why = "because the bundle was fitted on them or on other tracks of their artists."
    said = f"{left_out} tracks were left out, {why}"
    assert found["tracks"]["all"] == kept and (said in found["notes"]) == (left_out > 0)
    assert ("left out" in capsys.readouterr().out) == (left_out > 0)


def test_a_split_that_the_bundle_was_fitted_on_altogether_is_refused(folder, tmp_path, capsys):
    model = bundle_fitted_on(tmp_path / "bundle", train=range(36))
    assert evaluate(folder, tmp_path / "out", model=model) == 1
    assert "was fitted on all 6 tracks of split 'test'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_dataset_blesses_a_bundle(folder, tmp_path, capsys):
    shutil.copytree(folder / "bundle", tmp_path / "bundle")
    words = ("--bless", "--floor", "genre/f1=0")
    assert evaluate(folder, tmp_path / "out", *words, model=str(tmp_path / "bundle")) == 0
    found = read_blessing(str(tmp_path / "bundle"))
    assert (found.tracks, found.labels["split"], list(found.floors)) == (6, "test", ["genre/f1"])
    assert set(found.labels) == {"catalog", "split"} and found.against == {}


@pytest.mark.parametrize(
    "flags", [("--durations", "60,10"), ("--durations", "x"), ("--resamples", "-1"), ("--seed", "-1")]
)
def test_a_wrong_option_is_a_usage_error(folder, tmp_path, flags):
    assert evaluate(folder, tmp_path / "out", *flags) == 2
    assert not (tmp_path / "out").exists()
