import json
import shutil
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.support.published import fake_bundle, publish_table
from tests.support.world import tag
from transforms.schemas.tables import TABLES
from transforms.table.snapshots import read_snapshot


@pytest.fixture
def table(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 6)
    publish_table(tmp_path / "table", bundle, 12)
    return tmp_path / "table"


def test_a_sound_table_is_0(table, capsys):
    assert main(["verify", str(table)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("snapshot 2: 19 files") and out.endswith("no problem\n")


def test_a_damaged_table_is_1_and_names_the_file(table, capsys):
    file = read_snapshot(str(table), 2).files("track_tags")[0]
    path = Path(table) / file.path
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["verify", str(table)]) == 1
    out = capsys.readouterr().out
    assert f"{file.path}: {file.bytes - 1} bytes" in out and out.splitlines()[-1].endswith(": 1 problem")


def test_a_damaged_or_missing_file_is_the_only_problem(table, capsys):
    """What follows from it, such as other counts of tracks, is not one."""
    for name in sorted(set(TABLES) - {"neighbours"}):
        file = read_snapshot(str(table), 2).files(name)[0]
        path = table / file.path
        data = path.read_bytes()
        for harm in (flip, Path.unlink):
            harm(path)
            assert main(["verify", str(table), "--json"]) == 1
            problems = json.loads(capsys.readouterr().out)["problems"]
            assert len(problems) == 1 and problems[0].startswith(file.path), (name, problems)
            path.write_bytes(data)
    assert main(["verify", str(table), "--quiet"]) == 0


def test_another_snapshot_is_not_touched_by_it(table, capsys):
    assert main(["verify", str(table), "--snapshot", "1"]) == 0
    assert capsys.readouterr().out.startswith("snapshot 1: ")


def test_no_table_is_1(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 1
    assert f"{tmp_path} is neither a table, a bundle nor a dataset: it has no table.json" in capsys.readouterr().err


def flip(path, at=-20):
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def test_all_checks_every_snapshot(table, capsys):
    assert main(["verify", str(table), "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["snapshot 1", "snapshot 2", "2 snapshots"]
    file = read_snapshot(str(table), 1).files("ledger")[0]
    flip(table / file.path)
    assert main(["verify", str(table)]) == 0, "the newest one is sound"
    assert main(["verify", str(table), "--all"]) == 1
    out = capsys.readouterr().out
    assert f"{file.path}: sha256" in out and out.splitlines()[-1].startswith("2 snapshots: ")


def test_all_passes_over_no_manifest_that_cannot_be_read(table, capsys):
    flip(table / "snapshots/0000000001.json")
    (table / "runs").mkdir(exist_ok=True)
    (table / "runs/run-1.json").write_text("{")
    assert main(["verify", str(table), "--all", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [one["snapshot"] for one in document["snapshots"]] == [1, 2]
    assert [len(one["problems"]) for one in document["snapshots"]] == [1, 0]
    assert len(document["problems"]) == 2 and "runs/run-1.json" in document["problems"][1]
    assert main(["verify", str(table), "--all", "--format", "csv"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_list_with_another_root_is_named(table, capsys):
    path = table / "manifests/0000000002/taxonomy.txt"
    path.write_bytes(path.read_bytes().replace(b"/table/", b"/tabla/"))
    assert main(["verify", str(table)]) == 1
    assert "below another root" in capsys.readouterr().out


def test_bundles_are_checked(table, capsys):
    bundle = table.parent / "bundle"
    assert main(["verify", str(bundle)]) == 0
    assert capsys.readouterr().out == f"bundle {bundle}: 3 files: no problem\n"
    for name in ("heads.npz", "trunk.npz"):
        flip(bundle / name)
    (bundle / "MODEL_CARD.md").unlink()
    assert main(["verify", str(bundle)]) == 1
    out = capsys.readouterr().out
    assert all(name in out for name in ("heads.npz was changed", "trunk.npz was changed", "MODEL_CARD.md is missing"))
    assert out.splitlines()[-1] == f"bundle {bundle}: 3 files: 3 problems"


def test_datasets_are_checked(sealed_dataset, tmp_path, capsys):
    dataset = Path(shutil.copytree(sealed_dataset, tmp_path / "dataset"))
    assert main(["verify", str(dataset), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "dataset": str(dataset),
        "shards": 3,
        "examples": 24,
        "problems": [],
    }
    (shard,) = dataset.glob("train-*")
    flip(shard)
    (dataset / "rejects.parquet").write_bytes(b"")
    (dataset / "conflicts.parquet").unlink()
    assert main(["verify", str(dataset)]) == 1
    out = capsys.readouterr().out
    assert all(name in out for name in (shard.name, "rejects.parquet", "conflicts.parquet", "3 problems"))


@pytest.mark.parametrize("flags", [["--all"], ["--snapshot", "1"], ["--as-of", "2026-01-01"]])
def test_flags_of_tables_are_for_tables(table, capsys, flags):
    assert main(["verify", str(table.parent / "bundle"), *flags]) == 2
    assert "are for tables" in capsys.readouterr().err
    if flags != ["--all"]:
        assert main(["verify", str(table), "--all", *flags]) == 2
        assert "leave out --snapshot and --as-of" in capsys.readouterr().err


@pytest.mark.long
def test_what_tag_published_is_sound(world, tmp_path, capsys):
    for flags in ((), (), ("--min-score", "0.4", "--top-k", "2")):
        tag(world, tmp_path / "table", "--buckets", "3", *flags)
        capsys.readouterr()
        assert main(["verify", str(tmp_path / "table")]) == 0, capsys.readouterr().out
        assert "no problem" in capsys.readouterr().out
