"""Tracks leave a dataset: shards, lists and sums are those of a dataset without them."""

import dataclasses
import json
import shutil

import numpy as np
import pyarrow as pa
import pytest

from pipelines.cli import main
from tests.support.nightly import HOWS, Killed, faults
from tests.support.tiny import SPEC, TAXONOMY, example, write_dataset
from transforms import storage
from transforms.dataset.manifest import CONFLICTS_FILE, REJECTS, list_digest, read_list, read_manifest
from transforms.dataset.removal import find_examples, take_out
from transforms.dataset.verification import dataset_problems
from transforms.formats.parquet import parquet_bytes
from transforms.formats.sealing import sealed_bytes
from transforms.schemas.dataset import DATASET_CONFLICTS, DATASET_REJECTS

SIDES = {"train": range(24), "validation": range(24, 30), "test": range(30, 34)}
GONE = frozenset({"track-003", "track-025", "lost-1", "tied-1"})


def made(folder, left_out=frozenset()):
    """A dataset of 34 examples, two rejects, a tied track and a conflict, without some tracks."""
    sides = {
        split: [example(number) for number in numbers if f"track-{number:03d}" not in left_out]
        for split, numbers in SIDES.items()
    }
    write_dataset(folder, sides, SPEC, TAXONOMY)
    reasons = {"lost-1": "silent", "lost-2": "silent", "tied-1": "tied"}
    rejects = [{"track_id": track, "reason": reason, "split": "train", "uri": track, "stage": "read", "detail": "x"}
               for track, reason in reasons.items() if track not in left_out]  # fmt: skip
    conflicts = [{"track_id": f"track-{n:03d}", "split": "train", "category": "genre"} for n in (3, 5)]
    conflicts = [row for row in conflicts if row["track_id"] not in left_out]
    tables = {
        REJECTS: pa.Table.from_pylist(rejects, DATASET_REJECTS),
        CONFLICTS_FILE: pa.Table.from_pylist(conflicts, DATASET_CONFLICTS),
    }
    for name, rows in tables.items():
        storage.write_bytes(str(folder / name), parquet_bytes(rows, ids={}))
    silent = sum(row["reason"] == "silent" for row in rejects)
    tied, examples = len(rejects) - silent, sum(map(len, sides.values()))
    changed = dataclasses.replace(
        read_manifest(str(folder)),
        lists={name: list_digest(rows) for name, rows in tables.items()},
        rejects={"silent": silent},
        none={"tied": tied, "unlabelled": 4},
        conflicts={"genre": len(conflicts)},
        counts={
            "catalog": examples + silent + tied + 4,
            "examples": examples,
            "rejected": silent,
            "none": tied + 4,
        },
    )
    storage.write_bytes(str(folder / "dataset.json"), sealed_bytes(changed.to_json()))
    return folder


def problems(dataset):
    return [one for step in dataset_problems(str(dataset), read_manifest(str(dataset))) for one in step]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = made(tmp_path_factory.mktemp("whole") / "dataset")
    (folder / "work").mkdir()
    for number, track in enumerate(("track-003", "track-004")):
        report = {"outcomes": [{"track_id": track}]}
        (folder / "work" / f"{number:024x}.json").write_bytes(sealed_bytes(report))
    assert problems(folder) == []
    return folder


@pytest.fixture
def dataset(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "dataset")


def test_it_becomes_the_dataset_without_the_tracks(dataset, tmp_path):
    found = find_examples(str(dataset), GONE)
    assert sum(found.shards.values()) == 2 and found.listed == {REJECTS: 2, CONFLICTS_FILE: 1} and found.ids == GONE
    done = take_out(str(dataset), GONE, found)
    assert done["shards"].keys() == found.shards.keys() and problems(dataset) == []
    assert find_examples(str(dataset), GONE).found == 0
    wanted, got = read_manifest(str(made(tmp_path / "wanted", GONE))), read_manifest(str(dataset))
    for name in ("splits", "tag_positive", "tag_known", "counts", "rejects", "none", "conflicts", "lists"):
        assert getattr(got, name) == getattr(wanted, name), name
    assert np.allclose(got.mel_mean, wanted.mel_mean, atol=1e-4) and np.allclose(got.mel_std, wanted.mel_std, atol=1e-4)
    assert not any((dataset / path).exists() for path in found.shards)
    assert sorted(path.name for path in (dataset / "work").iterdir()) == [f"{1:024x}.json"]
    assert read_list(str(dataset), got, REJECTS)["track_id"].to_pylist() == ["lost-2"]


def test_bytes_of_the_tracks_are_in_no_file(dataset):
    assert any(b"track-003" in path.read_bytes() for path in dataset.rglob("*.tfrecord"))
    take_out(str(dataset), GONE, find_examples(str(dataset), GONE))
    assert not any(b"track-003" in path.read_bytes() for path in dataset.rglob("*") if path.is_file())


def test_nobody_is_found(dataset):
    before = {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()}
    found = find_examples(str(dataset), frozenset({"nobody"}))
    assert (found.found, found.examples) == (0, 34)
    assert take_out(str(dataset), frozenset({"nobody"}), found)["removed"] == []
    assert before == {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()}


def test_all_examples_of_a_shard(dataset):
    gone = frozenset(f"track-{number:03d}" for number in SIDES["test"])
    done = take_out(str(dataset), gone, find_examples(str(dataset), gone))
    assert list(done["shards"].values()) == [None] and problems(dataset) == []
    assert read_manifest(str(dataset)).splits["test"] == 0


def test_stopped_at_any_write_it_is_repeated(whole, tmp_path, monkeypatch):
    """The writes: two shards, what is intended, two lists, the manifest, and what goes."""
    for at in range(10):
        how = HOWS[at % len(HOWS)]
        dataset = str(shutil.copytree(whole, tmp_path / f"stop-{at}"))
        with faults(monkeypatch, at, how) as state, pytest.raises((Killed, storage.Unavailable)):
            take_out(dataset, GONE, find_examples(dataset, GONE))
        assert state.count > at
        take_out(dataset, GONE, find_examples(dataset, GONE))
        assert problems(dataset) == [] and find_examples(dataset, GONE).found == 0, (at, how)
        counts = read_manifest(dataset).counts
        assert counts == {"catalog": 37, "examples": 32, "rejected": 1, "none": 4}, (at, how)


def test_the_command(dataset, tmp_path, capsys):
    from tests.support.published import fake_bundle, publish_table

    table = tmp_path / "table"
    publish_table(table, fake_bundle(tmp_path / "bundle"), 6)
    capsys.readouterr()
    words = ["purge", str(table), "--track-id", "track-0003", "--track-id", "track-003", "--dataset", str(dataset)]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["found"], found["shards"], found["applied"]) == (2, 1, False) and problems(dataset) == []
    assert main([*words, "--apply", "--reader-grace", "0s", "--json"]) == 0
    receipt = json.loads(capsys.readouterr().out)["receipt"]
    assert len(receipt["datasets"][0]["shards"]) == 1 and receipt["checked"]["examples"] == 33
    assert find_examples(str(dataset), frozenset({"track-003"})).found == 0
    assert main(["verify", str(dataset)]) == 0 == main(["verify", str(table)])
