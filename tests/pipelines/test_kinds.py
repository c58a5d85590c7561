"""No command writes into a folder of another kind, and `describe` says what a folder holds."""

import json
from pathlib import Path

import pytest

from pipelines.cli import main
from pipelines.inputs.kinds import check_writes, kind_of
from pipelines.terminal.errors import CommandFailed
from tests.support.published import fake_bundle, publish_table
from tests.support.tiny import tiny_dataset
from transforms import storage

KINDS = ("bundle", "dataset", "table")

CATALOG = ["--catalog", "no.parquet"]
WRITERS = {
    "tag": ("table", ["tag", *CATALOG, "--model", "no", "--table", "{}"]),
    "tag --plan": ("table", ["tag", "--plan", *CATALOG, "--model", "no", "--table", "{}"]),
    "tag --also": ("table", ["tag", *CATALOG, "--model", "no", "--table", "new", "--also", "no", "{}"]),
    "publish": ("table", ["publish", "{}"]),
    "rollback": ("table", ["rollback", "{}", "1"]),
    "prepare": ("dataset", ["prepare", *CATALOG, "--taxonomy", "no.yaml", "--output", "{}"]),
    "train": ("bundle", ["train", "--dataset", "no", "--output", "{}"]),
    "train --checkpoints": (None, ["train", "--dataset", "no", "--output", "new", "--checkpoints", "{}"]),
    "train --logs": (None, ["train", "--dataset", "no", "--output", "new", "--logs", "{}"]),
    "refit": ("bundle", ["refit", "--table", "no", "--model", "no", *CATALOG, "--output", "{}"]),
    "import-model onnx": ("bundle", ["import-model", "onnx", "--onnx", "no", "--feature-spec", "no", "--output", "{}"]),
    "import-model musicnn": (None, ["import-model", "musicnn", "--package", "no", "--output", "{}"]),
    "import csv": (None, ["import", "csv", "no.csv", "--output", "{}/catalog.parquet"]),
    "import folder": (None, ["import", "folder", "no", "--output", "{}/catalog.parquet"]),
    "split": (None, ["split", *CATALOG, "--taxonomy", "no.yaml", "--output", "{}/catalog.parquet"]),
    "split --report": (
        None,
        ["split", *CATALOG, "--taxonomy", "no.yaml", "--output", "new.parquet", "--report", "{}/report.json"],
    ),
    "labels": (None, ["labels", *CATALOG, "--taxonomy", "no.yaml", "--output", "{}"]),
    "evaluate": (None, ["evaluate", "--model", "no", "--dataset", "no", "--output", "{}"]),
    "diff": (None, ["diff", "no", "1", "2", "--output", "{}"]),
    "synthesize": (None, ["synthesize", "--output", "{}"]),
}
"""Command -> what it writes into the folder, and its words."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder of each kind."""
    root = tmp_path_factory.mktemp("kinds")
    publish_table(root / "table", fake_bundle(root / "bundle"), 3)
    tiny_dataset(root / "dataset", 6)
    return {kind: root / kind for kind in KINDS}


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WRITERS)
def test_no_command_writes_into_a_folder_of_another_kind(
    folders: dict[str, Path], capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    writes, words = WRITERS[name]
    monkeypatch.chdir(tmp_path)
    before = files(folders[kind])
    places = [folders[kind] / "inner" / "deep", *([] if kind == writes else [folders[kind]])]
    for place in places:
        assert main([*(word.format(place) for word in words), "--quiet"]) == 1
        said = capsys.readouterr().err
        assert kind in said and str(place) in said and "choose " in said and len(said.splitlines()) == 1
    assert files(folders[kind]) == before and not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_folder_and_one_of_the_own_kind_pass(folders: dict[str, Path], tmp_path: Path, kind: str) -> None:
    check_writes("--output", str(folders[kind]), kind)
    check_writes("--output", f"{folders[kind]}-2", kind)
    check_writes("--output", str(tmp_path / "new" / "report.json"))
    check_writes("--report", None)


def test_a_bundle_whose_writing_was_killed_is_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "bundle.unfinished").write_text("[]")
    assert kind_of(str(tmp_path)) == "bundle"


def test_places_on_gs(gcs: str) -> None:
    storage.write_bytes(f"{gcs}/a/table.json", b"{}")
    assert kind_of(f"{gcs}/a") == kind_of(f"{gcs}/a/") == "table" and kind_of(f"{gcs}/b") is None
    check_writes("--output", f"{gcs}/b/a/report")
    for place in (f"{gcs}/a/x/y.parquet", f"{gcs}/a/"):
        with pytest.raises(CommandFailed, match="table"):
            check_writes("--output", place)
    storage.write_bytes(f"{gcs}/bundle.json", b"{}")
    with pytest.raises(CommandFailed, match=f"is inside of the bundle {gcs}"):
        check_writes("--output", f"{gcs}/b")


def test_folders_above_that_may_not_be_looked_at_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists = storage.exists

    def refusing(url: str) -> bool:
        if not url.startswith(str(tmp_path / "own")):
            raise storage.PermissionDenied(f"{url}: 403")
        return exists(url)

    monkeypatch.setattr(storage, "exists", refusing)
    check_writes("--output", str(tmp_path / "own" / "dataset"), "dataset")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "table.json").write_text("{}")
    with pytest.raises(CommandFailed, match="inside of the table"):
        check_writes("--output", str(tmp_path / "own" / "dataset"), "dataset")


def describe(place: Path, capsys) -> dict:
    capsys.readouterr()
    assert main(["describe", str(place), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_describe_tells_a_bundle(folders: dict[str, Path], capsys) -> None:
    found = describe(folders["bundle"], capsys)
    ids = json.loads((folders["bundle"] / "bundle.json").read_text())
    assert found["kind"] == "bundle"
    assert found["ids"] == {name: ids[name] for name in ("feature_id", "embedding_id", "tagger_id", "taxonomy_id")}
    assert sum(category["tags"] for category in found["categories"]) == len(ids["tags"]) == 33
    assert [trunk["name"] for trunk in found["trunks"]] == ["fake"]
    assert main(["describe", str(folders["bundle"])]) == 0
    assert ids["tagger_id"] in capsys.readouterr().out


def test_describe_tells_a_dataset(folders: dict[str, Path], capsys) -> None:
    found = describe(folders["dataset"], capsys)
    assert (found["kind"], found["counts"]["catalog"]) == ("dataset", 6)
    assert found["splits"] == {"train": 4, "validation": 1, "test": 1} and found["shards"] == 3
    assert [category["name"] for category in found["categories"]] == ["voice", "genre", "mood"]
    assert main(["describe", str(folders["dataset"])]) == 0
    assert "examples: train 4, validation 1, test 1" in capsys.readouterr().out


def test_describe_tells_a_table(folders: dict[str, Path], capsys) -> None:
    found = describe(folders["table"], capsys)
    assert (found["kind"], [one["number"] for one in found["snapshots"]]) == ("table", [1])
