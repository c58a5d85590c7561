"""The command `iceberg`, what `verify` says about Iceberg's metadata, and the README of a table."""

import json
import logging
import re
import shutil
from pathlib import Path

import polars
import pytest

from pipelines.cli import main
from tests.support.iceberg import differences, listed
from tests.support.published import fake_bundle, publish_table
from transforms import storage
from transforms.publishing import commit
from transforms.schemas.tables import TABLES
from transforms.table.layout import snapshot_path
from transforms.table.snapshots import read_snapshot

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return fake_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def published(tmp_path_factory, bundle):
    table = tmp_path_factory.mktemp("tables") / "table"
    publish_table(table, bundle, 6)
    publish_table(table, bundle, 12)
    return table


@pytest.fixture
def moved(published, tmp_path):
    return Path(shutil.copytree(published, tmp_path / "moved"))


def verified(table, capsys):
    """The exit code of `verify` and its problems."""
    capsys.readouterr()
    code = main(["verify", str(table), "--json"])
    return code, json.loads(capsys.readouterr().out)["problems"]


def test_a_moved_table_is_noticed_and_pointed_to_its_place(published, moved, capsys, caplog):
    with caplog.at_level(logging.WARNING, "pipelines"):
        assert verified(moved, capsys) == (0, [])
    assert [record.getMessage() for record in caplog.records] == [
        f"Iceberg's metadata name files beneath {published}: the table was moved or copied. For engines that open it "
        f"here, run `catalog-tagger iceberg {moved}`"
    ]
    assert main(["iceberg", str(moved), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["snapshots"] == [1, 2] and answer["left_out"] == []
    assert answer["folders"] == {name: f"{moved}/iceberg/{name}" for name in TABLES}
    caplog.clear()
    assert verified(moved, capsys) == (0, []) and caplog.records == []
    assert differences(moved, ("tracks",)) == []


def test_a_table_of_an_earlier_version_gets_metadata_by_the_command(moved, capsys):
    shutil.rmtree(moved / "iceberg")
    assert verified(moved, capsys) == (0, [])
    assert main(["iceberg", str(moved)]) == 0
    assert "2 snapshots listed; the id of a snapshot is its number" in capsys.readouterr().out
    assert listed(moved) == [1, 2]


def newest(table):
    return max((table / "iceberg/tracks/metadata").glob("v*.json"), key=lambda path: int(path.name[1:].split(".")[0]))


def edited(path, change):
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def unlisted(table):
    edited(newest(table), lambda fields: fields["snapshots"].pop())


def unpublished(table):
    (table / snapshot_path(1)).unlink()


def other_files(table):
    edited(newest(table), lambda f: f["snapshots"][1].update({"manifest-list": f["snapshots"][0]["manifest-list"]}))


def old_hint(table):
    (table / "iceberg/tracks/metadata/version-hint.text").write_text("1")


def damaged(table):
    newest(table).write_bytes(b"{")


def cut_manifest(table):
    for path in (table / "iceberg/tracks/metadata").glob("*-m0.avro"):
        path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (unlisted, "does not list snapshot 2"),
        (unpublished, "lists snapshot 1, which is not published"),
        (other_files, "lists other files than snapshot 2"),
        (cut_manifest, "lists other files than snapshot 2"),
        (damaged, "damaged"),
        (old_hint, "does not name version"),
    ],
)
def test_verify_tells_what_is_wrong_and_the_command_mends_it(moved, damage, words, capsys):
    assert main(["iceberg", str(moved)]) == 0
    damage(moved)
    code, problems = verified(moved, capsys)
    wrong = [problem for problem in problems if "iceberg/tracks/metadata" in problem]
    assert code == 1 and len(wrong) == 1 and words in wrong[0] and f"run `catalog-tagger iceberg {moved}`" in wrong[0]
    assert main(["iceberg", str(moved)]) == 0
    assert verified(moved, capsys) == (0, [])


def test_no_table_and_another_kind_are_refused(tmp_path, bundle, capsys):
    assert main(["iceberg", str(tmp_path)]) == 1
    assert "no snapshot is published here" in capsys.readouterr().err
    fake_bundle(tmp_path / "bundle")
    assert main(["iceberg", str(tmp_path / "bundle")]) == 1
    assert "holds a bundle" in capsys.readouterr().err


def test_the_readme_says_what_the_table_is(published):
    text = (published / "README.md").read_text()
    snapshot = read_snapshot(str(published), 2)
    assert f"Newest snapshot: 2, published {snapshot.created}." in text
    assert "Tracks: 12 tagged, 2 rejected." in text and snapshot.run.content_hash in text
    assert "Licence of the tags: not recorded" in text
    assert all(f"- `{name}` ({sum(f.rows for f in snapshot.files(name))} rows)" in text for name in TABLES)
    assert str(published) not in text


def test_the_readmes_snippets_run_in_its_folder(moved, monkeypatch, capsys):
    assert main(["iceberg", str(moved)]) == 0
    text = (moved / "README.md").read_text()
    monkeypatch.chdir(moved)
    (python,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict = {}
    exec("\n".join(line[3:] for line in python.splitlines()), names)
    assert names["rows"].num_rows == 12 * 33
    (sql,) = re.findall(r'catalog-tagger query \. "(.*?)"', text)
    capsys.readouterr()
    assert main(["query", ".", sql, "--json"]) == 0 and len(json.loads(capsys.readouterr().out)) > 10


def test_licences_are_text_without_markup():
    from transforms.table.readme import readme

    snapshot = _snapshot_with_licences("msd: ISC", "own: `x`\n# <script>" + "y" * 300)
    lines = [line for line in readme(snapshot).splitlines() if line.startswith("  - ")]
    assert lines == ["  - `msd: ISC`", f"  - `{('own: ' + chr(39) + 'x' + chr(39) + ' # <script>' + 'y' * 300)[:200]}`"]


def _snapshot_with_licences(*licences):
    from tests.transforms.publishing.test_commit import IDS
    from transforms.table.snapshots import COUNTS, Run, Snapshot

    run = Run(
        run_id="run-1", parent=None, ids=IDS, counts=dict.fromkeys(COUNTS, 1), reasons={}, options={}, files=(),
        licences=licences,
    )  # fmt: skip
    return Snapshot(number=1, created="2026-01-31T00:00:00+00:00", run=run)


def test_licences_survive_the_record():
    snapshot = _snapshot_with_licences("msd: ISC")
    stored = json.loads(json.dumps(snapshot.to_json()))
    assert type(snapshot).from_json(stored) == snapshot
    del stored["licences"]
    assert type(snapshot).from_json(stored).run.licences == ()


def test_a_readme_that_cannot_be_written_does_not_stop_a_publication(moved, bundle, monkeypatch, caplog):
    write = storage.write_bytes

    def failing(url, data):
        if url.endswith("README.md"):
            raise storage.PermissionDenied(f"{url}: no")
        write(url, data)

    monkeypatch.setattr(commit.storage, "write_bytes", failing)
    with caplog.at_level(logging.WARNING, "transforms"):
        assert publish_table(moved, bundle, 6).number == 3
    assert [record.getMessage() for record in caplog.records] == [
        f"the README of the table cannot be written: {moved}/README.md: no"
    ]


def test_somebody_elses_readme_stays(moved, bundle):
    (moved / "README.md").write_text("# Ours\n")
    publish_table(moved, bundle, 6)
    assert (moved / "README.md").read_text() == "# Ours\n"


def test_polars_opens_a_table(published):
    pytest.importorskip("pyiceberg")
    path = (published / "iceberg/track_tags/metadata/v2.metadata.json").as_posix()
    rows = [polars.scan_iceberg(path, snapshot_id=number).collect().height for number in (1, 2)]
    assert rows == [6 * 33, 12 * 33]


def snippet(document, *words):
    """The one Python snippet of a page with these words."""
    found = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    (text,) = [text for text in found if all(word in text for word in words)]
    return text


@pytest.fixture
def on_gs(gcs, bundle):
    url = storage.join(gcs, "tables")
    publish_table(url, bundle, 6)
    publish_table(url, bundle, 12)
    return url


def test_pyiceberg_reads_a_table_on_gs(on_gs, gcs_server):
    access = {
        "gcs.service.host": gcs_server,
        "gcs.oauth2.token": "none",
        "gcs.oauth2.token-expires-at": "4102444800000",
    }
    assert differences(on_gs, ("tracks", "taxonomy"), **access) == []
    storage.delete(storage.join(on_gs, snapshot_path(1)))
    assert main(["iceberg", on_gs]) == 0
    hint = storage.read_bytes(storage.join(on_gs, "iceberg/tracks/metadata/version-hint.text"))
    fields = json.loads(
        storage.read_bytes(storage.join(on_gs, f"iceberg/tracks/metadata/v{hint.decode()}.metadata.json"))
    )
    assert [one["snapshot-id"] for one in fields["snapshots"]] == [2] and fields[
        "location"
    ] == f"{on_gs}/iceberg/tracks"


def test_the_snippet_of_the_projects_readme_works_on_gs(on_gs):
    names: dict = {}
    exec(snippet("README.md", "open_snapshot").replace('open_snapshot("tags")', f"open_snapshot({on_gs!r})"), names)
    assert names["frame"].shape == (12 * 33, 3)
