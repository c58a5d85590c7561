"""Ctrl-C and SIGTERM: one sentence, all child processes ended, exit 130 or 143, within five seconds."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from pipelines.terminal import signals
from tests.support.published import fake_bundle, publish_table
from tests.support.tiny import tiny_dataset
from tests.support.waiting import PATIENCE_S, wait_until
from transforms.telemetry import kept_work


def test_the_grace_leaves_time_to_end_within_five_seconds():
    """At most twice: once for the main thread, and once for the thread that says the sentence."""
    assert 0 < 2 * signals.GRACE_S < 5


def test_one_thread_says_the_last_sentence(monkeypatch):
    monkeypatch.setattr(signals, "_telling", threading.Lock())
    monkeypatch.setattr(signals, "GRACE_S", 0.0)
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(lambda _: signals.tells_the_end(), range(40))) == 1


@pytest.mark.parametrize(("number", "cause"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "ended by SIGTERM")])
def test_a_service_has_nothing_to_resume(monkeypatch, number, cause):
    monkeypatch.setattr(kept_work, "_serves", threading.Event())
    assert "run the same command again" in signals.sentence(number)
    kept_work.note_service()
    assert signals.sentence(number) == f"{cause}: the service has stopped"


def start(words, **options):
    command = [sys.executable, "-m", "pipelines.cli", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def below(pid: int) -> set[int]:
    """Ids of all processes below one."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, process):
    wait_until(lambda: condition() or process.poll() is not None, "the command is where it is to be ended")
    assert process.poll() is None, process.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed in /proc")
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        pytest.param(signal.SIGTERM, 143, "ended by SIGTERM", marks=pytest.mark.long),
    ],
)
def test_tag_is_ended_in_the_middle(world, tmp_path, number, code, word):
    rows, catalog, table = world.rows(), tmp_path / "catalog.parquet", tmp_path / "table"
    ids = [f"{track}-{turn}" for turn in range(4) for track in rows["track_id"].to_pylist()]
    many = pa.concat_tables([rows] * 4)  # enough chunks that the job is still running
    pq.write_table(many.set_column(many.column_names.index("track_id"), "track_id", [ids]), catalog)
    words = ["tag", "--catalog", str(catalog), "--catalog-root", str(world.folder), "--model", str(world.bundle)]
    process = start([*words, "--table", str(table), "--chunk-tracks", "2", "--max-reject-ratio", "0.9", "--quiet"])
    wait_for(lambda: len(list(table.glob("work/*/*.parquet"))) >= 2, process)
    children = below(process.pid)
    assert children
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert err == f"catalog-tagger: {word}; finished work is kept: run the same command again to resume\n"
    wait_until(lambda: not any(map(is_alive, children)), "all children have ended")
    assert not list(table.glob("snapshots/*"))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


KEPT = "finished work is kept: run the same command again to resume"
NOTHING_KEPT = "no work was finished that could be kept: run the same command again"


def check_ended(words: list[str], cpu: float, number: signal.Signals, *saids: str) -> None:
    """Ends a command once it has used so many seconds of processor time; it says one of the sentences."""
    process = start([*words, "--quiet"])
    wait_for(lambda: cpu_s(process.pid) >= cpu, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + number
    word = "interrupted" if number == signal.SIGINT else "ended by SIGTERM"
    assert err in {f"catalog-tagger: {word}; {said}\n" for said in saids}


ENDLESS = "SELECT count(*) FROM range(1000000000000) AS a WHERE hash(a.range) % 7 = 3"


@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from /proc")
def test_a_query_is_ended(tmp_path):
    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 6)
    check_ended(["query", str(tmp_path / "table"), ENDLESS], 3.0, signal.SIGINT, NOTHING_KEPT)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from /proc")
@pytest.mark.parametrize("cpu", [0.8, 2.0, 4.0, 6.0])
@pytest.mark.parametrize("command", ["train", "evaluate", "refit"])
def test_commands_of_models_are_ended_also_while_tensorflow_starts(tmp_path, command, cpu):
    dataset = tiny_dataset(tmp_path / "dataset", 90)
    bundle = str(tmp_path / "bundle")
    train = ["train", "--dataset", str(dataset), "--output", bundle]
    if command == "train":
        return check_ended([*train, "--epochs", "500", "--patience", "500"], cpu, signal.SIGTERM, KEPT, NOTHING_KEPT)
    if command == "refit":
        many = tmp_path / "many.csv"  # reading the labels takes long
        many.write_text("track_id,uri,tags\n" + "".join(f"t{n},{n}.mp3,mood/calm\n" for n in range(2_000_000)))
        publish_table(tmp_path / "table", fake_bundle(tmp_path / "fake"), 6)
        words = ["refit", "--table", str(tmp_path / "table"), "--model", str(tmp_path / "fake"), "--output", bundle]
        return check_ended([*words, "--catalog", str(many)], cpu, signal.SIGTERM, NOTHING_KEPT)
    assert main([*train, "--epochs", "1"]) == 0
    words = ["--model", bundle, "--dataset", str(dataset), "--output", str(tmp_path / "evaluation")]
    return check_ended(["evaluate", *words, "--resamples", "100000"], cpu, signal.SIGTERM, NOTHING_KEPT)


def test_a_command_that_does_not_react_is_ended(tmp_path):
    (tmp_path / "stuck.py").write_text(
        "import sys, time\n"
        "from pipelines.terminal.signals import end_on_signals\n"
        "end_on_signals()\n"
        "while True:\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(3600)\n"
        "    except KeyboardInterrupt:\n"
        "        time.sleep(3600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "stuck.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143
    assert err == f"catalog-tagger: ended by SIGTERM; {NOTHING_KEPT}\n"


def test_work_that_is_kept_is_told_where_there_is_some(monkeypatch):
    monkeypatch.setattr(kept_work, "_kept", threading.Event())
    assert signals.sentence(signal.SIGINT) == f"interrupted; {NOTHING_KEPT}"
    kept_work.note_kept_work()
    assert signals.sentence(signal.SIGTERM) == f"ended by SIGTERM; {KEPT}"
