"""Reasons of a refused run with examples, the tables of such a run, and the last lines of `tag`."""

import json
import shlex
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.cli import main
from pipelines.reports.rejects import MOST_EXAMPLES, reject_lines
from pipelines.terminal.errors import REFUSED
from tests.support.world import World, tag_code
from transforms.audio.errors import REASONS


def batch(rows: list[tuple[str, str | None, str | None]]) -> pa.RecordBatch:
    names = ["track_id", "reason", "detail"]
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    table = table.append_column("uri", pa.array([f"audio/{row[0]}" for row in rows]))
    return table.combine_chunks().to_batches()[0]


def test_each_reason_has_its_count_and_ten_examples_at_most() -> None:
    read = []

    def rows():
        for number in range(9):
            read.append(number)
            reject = (f"t{number}-{i}" for i in range(5))
            yield batch([(name, "not_found", "no such file" if i else None) for i, name in enumerate(reject)])

    lines = list(reject_lines({"empty": 0, "not_found": 45}, rows()))
    assert lines[0] == "not_found: 45 tracks, for example" and lines[-1] == "empty: 0 tracks"
    assert len(lines) == 2 + MOST_EXAMPLES and lines[2] == "  t0-1, audio/t0-1, no such file"
    assert read == [0, 1]  # reading ends with the last example that is needed


def test_long_examples_are_shortened() -> None:
    (_, line) = reject_lines({"empty": 1}, [batch([("t" * 5000, "empty", "d" * 5000), ("u", None, None)])])
    assert len(line) < 600 and "..." in line


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves a refused run, which the others query and publish."""
    return tmp_path_factory.mktemp("tables") / "a table"


def run_id(table: Path) -> str:
    (manifest,) = (table / "runs").iterdir()
    return manifest.stem


def test_a_refused_run_prints_its_reasons_and_can_be_queried(world: World, table: Path, capsys) -> None:
    assert tag_code(world, table, "--max-reject-ratio", "0.01") == REFUSED
    message = capsys.readouterr().err
    counts = json.loads((table / "runs" / f"{run_id(table)}.json").read_text())["reasons"]
    assert counts and counts.keys() <= set(REASONS)
    assert all(f"\n{reason}: {count} track" in message for reason, count in counts.items())
    (told,) = [line for line in message.splitlines() if line.startswith("all of them: ")]
    words = shlex.split(told.removeprefix("all of them: catalog-tagger "))
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == sum(counts.values())
    assert all(f"  {row['track_id']}, {row['uri']}" in message for row in rows)


@pytest.mark.parametrize(
    ("flags", "code", "word"),
    [
        (["--run", "run-x"], 1, "no finished run 'run-x'; finished and not published: run-"),
        (["--run", "../run-x"], 1, "no run can have this id"),
        (["--run", "run-x", "--snapshot", "1"], 2, "--run excludes --snapshot and --as-of"),
    ],
)
def test_wrong_runs_are_one_line(table: Path, capsys, flags, code, word) -> None:
    assert main(["query", str(table), *flags, "SELECT 1"]) == code
    assert word in (message := capsys.readouterr().err) and message.count("\n") == 1


def test_a_run_has_all_tables_of_a_snapshot(table: Path, capsys) -> None:
    sql = (
        "SELECT (SELECT count(*) FROM ledger) AS ledger, (SELECT count(*) FROM tracks) AS tracks, "
        "(SELECT count(DISTINCT tag) FROM track_tags) AS tags, (SELECT count(*) FROM taxonomy) AS taxonomy, "
        "(SELECT count(*) FROM previous_ledger) AS previous"
    )
    assert main(["query", str(table), "--run", run_id(table), sql, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    counts = json.loads((table / "runs" / f"{run_id(table)}.json").read_text())["counts"]
    assert (found["ledger"], found["tracks"], found["previous"]) == (counts["catalog"], counts["tagged"], 0)
    assert found["tags"] == found["taxonomy"]


def test_the_last_lines_of_tag(world: World, table: Path, capsys) -> None:
    assert tag_code(world, table) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"snapshot 1 of {table}: catalog ") and lines[1].startswith("planned: ")
    assert [line.partition(":")[0] for line in lines[-3:]] == ["manifest", "report", "next"]
    (rejected,) = [line for line in lines if line.startswith("rejected: ")]
    assert tag_code(world, table, "--retry-rejects", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["snapshot"] == 2 and sum(found["reasons"].values()) == found["counts"]["rejected"]
    reasons = dict(part.rsplit(" ", 1) for part in rejected.removeprefix("rejected: ").split(", "))
    assert {name: int(count) for name, count in reasons.items()} == found["reasons"]
    assert found["tracks_per_s"] == pytest.approx(found["counts"]["catalog"] / found["duration_s"], rel=0.2)
    assert found["extracted"] == found["counts"]["rejected"] and found["core_seconds"] >= 0
    assert found["core_seconds_per_extracted"] == pytest.approx(found["core_seconds"] / found["extracted"], abs=0.01)
    assert json.loads(Path(found["manifest"]).read_text())["run_id"] == found["run_id"]
    assert found["run_id"] in Path(found["report"]).read_text()
    assert main(shlex.split(found["next"].removeprefix("catalog-tagger "))) == 0
