"""The command line: quick help, clear refusals, exit codes."""

import csv
import importlib.metadata
import io
import json
import logging
import os
import re
import shlex
import subprocess
import sys

import pytest

from pipelines.cli import COMMANDS, main
from tests.support.processes import imported_by
from tests.support.world import tag
from transforms.telemetry.phases import announce


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_names_every_command() -> None:
    shown = _run("from pipelines.cli import main; main(['--help'])")
    assert all(re.search(rf"^  {name}\s", shown, re.M) for name in COMMANDS)
    assert "Exit codes: 0 done" in shown


@pytest.mark.parametrize("words", [["--help"], ["tag", "--help"], ["--version"], ["import", "csv", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    heavy = {"apache_beam", "tensorflow", "librosa", "pyarrow", "numpy", "duckdb", "google.cloud.storage", "rich"}
    assert not imported_by(f"from pipelines.cli import main; main({words})") & heavy


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"catalog-tagger {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["tga"], ["unknown command 'tga'", "did you mean tag?"]),
        (["tag", "--modle", "x"], ["--modle", "did you mean --model?"]),
        (["tag", "--runer=FlinkRunner"], ["--runer", "did you mean --runner?"]),
        (["tag", "--catalog", "c"], ["missing --model, --table"]),
        (["query", "table", "SELECT 1", "--fromat", "csv"], ["--fromat", "did you mean --format?"]),
        (["describe", "table", "--runner=FlinkRunner"], ["unknown flag --runner"]),
        (["import", "folder", "music", "--outptu", "c"], ["--outptu", "did you mean --output?"]),
        (["import", "folder", "music"], ["missing --output"]),
        (["import", "foldr", "music"], ["unknown command 'foldr'", "did you mean folder?"]),
        (["tag", "--max-reject-ratio", "much"], ["--max-reject-ratio", "much"]),
        ([], ["COMMAND"]),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_right(argv: list[str], words: list[str], capsys) -> None:
    assert main(argv) == 2
    shown = capsys.readouterr()
    assert all(word in shown.err for word in words) and len(shown.err.splitlines()) == 1 and not shown.out


OLD = {
    "train --heads-only --table t --model=m --output 'my new'": "refit --table t --model=m --output 'my new'",
    "train --dataset d --submit vertex --gpus 2": "submit train --to vertex --dataset d --gpus 2",
    "train --submit=kubernetes --dry-run": "submit train --to kubernetes --dry-run",
    "train --heads-only --submit vertex --table t": "submit refit --to vertex --table t",
    "import musicnn --package w.whl --output models": "import-model musicnn --package w.whl --output models",
    "import trunk --onnx a.onnx": "import-model onnx --onnx a.onnx",
}


@pytest.mark.parametrize("old", OLD)
def test_an_old_spelling_is_answered_with_the_new_one(old: str, capsys) -> None:
    assert main(shlex.split(old)) == 2
    assert capsys.readouterr().err == f"catalog-tagger: this is now: catalog-tagger {OLD[old]}\n"


def test_version(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"catalog-tagger, version {importlib.metadata.version('catalog-tagger')}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_for_this_program(shell: str, capsys) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_CATALOG_TAGGER_COMPLETE" in script and "catalog-tagger" in script


def test_completion_completes(tmp_path) -> None:
    words = {"COMP_WORDS": "catalog-tagger ta", "COMP_CWORD": "1", "_CATALOG_TAGGER_COMPLETE": "bash_complete"}
    code = "from pipelines.cli import program; program(prog_name='catalog-tagger')"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **words}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["plain,taxonomy", "plain,tag"]


@pytest.fixture
def levels():
    before = {name: logging.getLogger(name).level for name in ("", "transforms")}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize(
    ("flags", "root", "own"),
    [
        ([], logging.ERROR, logging.WARNING),
        (["--quiet"], logging.CRITICAL, logging.ERROR),
        (["--verbose"], logging.INFO, logging.INFO),
        (["--log-level", "debug"], logging.DEBUG, logging.DEBUG),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_how_much_is_logged(flags, root, own, before, levels, capsys) -> None:
    words = ["describe", "no such table"]
    assert main([*flags, *words] if before else [*words, *flags]) == 1
    assert (logging.getLogger().level, logging.getLogger("transforms").level) == (root, own)
    capsys.readouterr()
    announce("said to whoever listens")
    assert ("said to whoever listens" in capsys.readouterr().err) == (flags != ["--quiet"])


def test_answers_in_three_formats(world, tmp_path, capsys) -> None:
    table = tmp_path / "table"
    tag(world, table)
    printed = {}
    for form in ("table", "csv", "json"):
        capsys.readouterr()
        assert main(["describe", str(table), "--format", form]) == 0
        printed[form] = capsys.readouterr().out
    assert main(["describe", str(table), "--json"]) == 0
    assert capsys.readouterr().out == printed["json"]
    document = json.loads(printed["json"])
    (row,) = csv.DictReader(io.StringIO(printed["csv"]))
    content_hash = document["snapshots"][0]["content_hash"]
    assert row["content_hash"] == content_hash and content_hash in printed["table"]


def test_tag_answers_with_one_document(world, tmp_path, capsys) -> None:
    capsys.readouterr()
    tag(world, tmp_path / "table", "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["counts"]["catalog"] == world.rows().num_rows and document["snapshot"] == 1


def test_a_bug_is_one_line_and_a_file(monkeypatch, tmp_path, capsys) -> None:
    def broken(*args):
        raise ZeroDivisionError("a bug\nin two lines")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("pipelines.reading.describe.run", broken)
    assert main(["describe", "table"]) == 1
    (log,) = tmp_path.glob("catalog-tagger-*.log")
    assert capsys.readouterr().err == (
        f"catalog-tagger: internal error: ZeroDivisionError: a bug in two lines; the traceback is in {log}: "
        "please report it\n"
    )
    assert "in broken" in log.read_text()


def test_debug_prints_the_traceback(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for words in (["describe", str(tmp_path / "none")], ["verify", str(tmp_path / "none")]):
        assert main([*words, "--debug"]) > 0
        printed = capsys.readouterr().err
        assert printed.startswith("Traceback") and printed.splitlines()[-1].startswith("catalog-tagger: ")
        assert main(words) > 0
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert not list(tmp_path.glob("*.log"))
