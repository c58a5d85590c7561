"""Output that cannot be written ends in one line; output in any encoding has every character, escaped if need be."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.support.published import fake_bundle, publish_table
from tests.support.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("table")
    publish_table(root / "table", fake_bundle(root / "bundle"), 12)
    return str(root / "table")


def run(words, stdout=subprocess.PIPE, **environment):
    command = [sys.executable, "-m", "pipelines.cli", *words]
    env = {**os.environ, **environment}
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=env, timeout=PATIENCE_S)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    "words",
    [
        ["query", "TABLE", "FROM track_tags"],
        ["query", "TABLE", "FROM ledger", "--json"],
        ["describe", "TABLE"],
        ["tag", "--help"],
    ],
    ids=lambda words: words[0],
)
def test_a_full_output_is_one_line(table, words):
    with Path("/dev/full").open("w") as full:
        done = run([table if word == "TABLE" else word for word in words], full)
    assert done.returncode == 1
    assert done.stderr == "catalog-tagger: standard output cannot be written: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_command_that_made_something_has_done_it(tmp_path):
    with Path("/dev/full").open("w") as full:
        words = ["synthesize", "--output", str(tmp_path / "new"), "--tracks", "1", "--duration", "1"]
        done = run(words, full)
    assert done.returncode == 0 and "everything else is done" in done.stderr
    assert (tmp_path / "new" / "catalog.parquet").exists()


@pytest.mark.parametrize(
    "words",
    [["query", "TABLE", "FROM track_tags"], ["query", "TABLE", "FROM track_tags", "--json"], ["describe", "TABLE"]],
)
def test_a_reader_that_left_ends_a_command_silently(table, words):
    """As with `| head`: with the exit code of a program that SIGPIPE ended."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run([table if word == "TABLE" else word for word in words], writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_reader_that_left_does_not_undo_what_was_made(table, tmp_path, monkeypatch):
    class Left(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Left())
    monkeypatch.setattr("pipelines.terminal.standard_output._discard_output", lambda: None)
    assert main(["query", table, "SELECT 1 AS a", "--output", str(tmp_path / "a.csv")]) == 0
    assert (tmp_path / "a.csv").read_text() == "a\n1\n"
    assert main(["export", table, "--wide", "--output", str(tmp_path / "b.parquet")]) == 0
    for words in (["--help"], ["--version"], ["snapshots", table], ["tag", "--help"], ["verify", table]):
        assert main(words) == 141, words


def test_a_closed_output_is_one_line(table):
    shell = f'exec "{sys.executable}" -m pipelines.cli query "{table}" "SELECT 1" >&-'
    done = subprocess.run(["sh", "-c", shell], stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1 and done.stderr == "catalog-tagger: standard output cannot be written: it is closed\n"


@pytest.mark.parametrize("closed", ["2>&-", pytest.param("<&- 2>&-", marks=pytest.mark.long)])
def test_without_stderr_a_command_ends_as_ever(table, closed):
    """No other file gets the number of a closed stream, so nothing writes into it."""
    words = f'"{sys.executable}" -m pipelines.cli'
    shell = f'{words} query "{table}" "SELECT 1 AS x" --json {closed} && exec {words} query "{table}" "SELECT" {closed}'
    done = subprocess.run(["sh", "-c", shell], stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert json.loads(done.stdout) == [{"x": 1}] and done.returncode == 2


def test_no_memory_and_no_place_for_a_traceback_are_told_in_a_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("pipelines.cli.program.main", lambda *_, **__: bytes(1 << 62))
    assert main(["describe", "x"]) == 1
    assert capsys.readouterr().err == (
        "catalog-tagger: memory is exhausted: give this process more, or raise `ulimit -v`\n"
    )
    monkeypatch.setattr("pipelines.cli.program.main", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("tempfile.gettempdir", lambda: (tmp_path / "missing").read_text())
    assert main(["describe", "x"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_every_encoding_has_every_character(table, encoding):
    sql, forms = "SELECT 'snow ' || chr(9731) || chr(128512) AS x", ("table", "csv", "json")
    code = (
        "import sys; from pipelines.cli import main\n"
        "for form in sys.argv[3:]: main(['query', *sys.argv[1:3], '--format', form]); print('\f', end='')"
    )
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code, table, sql, *forms], stdout=subprocess.PIPE, text=True, env=env)
    printed = dict(zip(forms, done.stdout.split("\f"), strict=False))
    text = "snow \u2603\U0001f600" if encoding == "utf-8" else "snow \\u2603\\U0001f600"
    assert text in printed["table"] and text in printed["csv"]
    assert json.loads(printed["json"]) == [{"x": "snow \u2603\U0001f600"}]
