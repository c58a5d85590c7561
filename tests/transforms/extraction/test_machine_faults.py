"""A child that the machine ends costs no track: its track is tried in fresh children, the last time alone."""

import contextlib
import itertools
import os
import random
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.processes import decoding_children
from tests.support.synth import SPEC, encode, sine
from tests.support.waiting import wait_until
from transforms.audio.errors import Crash, MachineFault, NoAudio, SourceUnavailable, TrackError
from transforms.audio.limits import Limits
from transforms.extraction import slots as slots_module
from transforms.extraction.child_process import ChildLost, ChildNotStarted, ChildProcess, SandboxError
from transforms.extraction.kill_history import KILLED, RUNS_TO_CRASH, last_run, with_history
from transforms.extraction.sandbox import Sandbox, _Pool, _Seat
from transforms.extraction.slots import Losses, Slots
from transforms.features.extract import extract

POISON = "tests.support.poison:extract"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses before starts, not slept through."""
    made: list[float] = []
    monkeypatch.setattr(slots_module, "_sleep", made.append)
    return made


class _Script:
    """Children that do what a script says, one word a try; `start` and `own` are starts that fail."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words, self.done, self.alone = list(words), [], []
        self.slots, self.losses = Slots(), Losses()
        self.seat = _Seat(_Pool(self._start, self.slots, self.losses, children=2))

    def _start(self) -> "_Script":
        if self.words[0] in ("start", "own"):
            self._next()
            raise ChildNotStarted("not started: as told", by_itself=self.done[-1] == "own")
        self.tracks_left = 10
        return self

    def _next(self) -> str:
        self.alone.append(self.slots._is_one_alone)
        self.done.append(self.words.pop(0))
        return self.done[-1]

    def extract(self, data: bytes, *, measured: bool) -> SimpleNamespace:
        word = self._next()
        errors = {"killed": ChildLost("SIGKILL"), "crash": Crash("SIGSEGV"), "reject": NoAudio("none")}
        if word in errors:
            self.tracks_left = 10 if word == "reject" else 0
            raise errors[word]
        return SimpleNamespace(also_took=lambda spent_us: "features")

    def is_spent(self) -> bool:
        return self.tracks_left <= 0

    def close(self) -> None:
        pass

    def outcome(self) -> str:
        try:
            self.seat.extract(b"", measured=True)
        except (TrackError, SandboxError) as error:
            return getattr(error, "reason", "end")
        return "tagged"


def _expected(words: tuple[str, ...], *, is_used: bool) -> tuple[str, int]:
    """The outcome and the number of tries, told by the rule and not by the code."""
    lost = 0
    for tries, word in enumerate(words, 1):
        if word in ("ok", "reject"):
            return ("tagged" if word == "ok" else "no_audio"), tries
        if word == "crash" and not (is_used and tries == 1):
            return "crash", tries
        lost += word != "crash"
        if lost == 3:
            return ("end" if word == "own" and not is_used else "unavailable"), tries
    raise AssertionError(words)


@pytest.mark.parametrize("is_used", [False, True])
def test_whatever_happens_to_children_a_track_is_lost_by_its_own_fault_only(is_used: bool) -> None:
    for words in itertools.product(("start", "own", "killed", "crash", "reject", "ok"), repeat=4):
        if is_used and words[0] in ("start", "own"):
            continue  # its child runs already
        script = _Script((*["ok"] * is_used, *words, "ok"))
        if is_used:
            assert script.outcome() == "tagged"
        expected, tries = _expected((*words, "ok"), is_used=is_used)
        assert (script.outcome(), len(script.done) - is_used) == (expected, tries), words
        lost = [word in ("start", "own", "killed") for word in script.done]
        alone = [sum(lost[:number]) == 2 for number in range(len(lost))]
        assert script.alone == alone, f"{script.done}: a track is alone at its third try, and only then"
        assert script.slots._taken == 0 and not script.slots._is_one_alone


def test_the_pauses_grow_while_children_are_lost_and_end_with_an_answer(pauses: list[float]) -> None:
    script = _Script(("start",) * 12 + ("reject", "killed", "ok", "ok"))
    assert [script.outcome() for _ in range(4)] == ["unavailable"] * 4
    assert pauses == sorted(pauses) and pauses[0] == 0.1 and pauses[-1] == 2.0 and len(pauses) == 11
    pauses.clear()
    assert [script.outcome() for _ in range(3)] == ["no_audio", "tagged", "tagged"]
    assert pauses == [2.0, 0.1], "a start after many losses, and one after a single one"


def test_a_machine_that_lets_no_child_live_ends_the_job_with_what_to_do() -> None:
    script = _Script(("killed",) * 400)
    outcomes = [script.outcome() for _ in range(100)]
    assert outcomes == ["unavailable"] * 99 + ["end"]
    with pytest.raises(SandboxError, match=r"300 decoding processes in a row, the last: SIGKILL; give it more memory"):
        raise script.seat._given_up([ChildLost("SIGKILL")], 0)


def test_an_installation_that_cannot_start_children_is_told_after_three_tries() -> None:
    script = _Script(("own", "own", "own"))
    assert script.outcome() == "end" and len(script.done) == 3
    script = _Script(("ok", "killed", "own", "own", "ok"))
    assert [script.outcome() for _ in range(3)] == ["tagged", "unavailable", "tagged"], "children start here"


def test_nobody_decodes_beside_a_track_that_is_alone() -> None:
    slots, inside, wrong = Slots(), [], []
    pick = random.Random(1)
    turns = [[pick.random() < 0.2 for _ in range(60)] for _ in range(6)]

    def work(mine: list[bool]) -> None:
        for is_alone in mine:
            with slots.all() if is_alone else slots.one():
                inside.append(is_alone)
                time.sleep(0.0002)
                if len(inside) > 1 and any(inside):
                    wrong.append(list(inside))
                inside.remove(is_alone)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in turns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and not inside and not any(thread.is_alive() for thread in threads)


# Real children


def _kill(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _signalled(sandbox: Sandbox, number: int) -> TrackError | None:
    """What becomes of a track whose every child gets this signal while it sleeps."""
    future = sandbox.submit(b"endless loop")
    while not future.done():
        for child in decoding_children():
            _kill(child, number)
        time.sleep(0.05)
    error = future.exception()
    assert error is None or isinstance(error, TrackError), error
    return error


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGRTMIN + 5])
def test_a_signal_from_outside_is_no_crash(number: int) -> None:
    """Children that get it while they start count, too."""
    with Sandbox(SPEC, Limits(wall_s=30), 1, extractor=POISON) as sandbox:
        error = _signalled(sandbox, number)
        assert sandbox.submit(b"good").exception() is None
    assert isinstance(error, MachineFault) and error.reason == "unavailable" and len(error.tries) == 3
    name = "SIGKILL" if number == signal.SIGKILL else f"signal {number}"
    assert all(one in (name, f"not started: {name}") for one in error.tries), error.tries


def test_a_child_that_is_killed_while_it_starts_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    greet, starts = ChildProcess._greet, []

    def killed_at_first(self: ChildProcess, *args: object) -> None:
        starts.append(self._process.pid)
        if len(starts) <= 2:
            _kill(self._process.pid, signal.SIGKILL)
        greet(self, *args)

    monkeypatch.setattr(ChildProcess, "_greet", killed_at_first)
    with Sandbox(SPEC, Limits(), 1, extractor=POISON) as sandbox:
        assert sandbox.submit(b"good").exception() is None
    assert len(starts) == 3


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("call", ["subprocess.Popen", "os.pipe", "tempfile.TemporaryFile"])
def test_a_child_that_the_system_refuses_to_start_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = _open_files()
    with monkeypatch.context() as patch:
        patch.setattr(f"transforms.extraction.child_process.{call}", refuse)
        with Sandbox(SPEC, Limits(), 1, extractor=POISON) as sandbox:
            error = sandbox.submit(b"good").exception()
    assert isinstance(error, MachineFault) and not error.was_killed
    assert error.tries == ("not started: [Errno 11] Resource temporarily unavailable",) * 3
    wait_until(lambda: _open_files() <= before, "nothing is left open")


def _survives_kills(count: int, pause_s: float, tracks: int) -> None:
    """Kills children at random while tracks are extracted; all tracks have their own features."""
    files = [encode(sine(0.3, hz=100.0 * (i + 1))) for i in range(8)]
    expected = [extract(data, SPEC, Limits()).patches for data in files]
    stop, killed, pick = threading.Event(), [], random.Random(3)

    def kill() -> None:
        while len(killed) < count and not stop.wait(pause_s * pick.random() * 2):
            if children := decoding_children():
                killed.append(pick.choice(children))
                _kill(killed[-1], signal.SIGKILL)

    with Sandbox(SPEC, Limits(), 2) as sandbox:
        killer = threading.Thread(target=kill)
        killer.start()
        wrong = []
        for first in itertools.count(0, 40):
            if first >= tracks and killed:
                break
            futures = [sandbox.submit(files[number % 8]) for number in range(first, first + 40)]
            errors = [future.exception() for future in futures]
            assert not [error for error in errors if error and not isinstance(error, SourceUnavailable)], errors
            wrong += [error for error in errors if error]
            for number, future in enumerate(futures):
                if future.exception() is None:
                    assert (future.result().patches == expected[(first + number) % 8]).all()
        stop.set()
        killer.join()
    assert killed and len(wrong) <= count // 3, "a track is lost only if all of its three children were killed"


def test_kills_at_random_are_no_track_s_fault() -> None:
    _survives_kills(4, 0.5, 400)


@pytest.mark.long
def test_many_kills_at_random_are_no_track_s_fault() -> None:
    _survives_kills(300, 0.7, 40_000)


# What is told to later runs


def _fault(was_killed: bool = True) -> MachineFault:
    tries = ("SIGKILL", "SIGKILL", "SIGKILL" if was_killed else "not started: fork (Errno 11)\n")
    return MachineFault("x", tries, was_killed=was_killed)


def test_killed_in_three_runs_is_a_crash_with_its_history() -> None:
    details, reasons = [""], []
    for _ in range(4):
        error = with_history(_fault(), details[-1])
        details.append(error.detail)
        reasons.append(error.reason)
    assert reasons == ["unavailable", "unavailable", "crash", "crash"]
    assert details[3] == KILLED + "; ".join(f"run {n} killed (SIGKILL, SIGKILL, SIGKILL)" for n in (1, 2, 3))
    assert with_history(_fault(), "").stage == "decode"


def test_a_run_without_a_process_says_nothing_about_the_track() -> None:
    for runs in itertools.product((True, False), repeat=5):
        detail, kills = "", 0
        for was_killed in runs:
            error = with_history(_fault(was_killed), detail)
            kills += was_killed
            assert (error.reason == "crash") == (was_killed and kills >= RUNS_TO_CRASH), runs
            detail = error.detail
        assert last_run(detail) == 5 and "\n" not in detail


@pytest.mark.parametrize("earlier", ["", "403 Forbidden", KILLED, KILLED + "run x", "run 1 killed (SIGKILL)"])
def test_a_detail_without_a_history_begins_one(earlier: str) -> None:
    assert with_history(_fault(), earlier).detail == KILLED + "run 1 killed (SIGKILL, SIGKILL, SIGKILL)"


def test_a_history_does_not_grow_for_ever() -> None:
    detail = ""
    for _ in range(50):
        detail = with_history(_fault(was_killed=False), detail).detail
    assert last_run(detail) == 50 and len(detail) < 2000
