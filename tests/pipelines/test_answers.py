"""Every command that answers: stdout holds one JSON document and nothing else, or CSV that the csv module reads."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import COMMANDS, main
from tests.support.processes import imported_by
from tests.support.world import World, make_world

NO_ANSWER = {"submit", "import-model", "completion", "serve"}
"""Tested where their inputs are: `tests/pipelines/launch`, `tests/models/trunks`, `test_cli.py`."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world for all steps, each of which needs what those before have made."""
    return make_world(tmp_path_factory.mktemp("answers") / "world", tracks=24)


def steps(world: World) -> dict[str, tuple[list[str], set[str]]]:
    """Command -> its words, and names that its document must have."""
    labels = ["--catalog", str(world.catalog), "--taxonomy", str(world.folder / "taxonomy.yaml")]
    evaluated = ["--table", str(world.folder / "table"), "--catalog", str(world.catalog)]
    made = {name: str(world.folder / name) for name in ("table", "dataset", "new", "trained", "labels", "evaluation")}
    root = ["--catalog-root", str(world.folder), "--max-reject-ratio", "0.9"]
    tagging = ["--catalog", str(world.catalog), "--model", str(world.bundle), "--table", made["table"], *root]
    catalog = str(world.folder / "imported.parquet")
    return {
        "synthesize": (["--output", str(world.folder / "more"), "--tracks", "2", "--duration", "1"], {"rows"}),
        "import": (
            ["folder", str(world.folder / "audio"), "--output", catalog, "--max-lost-ratio", "1"],
            {"catalog", "tracks", "problems"},
        ),
        "labels": ([*labels, "--output", made["labels"]], {"tracks", "artists", "categories"}),
        "split": ([*labels, "--output", str(world.folder / "split.parquet")], {"tracks", "mean_deviation"}),
        "prepare": ([*labels, "--output", made["dataset"], *root], {"dataset", "counts", "splits", "feature_id"}),
        "train": (
            ["--dataset", made["dataset"], "--output", made["trained"], "--trunk", "statistics"],
            {"bundle", "tagger_id", "metrics"},
        ),
        "tag": (tagging, {"table", "snapshot", "content_hash", "counts"}),
        "publish": ([made["table"]], {"table", "snapshot", "run_id"}),
        "snapshots": ([made["table"]], {"table", "bytes", "snapshots"}),
        "diff": ([made["table"], "1", "2"], {"before", "after", "tracks", "categories", "tags"}),
        "rollback": ([made["table"], "1"], {"snapshot", "rolled_back_to", "content_hash"}),
        "status": ([made["table"]], {"table", "snapshot", "last_launch", "disk", "leases", "overdue"}),
        "gc": ([made["table"], "--keep-last", "1"], {"table", "applied", "retained", "retired", "removed"}),
        "purge": (
            [made["table"], "--track-id", world.rows()["track_id"][0].as_py()],
            {"table", "applied", "tracks", "found", "receipt"},
        ),
        "iceberg": ([made["table"]], {"table", "snapshots", "left_out", "folders"}),
        "taxonomy": (["diff", made["dataset"], made["table"]], {"before", "after", "sentences"}),
        "describe": ([made["table"]], {"table", "snapshots"}),
        "verify": ([made["table"]], {"snapshot", "files", "rows", "problems"}),
        "doctor": ([made["table"]], {"failed", "checks"}),
        "sql": ([made["table"], "--engine", "duckdb"], {"engine", "statements"}),
        "query": ([made["table"], "SELECT count(*) AS tracks FROM tracks"], {"tracks"}),
        "export": (
            [made["table"], "--wide", "--output", str(world.folder / "wide.parquet")],
            {"output", "rows", "tags", "renamed"},
        ),
        "neighbours": ([made["table"], "--neighbours", "3"], {"table", "snapshot"}),
        "similar": ([made["table"], "track-0001"], {"table", "snapshot", "indexed", "tracks", "notes"}),
        "search": ([made["table"], "calm flute", "--tag", "genre/techno=-1"], {"tracks", "filters", "unmatched"}),
        "playlist": (
            [made["table"], "calm", "--seed", "track-0001", "--output", str(world.folder / "calm.m3u8")],
            {"tracks", "minutes", "left_out", "output"},
        ),
        "mix": ([made["table"], "--style", "folk=60", "--style", "funk=40"], {"tracks", "shares", "lacking"}),
        "path": ([made["table"], "track-0001", "track-0010"], {"similarity", "steps"}),
        "recommend": ([made["table"], "--artist", "artist-001", "--of", "tracks"], {"given", "of", "tracks"}),
        "profile": ([made["table"], str(_history(world))], {"moods", "styles", "valence", "sentences", "unknown"}),
        "refit": (
            ["--table", made["table"], "--model", str(world.bundle), "--output", made["new"], *labels],
            {"bundle", "tagger_id", "metrics"},
        ),
        "evaluate": (
            ["--model", str(world.bundle), *evaluated, "--output", made["evaluation"], "--resamples", "0"],
            {"averages", "report"},
        ),
    }


def _history(world: World) -> Path:
    """A listening history of all tracks."""
    path = world.folder / "history.csv"
    path.write_text("track_id\n" + "\n".join(world.rows()["track_id"].to_pylist()) + "\n")
    return path


def run(name: str, words: list[str], capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """What a command writes to stdout."""
    capsys.readouterr()
    assert main([name, *words, *flags]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


@pytest.mark.usefixtures("undrawn")
def test_documents(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    todo = steps(world)
    assert set(todo) | NO_ANSWER == set(COMMANDS)
    for name, (words, names) in todo.items():
        if name == "publish":  # a launch of the same catalog that was not waited for
            tagging, _ = todo["tag"]
            assert json.loads(run("tag", [*tagging, "--no-wait", "--retry-rejects"], capsys, "--json"))["launched"]
        document: Any = json.loads(run(name, words, capsys, "--json"))
        (row,) = document if name == "query" else [document]
        assert names <= set(row), name
    _same_as_csv(todo, capsys)
    assert Path(world.folder / "trained" / "bundle.json").exists()


def _same_as_csv(todo: dict[str, tuple[list[str], set[str]]], capsys: pytest.CaptureFixture[str]) -> None:
    """CSV of the commands that may be asked twice."""
    for name in ("describe", "snapshots", "sql", "query", "prepare"):
        words, _ = todo[name]
        rows = list(csv.DictReader(io.StringIO(run(name, words, capsys, "--format", "csv"))))
        assert rows and None not in rows[0] and all(rows[0]), name


def test_a_plain_answer_needs_no_rich(tmp_path: Path) -> None:
    words = ["describe", str(tmp_path)]
    assert "rich" not in imported_by(f"from pipelines.cli import main; assert main({words}) == 1")
