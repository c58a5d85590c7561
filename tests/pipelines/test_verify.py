from pathlib import Path

import pytest

from pipelines.cli import main
from tests.support.published import fake_bundle, publish_table
from tests.support.world import tag
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
    assert out.startswith("snapshot 2: 13 files") and out.endswith("no problem\n")


def test_a_damaged_table_is_1_and_names_the_file(table, capsys):
    file = read_snapshot(str(table), 2).files("track_tags")[0]
    path = Path(table) / file.path
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["verify", str(table)]) == 1
    out = capsys.readouterr().out
    assert f"{file.path}: {file.bytes - 1} bytes" in out and "problems" in out.splitlines()[-1]


def test_another_snapshot_is_not_touched_by_it(table, capsys):
    assert main(["verify", str(table), "--snapshot", "1"]) == 0
    assert capsys.readouterr().out.startswith("snapshot 1: ")


def test_no_table_is_1(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 1
    assert "no snapshot" in capsys.readouterr().err


def test_what_tag_published_is_sound(world, tmp_path, capsys):
    for flags in ((), (), ("--min-score", "0.4", "--top-k", "2")):
        tag(world, tmp_path / "table", "--buckets", "3", *flags)
        capsys.readouterr()
        assert main(["verify", str(tmp_path / "table")]) == 0, capsys.readouterr().out
        assert "no problem" in capsys.readouterr().out
