"""A takedown: the tracks are in no file any more, and everything else is as it was."""

import json
import shutil
import types
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from tests.support.nightly import age, tag_nightly
from tests.transforms.maintenance.test_collection import names, parts_of
from transforms import storage
from transforms.formats.sealing import open_sealed
from transforms.maintenance import takedown
from transforms.maintenance.rewriting import _together
from transforms.publishing import receipts
from transforms.publishing.commit import read_run, write_run
from transforms.publishing.receipts import Receipt
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import Run, read_snapshot

V0_1 = Path(__file__).parents[2] / "compatibility" / "v0_1" / "table"
FIRST = {"a": "1", "b": "1", "bad-c": "1", "twin-1": "1", "twin-2": "1", "twin-3": "1"}
SECOND = {**FIRST, "b": "2", "e": "1"}
TABLES = ("tracks", "track_tags", "embeddings", "ledger", "taxonomy")


def purge(table, *words):
    return main(["purge", str(table), "--reader-grace", "0s", *words])


def cells(column: pa.ChunkedArray) -> set[str]:
    return {value for value in column.to_pylist() if isinstance(value, str)}


def texts_of(table: Path) -> set[str]:
    """Every text in every Parquet file below a folder: another program's way to look."""
    files = [pq.ParquetFile(path).read() for path in table.rglob("*.parquet")]
    return {text for rows in files for column in rows.columns for text in cells(column)}


def rows_of_snapshot(table, number):
    return {name: open_snapshot(str(table), number).scan(name) for name in TABLES}


@pytest.fixture(scope="module")
def nights(tmp_path_factory, bundle, next_bundle):
    """Two nights and a rollback to the first, with part files of another trunk."""
    table = tmp_path_factory.mktemp("nights") / "table"
    for catalog in (FIRST, SECOND):
        tag_nightly(str(table), catalog, bundle)
    assert main(["rollback", str(table), "1"]) == 0
    parts_of(table, SECOND, next_bundle)
    return table


@pytest.fixture
def table(nights, copied):
    return copied(nights, "table")


def test_the_tracks_are_in_no_file_and_all_else_is_unchanged(table, capsys):
    before = {number: rows_of_snapshot(table, number) for number in (1, 2, 3)}
    gone = {"a", "bad-c"}
    assert gone <= texts_of(table)
    assert purge(table, "--track-id", "a", "--track-id", "bad-c", "--apply") == 0
    assert not gone & texts_of(table)
    for number, tables in before.items():
        for name, rows in rows_of_snapshot(table, number).items():
            left = [row for row in tables[name].to_pylist() if row.get("track_id") not in gone]
            assert rows.to_pylist() == left
    capsys.readouterr()
    assert main(["verify", str(table), "--all"]) == 0, capsys.readouterr().out


def test_snapshots_keep_number_and_time_and_say_what_was_taken_out(table):
    before = {number: read_snapshot(str(table), number) for number in (1, 2, 3)}
    assert purge(table, "--track-id", "e", "--apply") == 0
    after = {number: read_snapshot(str(table), number) for number in (1, 2, 3)}
    assert after[1] == before[1] and after[3] == before[3]  # they never had it
    second, run = after[2], before[2].run
    assert (second.number, second.created) == (2, before[2].created)
    assert (second.run.run_id, second.run.parent) == (run.run_id, 1)
    assert second.run.purged["purge-000001"]["tracks"] == 1
    assert second.run.counts["catalog"] == run.counts["catalog"] - 1 == second.run.counted
    assert second.run.content_hash != run.content_hash


def test_the_content_is_that_of_a_catalog_without_the_tracks(table, tmp_path, bundle):
    """Also the originals of duplicates: `twin-1` was the smallest one."""
    assert purge(table, "--track-id", "twin-1", "--apply") == 0
    other = tmp_path / "other"
    plain, _ = tag_nightly(str(other), {track: one for track, one in FIRST.items() if track != "twin-1"}, bundle)
    assert read_snapshot(str(table), 1).run.content_hash == plain.run.content_hash
    ledger = open_snapshot(str(table)).scan("ledger", ["track_id", "duplicate_of"]).to_pylist()
    assert {row["track_id"]: row["duplicate_of"] for row in ledger if "twin" in row["track_id"]} == {
        "twin-2": None,
        "twin-3": "twin-2",
    }


def test_the_next_night_decodes_nothing_that_was_kept(table, bundle, next_bundle):
    assert purge(table, "--track-id", "a", "--apply") == 0
    left = {track: version for track, version in SECOND.items() if track != "a"}
    _, decoded = tag_nightly(str(table), left, bundle)
    assert decoded == set()  # also those that the rollback undid: their part files were written again
    assert tag_nightly(str(table), left, next_bundle)[1] == set()


def test_all_tracks_of_a_bucket_and_all_of_the_table(table, capsys):
    words = [word for track in SECOND for word in ("--track-id", track)]
    assert purge(table, *words, "--apply") == 0
    assert not texts_of(table) & SECOND.keys() and names(table, "work") == set()
    assert read_snapshot(str(table), 2).run.counts["catalog"] == 0
    capsys.readouterr()
    assert main(["verify", str(table), "--all"]) == 0, capsys.readouterr().out


def test_without_apply_nothing_changes(table, capsys):
    before = {path: path.stat().st_mtime_ns for path in table.rglob("*")}
    capsys.readouterr()
    assert purge(table, "--track-id", "a", "--track-id", "nobody", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["applied"], found["found"], found["snapshots"], found["receipt"]) == (False, 1, [1, 2, 3], None)
    assert (
        (found["found"], found["tracks"]) == (1, 2) and found["not_found"] == ["nobody"] and found["part_files"] == 2
    )  # one of each trunk
    # In each of two runs: tracks, embeddings, ledger and two tags.
    assert found["rows"] == 2 * 5 + 2
    assert before == {path: path.stat().st_mtime_ns for path in table.rglob("*")}


def test_the_receipt_proves_it_and_names_no_track(table, capsys):
    capsys.readouterr()
    assert purge(table, "--track-id", "e", "--apply", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    receipt = open_sealed((table / answer["receipt"]["receipt"]).read_bytes()).fields
    assert receipt["checked"]["found"] == 0 and receipt["checked"]["rows"] > 20
    assert [(one["number"], one["tracks"]) for one in receipt["snapshots"]] == [(2, 1)]
    assert set(receipt["data_files_removed"]) == receipt["snapshots"][0]["files"].keys()
    assert not any((table / path).exists() for path in receipt["data_files_removed"])
    assert all((table / path).exists() for path in receipt["snapshots"][0]["files"].values())
    logged = [open_sealed(path.read_bytes()).fields for path in sorted((table / "log").glob("purge-*"))]
    assert logged[0]["ids_sha256"] == ["3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea"]
    assert '"e"' not in json.dumps(logged)


def test_ids_from_a_file(table, tmp_path, capsys):
    (tmp_path / "ids.txt").write_bytes(b"\xef\xbb\xbfa\r\n\r\nb\r\n")
    assert purge(table, "--from", str(tmp_path / "ids.txt"), "--apply") == 0
    assert not {"a", "b"} & texts_of(table)
    (tmp_path / "latin.txt").write_bytes(b"\xe4")
    assert purge(table, "--from", str(tmp_path / "latin.txt")) == 2
    assert "not UTF-8" in capsys.readouterr().err
    assert purge(table) == 2 and "no track is named" in capsys.readouterr().err


def test_files_that_no_snapshot_lists(table, capsys):
    """A retired snapshot, a finished run that was not published, a damaged part file, a temporary file."""
    run = read_snapshot(str(table), 2).run
    blocked = Run(**{**run.__dict__, "run_id": "run-00000000000000bb", "parent": 3})
    copies = []
    for file in run.files:
        path = file.path.replace(run.run_id, blocked.run_id)
        (table / path).parent.mkdir(parents=True, exist_ok=True)
        (table / path).write_bytes((table / file.path).read_bytes())
        copies.append(type(file)(**{**file.__dict__, "path": path}))
    write_run(str(table), Run(**{**blocked.__dict__, "files": tuple(copies)}))
    launch = receipts.begin(str(table), 3)
    receipts.write(str(table), launch, Receipt(run_id=blocked.run_id))
    (part, *_) = sorted((table / "work").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-1])
    partial = table / "data" / ".partial-0123456789abcdef"
    partial.write_bytes(b"a")
    assert main(["gc", str(table), "--keep-last", "1", "--apply"]) == 0
    words = [word for track in SECOND for word in ("--track-id", track)]
    assert purge(table, *words, "--apply") == 0
    assert not texts_of(table) & SECOND.keys()
    assert not partial.exists() and not part.exists() and names(table, "launches") == set()
    assert not (table / "runs" / f"{blocked.run_id}.json").exists()
    with pytest.raises(storage.NotFound):
        read_run(str(table), blocked.run_id)
    assert main(["publish", str(table)]) == 1


def test_a_receipt_that_names_a_track_goes(table):
    for parent, problem in ((3, "row 7: track_id 'bad-c' occurs twice"), (3, "row 8: no uri")):
        launch = receipts.begin(str(table), parent)
        receipts.write(str(table), launch, Receipt(run_id=None, problem_count=1, problems=(problem,)))
    assert purge(table, "--track-id", "bad-c", "--apply") == 0
    assert [path.name for path in (table / "launches").glob("*.json")] == ["launch-0000000003-000002.json"]


def test_a_damaged_file_of_a_snapshot_is_not_passed_over(table, capsys):
    path = next(file.path for file in read_snapshot(str(table), 2).files("ledger"))
    ids = pq.read_metadata(table / path).row_group(0).column(0)
    data = bytearray((table / path).read_bytes())
    data[(ids.dictionary_page_offset or ids.data_page_offset) + ids.total_compressed_size // 2] ^= 255
    (table / path).write_bytes(data)
    before = names(table, "data", "work", "snapshots")
    assert purge(table, "--track-id", "a", "--apply") == 1
    assert "restore it from a copy" in capsys.readouterr().err
    assert names(table, "data", "work", "snapshots") == before


def test_readers_have_time_to_finish(table, monkeypatch):
    readers = [open_snapshot(str(table), number) for number in (1, 2, 3)]
    before = [{name: reader.scan(name) for name in TABLES} for reader in readers]
    waited = []

    def wait(seconds):
        waited.append(seconds)
        assert [{name: reader.scan(name) for name in TABLES} for reader in readers] == before
        assert "a" not in open_snapshot(str(table)).scan("ledger")["track_id"].to_pylist()

    monkeypatch.setattr(takedown, "_sleep", wait)
    found = takedown.find_tracks(str(table), frozenset({"a"}))

    class Lease:
        def check(self):
            pass

    takedown.Takedown(str(table), frozenset({"a"}), Lease(), 9.0, known=frozenset({"a"})).take_out(found)
    assert waited == [9.0]
    with pytest.raises(storage.NotFound):
        readers[0].scan("ledger")


def test_a_run_in_progress_is_not_touched(table, capsys):
    from transforms.maintenance.leases import held

    with held(str(table), "tag"):
        assert purge(table, "--track-id", "a", "--apply") == 4
    assert "tag (process" in capsys.readouterr().err and "a" in texts_of(table)


def test_a_rollback_to_a_purged_snapshot(table, capsys):
    assert purge(table, "--track-id", "b", "--apply") == 0
    assert main(["rollback", str(table), "2"]) == 0
    newest = open_snapshot(str(table))
    assert newest.manifest.number == 4 and "b" not in newest.scan("ledger")["track_id"].to_pylist()
    assert newest.manifest.run.purged["purge-000001"]["tracks"] == 1
    age(table, 30 * 86_400.0)
    assert main(["gc", str(table), "--keep-last", "1", "--apply"]) == 0
    capsys.readouterr()
    assert main(["verify", str(table), "--all"]) == 0, capsys.readouterr().out


def test_the_list_of_snapshots_shows_it(table, capsys):
    assert purge(table, "--track-id", "a", "--track-id", "b", "--apply") == 0
    capsys.readouterr()
    assert main(["snapshots", str(table)]) == 0
    shown = capsys.readouterr().out
    assert "snapshot 2: 2 tracks taken out by purge-000001" in shown
    assert "snapshot 3: rollback to 1; 2 tracks taken out by purge-000001" in shown


@pytest.mark.parametrize("rows", ["ledger", "embeddings"])
def test_a_table_of_version_0_1(tmp_path, capsys, rows):
    table = Path(shutil.copytree(V0_1, tmp_path / "table"))
    track = open_snapshot(str(table)).scan(rows, ["track_id"])["track_id"][0].as_py()
    assert purge(table, "--track-id", track, "--apply") == 0
    assert track not in texts_of(table)
    age(table, 30 * 86_400.0)
    assert main(["gc", str(table), "--keep-last", "1", "--apply"]) == 0
    capsys.readouterr()
    assert main(["verify", str(table), "--all"]) == 0, capsys.readouterr().out


def test_on_cloud_storage(gcs, bundle, capsys):
    root = storage.join(gcs, "table")
    for catalog in (FIRST, SECOND):
        tag_nightly(root, catalog, bundle)
    assert purge(root, "--track-id", "a", "--track-id", "twin-1", "--apply") == 0
    assert purge(root, "--track-id", "a", "--track-id", "twin-1", "--json") == 0
    assert json.loads(capsys.readouterr().out.partition("\n{")[2].join(("{", "")))["rows"] == 0
    assert main(["verify", root, "--all"]) == 0


def test_a_list_of_tracks_is_bounded_and_its_lines_are_plain(table, tmp_path, capsys):
    listed = tmp_path / "ids.txt"
    with listed.open("wb") as file:
        file.truncate(1 << 40)
    assert purge(table, "--from", str(listed)) == 2 and "at most" in capsys.readouterr().err
    listed.write_bytes(b"a\n" + b"x" * 2000 + b"\n")
    assert purge(table, "--from", str(listed)) == 2 and "line 2: more than 1024 characters" in capsys.readouterr().err
    listed.write_text("odd\u2028name\r\na\r\n", encoding="utf-8", newline="")
    assert purge(table, "--from", str(listed), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["tracks"], found["found"], found["not_found"]) == (2, 1, ["odd\u2028name"])


def kept_files(table: Path) -> set[str]:
    """The files that are neither logs nor leases."""
    paths = {str(path.relative_to(table)) for path in table.rglob("*") if path.is_file()}
    return {path for path in paths if not path.startswith(("log/", "leases/"))}


@pytest.mark.parametrize("apply", [[], ["--apply"]])
def test_tracks_that_are_nowhere_are_named(table, capsys, apply):
    before = kept_files(table)
    capsys.readouterr()
    assert purge(table, "--track-id", "nobody", *apply) == 1
    said = capsys.readouterr().out
    assert said == f"the track is in no file of {table}: nothing was taken out\nin no file: nobody\n"
    assert kept_files(table) == before
    assert purge(table, "--track-id", "nobody", "--track-id", "no one", "--json", *apply) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["found"], found["not_found"], found["taken_out_before"]) == (0, ["no one", "nobody"], [])


def test_some_tracks_are_found_and_the_others_named(table, capsys):
    words = ["--track-id", "e", "--track-id", "nobody"]
    capsys.readouterr()
    assert purge(table, *words) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 of 2 tracks was found; nothing was changed: give --apply to take it out\n")
    assert said.endswith("in no file: nobody\n")
    assert purge(table, *words, "--apply") == 0
    said = capsys.readouterr().out
    assert said.startswith("1 of 2 tracks was taken out; none is left in ") and "in no file: nobody\nreceipt: " in said
    assert purge(table, "--track-id", "e", "--apply") == 0, "as after a takedown that was stopped at its end"
    said = capsys.readouterr().out
    assert said.startswith("the track is in no file of ") and "taken out by an earlier purge: e\n" in said


def test_neighbours_are_written_again_beside_a_bucket_with_levels():
    """Numbers of groups of neighbours are those of buckets, too: both are 0 in a small table."""

    def file(table, order, merged):
        return types.SimpleNamespace(path=f"{table}-{order}", table=table, bucket=0, order=order, merged=merged)

    files = [file("tracks", 0, True), file("tracks", 1, True), file("ledger", 0, True), file("track_deletes", 1, True)]
    run = types.SimpleNamespace(files=[*files, file("neighbours", 0, False)])
    paths = frozenset(one.path for one in run.files)
    own = [[one.path for one in group] for group in _together(run, paths)]
    assert [group for group in own if group] == [["tracks-0", "tracks-1"], ["ledger-0"], ["neighbours-0"]]
