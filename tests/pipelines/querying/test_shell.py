"""The interactive shell in a pseudo-terminal: completion, history, Ctrl-C, Ctrl-D."""

import contextlib
import os
import pty
import select
import stat
import subprocess
import sys
import time

import pytest

from pipelines.cli import main
from pipelines.querying.completions import is_complete, words_of
from tests.support.published import fake_bundle, publish_table
from tests.support.waiting import PATIENCE_S
from transforms.table.reader import open_snapshot

PROMPT = "catalog> "
MORE = "    ...> "


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    bundle = fake_bundle(root / "bundle")
    publish_table(root / "table", bundle, 6)
    publish_table(root / "table", bundle, 12)
    return str(root / "table")


# The process gets the pseudo-terminal as its controlling terminal, so that Ctrl-C in it is a signal.
START = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, '-m', 'pipelines.cli', 'query', *sys.argv[1:]])"
)


class Terminal:
    """A shell in a pseudo-terminal."""

    def __init__(self, words, state):
        self.fd, end = pty.openpty()
        environment = {**os.environ, "XDG_STATE_HOME": str(state), "TERM": "dumb", "INPUTRC": "/dev/null"}
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), end)
        command = [sys.executable, "-c", START, *words]
        self.process = subprocess.Popen(command, start_new_session=True, env=environment, **streams)
        os.close(end)
        self.shown = ""

    def wait_for(self, text, seconds=PATIENCE_S):
        """Reads until a text appears; returns what came before it."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            self.read(0.1)
        before, _, self.shown = self.shown.partition(text)
        return before

    def type(self, text):
        os.write(self.fd, text.encode())

    def ask(self, text):
        self.type(f"{text}\n")
        return self.wait_for(PROMPT)

    def interrupt(self, text):
        """Presses Ctrl-C until a text appears: the moment before Python's line editor waits for a key loses one."""
        for _ in range(20):
            self.type("\x03")
            since = time.monotonic()
            while text not in self.shown and time.monotonic() < since + 3:
                self.read(0.1)
            if text in self.shown:
                break
        self.wait_for(text)
        while self.read(0.5):  # what a second press brought
            self.shown = ""

    def read(self, seconds):
        """Adds what appears within a time to what is shown; returns it."""
        text = os.read(self.fd, 65_536).decode() if select.select([self.fd], [], [], seconds)[0] else ""
        self.shown += text
        return text

    def end(self):
        """Reads what is left; returns the exit code."""
        with contextlib.suppress(OSError):
            while os.read(self.fd, 65_536):
                pass
        os.close(self.fd)
        return self.process.wait(PATIENCE_S)


def test_a_session(table, tmp_path):
    terminal = Terminal([table], tmp_path)
    terminal.wait_for(PROMPT)
    assert "(13 rows)" in terminal.ask("SHOW TABLES;")
    terminal.type("SELECT count(*) AS n\n")
    terminal.wait_for(MORE)
    assert "12" in terminal.ask("FROM tracks; -- all")
    assert "mood/calm" in terminal.ask("SELECT DISTINCT tag FROM track_tags WHERE tag = 'mood/cal\t;")
    assert "syntax error" in terminal.ask("SELEC 1;")
    assert "read-only" in terminal.ask("DROP VIEW tracks;")
    assert "(1 row)" in terminal.ask("SELECT count(*) FROM snapshot_1_tracks;")

    terminal.type("SELECT count(*) FROM range(1000000000000) AS t(i) WHERE hash(i) % 3 = 5;\n")
    terminal.wait_for("5;")
    time.sleep(0.5)
    terminal.interrupt("cancelled")
    terminal.type("SELECT half a line")
    terminal.wait_for("half a line")
    terminal.interrupt(PROMPT)
    assert "Ctrl-D, exit" in terminal.ask(".help")
    assert "8" in terminal.ask("SELECT 8 AS n;")
    terminal.type("\x04")
    assert terminal.end() == 0

    history = tmp_path / "catalog-tagger" / "query_history"
    lines = history.read_text().splitlines()
    assert lines[:2] == ["SHOW TABLES;", "SELECT count(*) AS n"] and "SELECT half a line" not in lines
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_the_history_is_there_the_next_time_and_exit_leaves(table, tmp_path):
    (tmp_path / "catalog-tagger").mkdir()
    (tmp_path / "catalog-tagger" / "query_history").write_text("SELECT 40 + 2 AS n;\n")
    terminal = Terminal([table, "--format", "csv"], tmp_path)
    terminal.wait_for(PROMPT)
    terminal.type("\x1b[A\n")
    assert "42" in terminal.wait_for(PROMPT)
    terminal.type("exit\n")
    assert terminal.end() == 0


def test_sql_from_a_pipe_and_none_at_all(table, monkeypatch, capsys):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 7 AS n"))
    assert main(["query", table, "--format", "csv"]) == 0
    assert capsys.readouterr().out == "n\n7\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(" \n"))
    assert main(["query", table]) == 2
    assert "no SQL: give it after TABLE, or on standard input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("SELECT track_i", ["track_id"]),
        ("sel", ["SELECT"]),
        ("SELECT t.dura", ["duration_s"]),
        ("FROM previous_tr", ["previous_track_tags", "previous_tracks"]),
        ("FROM snapshot_1_led", ["snapshot_1_ledger"]),
        ("WHERE tag = 'mood/cal", ["mood/calm"]),
        ("WHERE tag IN ('mood/calm', 'mood/war", ["mood/warm"]),
        ("WHERE title = 'it''s mood/cal", []),
        ("WHERE tag = 'mood/calm' AND bp", ["bpm"]),
    ],
)
def test_completion(table, line, found):
    begin = max(line.rfind(mark) for mark in " .'") + 1
    assert words_of(open_snapshot(table)).completions(line, begin, len(line)) == found


@pytest.mark.parametrize(
    ("sql", "ended"),
    [
        ("SELECT 1;", True),
        ("SELECT 1", False),
        ("SELECT ';'", False),
        ("SELECT 'a\n;", False),
        ("SELECT 'it''s';", True),
        ("SELECT 1; -- end", True),
        ("SELECT 1 -- end;", False),
        ("SELECT /* ; */ 1", False),
    ],
)
def test_statements_end_with_a_semicolon(sql, ended):
    assert is_complete(sql) == ended
