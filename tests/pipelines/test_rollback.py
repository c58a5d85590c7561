"""`rollback` publishes an old snapshot's content again; history only grows, and everything goes on from there."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.cli import main
from tests.support.manifests import edit_manifest
from tests.support.published import fake_bundle, publish_table
from tests.support.rows import publish_rows
from tests.support.world import ledger, tag
from transforms import storage
from transforms.table.reader import open_history, open_snapshot, published_numbers
from transforms.table.snapshots import current_snapshot, read_snapshot

V0_1 = Path(__file__).parents[1] / "compatibility" / "v0_1" / "table"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return fake_bundle(tmp_path_factory.mktemp("bundles") / "bundle")


@pytest.fixture(scope="module")
def published(tmp_path_factory, bundle):
    """Snapshot 1 with 6 tracks and 2 rejects, snapshot 2 with 12 and 2."""
    table = tmp_path_factory.mktemp("tables") / "table"
    publish_table(table, bundle, 6)
    publish_table(table, bundle, 12)
    return table


@pytest.fixture
def table(tmp_path, published):
    return Path(shutil.copytree(published, tmp_path / "table"))


def rollback(table, number, *flags):
    return main(["rollback", str(table), str(number), *flags])


def files_of(table):
    return {path: path.read_bytes() for path in table.rglob("*") if path.is_file()}


def test_the_new_snapshot_has_the_old_content_and_says_what_it_is(table, capsys):
    before = files_of(table)
    assert rollback(table, 1, "--reason", "swapped heads", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    first, second, third = (reader.manifest for reader in open_history(str(table)))
    assert (answer["snapshot"], answer["rolled_back_to"], answer["reason"]) == (3, 1, "swapped heads")
    assert (third.run.rolled_back_to, third.run.parent, third.run.files) == (1, 2, first.run.files)
    assert third.run.content_hash == first.run.content_hash != second.run.content_hash
    assert third.run.gates["rollback"] == {"value": 0, "limit": 0, "passed": True}
    assert {"files", "written", "conservation"} < set(third.run.gates) and "rejected" not in third.run.gates
    assert third.run.measured == {} and third.run.counts["decoded"] == 0
    now = files_of(table)
    changed = {path.name for path, data in before.items() if now[path] != data}
    assert changed == {"current.json", "current.sql", "README.md", "version-hint.text"}
    assert json.loads((table / "current.json").read_text())["number"] == 3
    assert "data/" not in {str(path.relative_to(table))[:5] for path in set(now) - set(before)}


REASONS = [
    ((), (), 0),
    (("--reason", "swapped heads"), (), 0),
    (("--reason", "swapped heads"), ("--reason", "swapped heads"), 0),
    ((), ("--reason", "bad files"), 2),
    (("--reason", "swapped heads"), ("--reason", "bad files"), 2),
]


@pytest.mark.parametrize(("first", "again", "code"), REASONS)
def test_a_rollback_that_is_repeated_loses_no_reason(table, capsys, first, again, code):
    assert rollback(table, 1, *first) == 0
    before = files_of(table)
    capsys.readouterr()
    assert rollback(table, 1, *again) == code
    said = capsys.readouterr()
    assert files_of(table) == before and published_numbers(str(table)) == [1, 2, 3]
    assert read_snapshot(str(table), 3).run.rollback_reason == (first[1] if first else None)
    if code:
        has = "with the reason 'swapped heads'" if first else "without a reason"
        assert f"snapshot 3 already is a rollback to 1, {has}: nothing was published, and the reason" in said.err
        assert "'bad files' was not recorded" in said.err
    else:
        assert said.out.startswith(f"snapshot 3 of {table} has the content of snapshot 1")


def test_every_reader_and_the_commands_see_it(table, capsys):
    assert rollback(table, 1, "--reason", "swapped heads") == 0
    for name in ("tracks", "track_tags", "embeddings", "ledger"):
        assert open_snapshot(str(table)).scan(name).equals(open_snapshot(str(table), 1).scan(name))
    capsys.readouterr()
    assert main(["query", str(table), "SELECT count(*) AS n FROM tracks", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"n": 6}]
    sql = "SELECT (SELECT count(*) FROM previous_ledger) AS before, count(*) AS now FROM ledger"
    assert main(["query", str(table), sql, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"before": 14, "now": 8}]
    assert main(["verify", str(table), "--all"]) == 0
    capsys.readouterr()
    assert main(["snapshots", str(table), "--json"]) == 0
    third = json.loads(capsys.readouterr().out)["snapshots"][2]
    assert (third["rolled_back_to"], third["rollback_reason"], third["new_bytes"]) == (1, "swapped heads", 0)
    assert main(["describe", str(table), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["snapshots"][2]["rollback_reason"] == "swapped heads"
    assert main(["diff", str(table), "1", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tracks"]["unchanged"] == 8
    assert main(["diff", str(table), "2", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tracks"]["removed"] == 6


@pytest.mark.long
def test_tag_goes_on_from_the_rollback(world, tmp_path, capsys):
    table = tmp_path / "table"
    half = tmp_path / "half.csv"
    half.write_text("track_id,uri\n" + "".join(f"{r['track_id']},{r['uri']}\n" for r in world.rows().to_pylist()[:4]))
    first = tag(world, table, "--buckets", "2")
    second = tag(world, table, "--max-removed-ratio", "1", catalog=half)
    assert rollback(table, 1) == 0
    again = tag(world, table)
    assert (again.number, again.run.parent, again.run.counts["decoded"]) == (4, 3, 0)
    assert again.run.content_hash == first.run.content_hash != second.run.content_hash
    assert again.run.changes == {"added": 0, "removed": 0}
    assert {row["status"] for row in ledger(table, again).values()} <= {"carried", "rejected"}
    assert rollback(table, 2) == 0 and current_snapshot(str(table)).run.content_hash == second.run.content_hash
    capsys.readouterr()
    assert main(["verify", str(table), "--all"]) == 0, capsys.readouterr().out


def damaged(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [Path.unlink, damaged, lambda path: path.write_bytes(path.read_bytes()[:-1])])
@pytest.mark.parametrize("name", ["tracks", "track_tags", "embeddings", "ledger", "taxonomy"])
def test_nothing_is_published_if_a_file_is_missing_or_damaged(table, capsys, harm, name):
    file = read_snapshot(str(table), 1).files(name)[0]
    harm(table / file.path)
    before = files_of(table)
    assert rollback(table, 1) == 3
    error = capsys.readouterr().err
    assert file.path in error and "restore it from a copy, or roll back to another snapshot" in error
    assert files_of(table) == before


def test_a_damaged_file_of_the_newest_snapshot_does_not_matter(table, capsys):
    damaged(table / read_snapshot(str(table), 2).files("tracks")[0].path)
    assert rollback(table, 1) == 0
    assert main(["verify", str(table)]) == 0


def test_it_is_the_way_back_from_a_damaged_manifest(table, capsys):
    damaged(table / "snapshots" / "0000000002.json")
    assert main(["describe", str(table)]) == 1
    assert rollback(table, 1) == 0
    capsys.readouterr()
    assert main(["verify", str(table)]) == 0, capsys.readouterr().out
    assert open_snapshot(str(table)).manifest.number == 3


def test_repeated_it_publishes_nothing_more(table, capsys):
    assert [rollback(table, 1) for _ in range(3)] == [0, 0, 0]
    assert published_numbers(str(table)) == [1, 2, 3]


def test_there_and_back(table):
    assert [rollback(table, number) for number in (1, 2, 3, 4)] == [0, 0, 0, 0]
    hashes = [reader.manifest.run.content_hash for reader in open_history(str(table))]
    assert hashes[2:] == [hashes[0], hashes[1], hashes[0], hashes[1]]


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=6))
def test_any_sequence_of_publications_and_rollbacks(tmp_path_factory, steps):
    """0 publishes other rows; any other number rolls back to the snapshot of this number, if it is an earlier one."""
    table, wanted = tmp_path_factory.mktemp("sequence") / "table", []
    for step, number in enumerate([0, *steps]):
        if number == 0:
            taxonomy = [{"tag": "mood/calm", "category": "mood", "threshold": 0.5}]
            row = {"track_id": f"t{step}", "tag": "mood/calm", "score": 0.5, "is_positive": True}
            wanted.append(publish_rows(table, taxonomy, [{"track_id": f"t{step}"}], [row], buckets=1).run.files)
        elif number < len(wanted) and read_snapshot(str(table), len(wanted)).run.rolled_back_to != number:
            assert rollback(table, number) == 0
            wanted.append(wanted[number - 1])
        else:
            assert rollback(table, number) == (0 if number < len(wanted) else 1)
        found = [reader.manifest for reader in open_history(str(table))]
        assert [(one.number, one.run.parent or 0, one.run.files) for one in found] == [
            (i + 1, i, files) for i, files in enumerate(wanted)
        ]
        assert len({one.run.run_id for one in found}) == len(found)
        assert [one.created for one in found] == sorted(one.created for one in found)


@pytest.mark.parametrize(("number", "words"), [(2, "is the newest one"), (7, "no snapshot 7; snapshots are 1 to 2")])
def test_what_cannot_be_rolled_back_to(table, capsys, number, words):
    assert rollback(table, number) == 1
    assert words in capsys.readouterr().err and published_numbers(str(table)) == [1, 2]


def test_an_empty_folder(tmp_path, capsys):
    assert rollback(tmp_path, 1) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_lost_race_has_its_own_exit_code(table, bundle, capsys, monkeypatch):
    from transforms.publishing import rollback as module

    audit = module.audit

    def late(*words):
        publish_table(table, bundle, 18)
        return audit(*words)

    monkeypatch.setattr(module, "audit", late)
    assert rollback(table, 1) == 4
    error = capsys.readouterr().err
    assert "snapshot 3 is already published" in error and "run `rollback` again" in error
    assert read_snapshot(str(table), 3).run.rolled_back_to is None


class Killed(BaseException):
    """What ends a process, as far as one process can show it."""


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
def test_killed_at_any_write_it_resumes(table, tmp_path, monkeypatch, after, capsys):
    for step in itertools.count():
        copy = tmp_path / f"copy-{step}"
        shutil.copytree(table, copy)
        calls = itertools.count()

        def fails(write, calls=calls, step=step):
            def writes(*words):
                # `tests/transforms/iceberg/test_following.py` stops at the writes of Iceberg's metadata.
                due = "/iceberg/" not in words[0] and next(calls) == step
                if due and not after:
                    raise Killed
                write(*words)
                if due:
                    raise Killed

            return writes

        with monkeypatch.context() as patch:
            for name in ("create", "write_bytes"):
                patch.setattr(storage, name, fails(getattr(storage, name)))
            try:
                assert rollback(copy, 1) == 0
                break
            except Killed:
                pass
        numbers = published_numbers(str(copy))
        assert numbers in ([1, 2], [1, 2, 3])
        whole = {1: 8, 2: 14, 3: 8}
        assert open_snapshot(str(copy)).scan("ledger").num_rows == whole[numbers[-1]]
        assert rollback(copy, 1) == 0
        assert published_numbers(str(copy)) == [1, 2, 3]
        capsys.readouterr()
        assert main(["verify", str(copy)]) == 0, capsys.readouterr().out
    assert step == 13  # the lease, the run, the commit, seven lists, three hints


def test_publish_finishes_a_rollback_that_was_killed_and_checks_it(table, monkeypatch, capsys):
    def killed(*words):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("transforms.publishing.rollback.commit_run", killed)
        rollback(table, 1)
    (path,) = (table / "runs").glob("*.json")
    edit_manifest(path, lambda run: run["ids"].update(tagger_id="tg-0000"))
    assert main(["publish", str(table), path.stem]) == 3
    assert "this rollback has other files than snapshot 1" in capsys.readouterr().err
    assert published_numbers(str(table)) == [1, 2]
    path.unlink()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("transforms.publishing.rollback.commit_run", killed)
        rollback(table, 1)
    assert main(["publish", str(table)]) == 0
    assert current_snapshot(str(table)).run.rolled_back_to == 1


def test_a_table_of_version_0_1(tmp_path, capsys):
    table = Path(shutil.copytree(V0_1, tmp_path / "table"))
    assert rollback(table, 1) == 0
    capsys.readouterr()
    assert main(["verify", str(table), "--snapshot", "3"]) == 0, capsys.readouterr().out
    assert current_snapshot(str(table)).run.content_hash == read_snapshot(str(table), 1).run.content_hash
