"""Every JSON manifest, whoever reads it: hostile paths are not opened; files without their seal are refused."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.bundles.trunk_bundle import BundleError
from models.bundles.writing import clear_unfinished
from pipelines.inputs.kinds import KIND_FILES
from tests.support.flips import Refusal, printed
from tests.support.manifests import edit_manifest
from tests.support.sealed import labels, scan, train
from tests.transforms.formats.test_inner_paths import HOSTILE
from transforms import storage
from transforms.dataset.manifest import DatasetError
from transforms.formats.sealing import DIGEST, WRITER
from transforms.storage import local
from transforms.table.layout import snapshot_path
from transforms.table.versions import TableError

Change = Callable[[dict[str, Any]], object]
REFUSALS = (Refusal, TableError, DatasetError, BundleError, storage.StorageError)
TEXTS = [value for value in HOSTILE if isinstance(value, str)]
RUN_IDS = ["../snapshots/0000000001", "/etc/passwd", "a\\b", "a\0b", ".."]
RUN = "runs/*.json"


def verify(place: Path) -> str:
    return printed("verify", str(place))


def publish(table: Path) -> str:
    return printed("publish", str(table), "--max-reject-ratio", "0.5")


COMMANDS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "query": (snapshot_path(1), lambda table: printed("query", str(table), "SELECT count(*) FROM tracks")),
    "sql": (snapshot_path(1), lambda table: printed("sql", str(table), "--engine", "duckdb")),
    "verify": (snapshot_path(1), verify),
    "describe": (snapshot_path(1), lambda table: printed("describe", str(table))),
    "scan": (snapshot_path(1), scan),
    "publish": (RUN, publish),
}


def named(manifest: str, value: Any) -> Change:
    """Lets the first file of a manifest have this path."""
    changes: dict[str, Change] = {
        "table": lambda fields: fields["files"][0].update(path=value),
        "dataset": lambda fields: fields["shards"][0].update(path=value),
        "bundle": lambda fields: fields["files"].update({value: "0" * 64}),
        "run": lambda fields: fields.update(run_id=value),
    }
    return changes[manifest]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every local file that is opened or deleted, and every folder that is listed."""
    names: list[str] = []

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(url: str, *rest: Any) -> Any:
            names.append(url)
            return function(url, *rest)

        return call

    for name in ("open_input", "list_files", "list_folder", "exists", "delete"):
        monkeypatch.setattr(local, name, watched(getattr(local, name)))
    return names


def copied(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target / folder.name))


def refused(read: Callable[[Path], object], folder: Path, name: str, opened: list[str]) -> None:
    """The reader refuses the folder in one line with the name of the manifest, and opens nothing outside of it."""
    opened.clear()
    with pytest.raises(REFUSALS) as refusal:
        read(folder)
    said = str(refusal.value)
    assert name in said and "leads out of its folder" in said and len(said.splitlines()) == 1, said
    read_files = [url for url in opened if url not in _asked_for_kinds(folder)]
    assert read_files and all(url.startswith(str(folder)) and "/../" not in url for url in read_files)


def _asked_for_kinds(folder: Path) -> set[str]:
    """Files that a writing command looks for in the folders above, to know whether it is inside of something else."""
    return {str(above / name) for above in folder.parents for name in KIND_FILES}


@pytest.mark.parametrize("command", COMMANDS)
def test_tables_open_no_path_outside(sealed_tables: Path, tmp_path: Path, opened: list[str], command: str) -> None:
    pattern, read = COMMANDS[command]
    table = copied(sealed_tables / "table", tmp_path)
    (manifest,) = table.glob(pattern)
    before = manifest.read_bytes()
    for kind, values in (("table", TEXTS), ("run", RUN_IDS)):
        for value in values:
            manifest.write_bytes(before)
            edit_manifest(manifest, named(kind, value))
            refused(read, table, manifest.name, opened)


def test_a_receipt_names_no_run_outside(sealed_tables: Path, tmp_path: Path, opened: list[str]) -> None:
    table = copied(sealed_tables / "table", tmp_path)
    (receipt,) = table.glob("launches/*.json")
    for value in TEXTS:
        edit_manifest(receipt, named("run", value))
        refused(publish, table, receipt.name, opened)
    with pytest.raises(Refusal, match="no run can have this id"):
        printed("publish", str(table), "../snapshots/0000000001")


@pytest.mark.parametrize("read", [train, labels, verify])
def test_datasets_open_no_path_outside(sealed_dataset: Path, tmp_path: Path, opened: list[str], read) -> None:
    folder = copied(sealed_dataset, tmp_path)
    for value in TEXTS:
        edit_manifest(folder / "dataset.json", named("dataset", value))
        refused(read, folder, "dataset.json", opened)


def test_bundles_open_no_path_outside(sealed_tables: Path, tmp_path: Path, opened: list[str]) -> None:
    folder = copied(sealed_tables / "bundle", tmp_path)
    before = (folder / "bundle.json").read_bytes()
    for value in TEXTS:
        (folder / "bundle.json").write_bytes(before)
        edit_manifest(folder / "bundle.json", named("bundle", value))
        refused(verify, folder, "bundle.json", opened)


def test_an_interrupted_bundle_removes_nothing_outside(tmp_path: Path, opened: list[str]) -> None:
    (tmp_path / "mine.npz").write_text("mine")
    for value in TEXTS:
        (tmp_path / "bundle.unfinished").write_text(json.dumps(["mine.npz", value]))
        refused(lambda folder: clear_unfinished(str(folder)), tmp_path, "bundle.unfinished", opened)
    assert (tmp_path / "mine.npz").exists()


STRIPPED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "table.json": ("table", COMMANDS["query"][1]),
    snapshot_path(1): ("table", COMMANDS["query"][1]),
    RUN: ("table", publish),
    "launches/*.json": ("table", publish),
    "bundle.json": ("bundle", verify),
    "dataset.json": ("dataset", train),
}
"""Manifest -> what it is part of, and a reader of it."""


def without(pattern: str, fields: tuple[str, ...], sealed_tables: Path, sealed_dataset: Path, target: Path) -> str:
    """The words with which a manifest without some of its fields is refused."""
    place, read = STRIPPED[pattern]
    folder = copied(sealed_dataset if place == "dataset" else sealed_tables / place, target)
    (manifest,) = folder.glob(pattern)
    kept = {name: value for name, value in json.loads(manifest.read_bytes()).items() if name not in fields}
    manifest.write_text(json.dumps(kept))
    with pytest.raises(REFUSALS) as refusal:
        read(folder)
    said = str(refusal.value)
    assert manifest.name in said and len(said.splitlines()) == 1
    return said


@pytest.mark.parametrize("removed", [DIGEST, WRITER])
@pytest.mark.parametrize("pattern", STRIPPED)
def test_a_manifest_without_its_seal_is_refused(sealed_tables, sealed_dataset, tmp_path, pattern, removed) -> None:
    said = without(pattern, (removed,), sealed_tables, sealed_dataset, tmp_path)
    assert "was changed since it was written" in said


@pytest.mark.parametrize("pattern", [snapshot_path(1), RUN])
def test_a_sealed_table_has_no_manifest_of_version_0_1(sealed_tables, sealed_dataset, tmp_path, pattern) -> None:
    """Without both fields it looks like one, but version 0.1 cannot have written to this table."""
    said = without(pattern, (DIGEST, WRITER), sealed_tables, sealed_dataset, tmp_path)
    assert "its digest is missing" in said


def test_another_mean_of_the_mels_is_refused(sealed_dataset: Path, tmp_path: Path) -> None:
    folder = copied(sealed_dataset, tmp_path)
    path = folder / "dataset.json"
    fields = json.loads(path.read_bytes())
    fields["mel_mean"][0] += 0.5
    path.write_text(json.dumps(fields))
    with pytest.raises(DatasetError, match=r"dataset\.json was changed since it was written: its digest is"):
        train(folder)
    # Whoever gives it another digest is noticed by the shards.
    edit_manifest(path, lambda fields: None)
    with pytest.raises(Refusal, match="mel_mean differs from the training examples"):
        verify(folder)


@pytest.mark.parametrize("command", ["query", "verify", "describe"])
@pytest.mark.parametrize("buckets", [0, -1, "x", None, [], 1e400])
def test_a_table_without_buckets_is_refused(sealed_tables: Path, tmp_path: Path, command: str, buckets: object) -> None:
    table = copied(sealed_tables / "table", tmp_path)
    edit_manifest(table / "table.json", lambda fields: fields.update(buckets=buckets))
    with pytest.raises(REFUSALS, match=r"table\.json") as refusal:
        COMMANDS[command][1](table)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("pattern", [snapshot_path(1), RUN])
def test_counts_that_are_missing_or_no_numbers_are_named(sealed_tables: Path, tmp_path: Path, pattern: str) -> None:
    table = copied(sealed_tables / "table", tmp_path)
    (manifest,) = table.glob(pattern)
    before = manifest.read_bytes()
    read = publish if pattern == RUN else COMMANDS["query"][1]
    changes: list[Change] = [
        *(lambda fields, value=value: fields["counts"].update(tagged=value) for value in ([], None, "1", 1.5, True)),
        lambda fields: fields["counts"].pop("catalog"),
        lambda fields: fields.update(options={"top_k": "x"}),
        lambda fields: fields.update(counts=None),
    ]
    for change in changes:
        manifest.write_bytes(before)
        edit_manifest(manifest, change)
        with pytest.raises(REFUSALS, match=re.escape(manifest.name)) as refusal:
            read(table)
        assert len(str(refusal.value).splitlines()) == 1
