"""What a command writes to stderr about its phases: to a file, as JSON, to a terminal, and nothing with --quiet."""

import fcntl
import io
import json
import logging
import os
import re
import select
import struct
import termios
import threading

import pytest

from pipelines.cli import main
from pipelines.terminal import progress
from pipelines.terminal.errors import print_error, print_problems
from pipelines.terminal.log_lines import LogForm
from pipelines.terminal.progress import PhaseBars, PhaseLines, progress_facts
from pipelines.terminal.visible import bounded
from tests.support.waiting import PATIENCE_S
from transforms.telemetry.phases import announce, listen, passing, phase


@pytest.fixture
def lines():
    """The lines of `PhaseLines`, with their values."""
    written: list[tuple[str, dict]] = []
    listen(PhaseLines(lambda text, facts: written.append((text, dict(facts)))))
    yield written
    listen(None)


def test_a_phase_has_a_line_at_its_start_and_at_its_end(lines) -> None:
    with phase("extracting", total=1200, unit="tracks", further=lambda: {"rejected": 3}) as current:
        current.add(1200)
    with phase("checking the catalog"):
        pass
    assert [text for text, _ in lines][::2] == ["extracting: 1,200 tracks", "checking the catalog"]
    assert re.fullmatch(r"extracting: done: 1,200 tracks in 0\.\d s, [\d.e+]+ per s, 3 rejected", lines[1][0])
    assert lines[1][1].items() >= {"state": "done", "done": 1200, "total": 1200, "rejected": 3}.items()
    assert len(lines) == 3


def test_a_phase_that_fails_has_no_last_line(lines) -> None:
    with pytest.raises(ValueError), phase("extracting", total=2, unit="tracks"):
        raise ValueError
    assert [text for text, _ in lines] == ["extracting: 2 tracks"]


@pytest.mark.parametrize(
    ("done", "total", "unit", "elapsed", "expected"),
    [
        (0, 5000, "tracks", 30, "extracting: 0 of 5,000 tracks (0 %), 2 rejected"),
        (1200, 5000, "tracks", 30, "extracting: 1,200 of 5,000 tracks (24 %), 40 per s, 1 min 35 s left, 2 rejected"),
        (1200, None, "tracks", 60, "extracting: 1,200 tracks, 20 per s, 2 rejected"),
        (0, None, "", 90, "extracting: for 1 min 30 s, 2 rejected"),
    ],
)
def test_lines_between_have_done_total_rate_remaining_time_and_rejects(
    lines, done, total, unit, elapsed, expected
) -> None:
    with phase("extracting", total=total, unit=unit, further=lambda: {"rejected": 2}) as current:
        current.add(done)
        PhaseLines(lambda text, facts: lines.append((text, dict(facts)))).report(
            current, current.started + elapsed, "running"
        )
    assert lines[1][0] == expected
    if done and total:
        assert progress_facts(current, current.started + elapsed)["remaining_s"] == round(
            elapsed * (total - done) / done
        )


def test_a_phase_whose_units_are_all_done_names_its_last_step_and_no_remaining_time(lines) -> None:
    with phase("extracting", total=4, unit="tracks", last_step="embedding and writing") as current:
        current.add(3)
        before = progress_facts(current, current.started + 30)
        current.add(1)
        after = progress_facts(current, current.started + 40)
        PhaseLines(lambda text, facts: lines.append((text, dict(facts)))).report(
            current, current.started + 40, "running"
        )
    assert before["remaining_s"] == 10 and "step" not in before
    assert after["step"] == "embedding and writing" and "remaining_s" not in after
    assert lines[1][0] == "extracting: 4 of 4 tracks (100 %), 0.1 per s, now embedding and writing"
    assert lines[2][0].startswith("extracting: done: 4 tracks in ") and "now" not in lines[2][0]


def test_the_remaining_time_is_that_of_the_units_which_cost_work(lines) -> None:
    """Of 100 tracks 80 are done, 60 of which took no time: the other 20 took 40 s, and so will those that are left."""
    with phase("extracting", total=100, unit="tracks", count=lambda: 80, remaining=lambda: (20, 20)) as current:
        assert progress_facts(current, current.started + 40)["remaining_s"] == 40


def test_a_line_is_written_after_each_interval_about_the_innermost_phase() -> None:
    written: list[str] = []
    twice = threading.Event()

    def write(text: str, facts: dict) -> None:
        written.append(text)
        if sum(text.startswith("inner: for") for text in written) == 2:
            twice.set()

    listen(PhaseLines(write, interval_s=0.01))
    with phase("outer"), phase("inner"):
        assert twice.wait(20)
    listen(None)
    assert written[:2] == ["outer", "inner"] and not any(text.startswith("outer: for") for text in written)


def test_items_pass_unchanged_and_are_counted(lines) -> None:
    assert list(passing("abc", "reading", unit="rows", total=3)) == ["a", "b", "c"]
    assert lines[-1][0].startswith("reading: done: 3 rows")


def test_without_a_listener_nothing_happens(capsys) -> None:
    listen(None)
    with phase("extracting", total=1, unit="tracks"):
        announce("said")
    shown = capsys.readouterr()
    assert shown.out == shown.err == ""


def test_bars_are_shown_on_a_terminal(monkeypatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "BAR_S", 0.001)
    listen(PhaseBars())
    with phase("extracting", total=10, unit="tracks", further=lambda: {"rejected": 4}) as current:
        current.add(7)
        announce("epoch 1")
        for _ in range(2000):
            if "7/10" in screen.getvalue() and "rejected=4" in screen.getvalue():
                break
            threading.Event().wait(0.01)
    listen(None)
    assert "7/10" in screen.getvalue() and "rejected=4" in screen.getvalue() and "epoch 1\n" in screen.getvalue()


def test_bars_are_shown_on_a_terminal_without_a_size(monkeypatch) -> None:
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    monkeypatch.setattr(progress, "BAR_S", 0.05)
    seen = b""
    with open(follower, "w") as screen:  # noqa: PTH123 - of a descriptor
        monkeypatch.setattr("sys.stderr", screen)
        listen(PhaseBars())
        with phase("extracting", total=10, unit="tracks", last_step="embedding") as current:
            current.add(10)
            while b"10/10" not in seen or b"now embedding" not in seen:
                assert select.select([leader], [], [], PATIENCE_S)[0], seen
                seen += os.read(leader, 4096)
        listen(None)
    assert b"extracting: 100%" in seen


@pytest.mark.parametrize("flags", [["--log-format", "json"], ["--log-format=json", "--verbose"]])
def test_with_json_every_line_of_stderr_is_one_object(flags, capsys, tmp_path) -> None:
    assert main(["verify", str(tmp_path / "no table"), *flags]) == 1
    announce("resumed at step 7", resumed_at_step=7)
    print_problems(["row 3: empty uri"])
    logging.getLogger("pipelines.x").warning("a \x1b title\nof two lines")
    printed = capsys.readouterr().err.splitlines()
    records = [json.loads(line) for line in printed]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["time"]) for record in records)
    assert [record["level"] for record in records if record["level"] != "warning"] == ["error", "info"]
    assert records[1]["resumed_at_step"] == 7 and records[2]["message"] == "row 3: empty uri"
    assert main(["verify", str(tmp_path / "no table")]) == 1  # the next command starts with text again
    assert capsys.readouterr().err.startswith("catalog-tagger: ") and not LogForm.json


def test_quiet_leaves_errors(capsys, tmp_path) -> None:
    assert main(["verify", str(tmp_path / "no table"), "--quiet"]) == 1
    announce("said")
    assert capsys.readouterr().err.count("\n") == 1


def test_long_paths_and_lines_are_shortened(capsys) -> None:
    print_error(f"/{'a' * 5000}/catalog.parquet: no such file")
    shown = capsys.readouterr().err
    assert len(shown) < 500 and shown.startswith("catalog-tagger: /aaa") and "characters left out" in shown
    assert shown.endswith("/catalog.parquet: no such file\n")
    short, lines = "x" * 399, "\n".join(["word " * 300] * 50)
    assert bounded(short) == short and bounded(lines) == lines
    assert len(bounded("word " * 3000)) <= 2000 and bounded(bounded("b" * 9999)) == bounded("b" * 9999)
