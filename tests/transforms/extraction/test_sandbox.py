"""The sandbox: a file that harms its decoder costs itself only."""

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.support.poison import FORGERIES, HEAVY
from tests.support.synth import SPEC, encode, music_file, sine
from tests.support.waiting import PATIENCE_S, wait_until
from transforms.audio.errors import Empty, MemoryLimit, TrackError
from transforms.audio.limits import MIB, Limits
from transforms.extraction.child_process import SandboxError, warn_once
from transforms.extraction.sandbox import Sandbox, shared_sandbox
from transforms.features.extract import extract

LIMITS = Limits(tracks_per_child=50)
IMPATIENT = Limits(wall_s=3.0, tracks_per_child=50)
"""For pills that only the clock ends."""

SLOW = (b"endless loop", b"busy loop")
POISON = "tests.support.poison:extract"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(SPEC, LIMITS, children=2) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def poisoned():
    with Sandbox(SPEC, LIMITS, children=2, extractor=POISON) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def impatient():
    with Sandbox(SPEC, IMPATIENT, children=2, extractor=POISON) as sandbox:
        yield sandbox


def reason_of(future):
    error = future.exception()
    assert error is None or isinstance(error, TrackError), error
    return error.reason if error else "tagged"


def test_features_are_those_of_the_function(sandbox):
    data = music_file("mp3", 8.0)
    got, expected = sandbox.submit(data).result(), extract(data, SPEC, LIMITS)
    assert (got.patches == expected.patches).all() and got.patches.dtype == np.float16
    assert (got.starts_s == expected.starts_s).all() and got.facts == expected.facts


def test_the_cost_is_told(sandbox):
    cost = sandbox.submit(music_file("mp3", 8.0)).result().cost
    assert cost.decode_ms > 0 and 0 <= cost.features_ms < 1e3 * PATIENCE_S and 20e6 < cost.peak_bytes < 300e6
    assert 1_000 < cost.core_us < 5_000_000


def test_errors_are_those_of_the_function(sandbox):
    with pytest.raises(Empty, match="0 bytes"):
        sandbox.submit(b"").result()


def test_several_threads_share_one_sandbox(sandbox):
    files = [encode(sine(0.3, hz=100.0 * (i + 1))) for i in range(8)]
    expected = [extract(data, SPEC, LIMITS).patches for data in files]
    wrong = []

    def work():
        futures = [sandbox.submit(data) for data in files]
        got = [future.result().patches for future in futures]
        wrong.extend(i for i, (a, b) in enumerate(zip(got, expected, strict=True)) if not (a == b).all())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_child_is_replaced_after_its_number_of_tracks():
    with Sandbox(SPEC, Limits(tracks_per_child=2), 1, extractor="tests.support.poison:process_id") as sandbox:
        ids = [sandbox.submit(b"x").exception().detail for _ in range(5)]
    assert ids[0] == ids[1] != ids[2] == ids[3] != ids[4]


REASONS = {
    b"segfault": "crash",
    b"abort": "crash",
    b"sigkill": "unavailable",
    b"exit": "crash",
    b"endless loop": "timeout",
    b"8 GB": "memory_limit",
    b"native 8 GB": "memory_limit",
    b"descriptor leak": "resource_limit",
    b"left open": "resource_limit",
    b"fork bomb": "resource_limit",
    b"writes": "resource_limit",
    b"surprise": "unknown",
    b"nonsense": "crash",
    b"nonsense without end": "crash",
    b"nonsense of another kind": "crash",
    b"no shape": "crash",
    b"no such reason": "crash",
    b"socket": "resource_limit",
    b"program": "resource_limit",
}


@pytest.mark.parametrize("pill", REASONS, ids=bytes.decode)
def test_a_poison_pill_is_one_reject_with_its_reason(poisoned, impatient, pill):
    sandbox = impatient if pill in SLOW else poisoned
    good = [sandbox.submit(b"good") for _ in range(3)]
    bad = sandbox.submit(pill)
    good += [sandbox.submit(b"good") for _ in range(3)]
    assert [reason_of(future) for future in good] == ["tagged"] * 6
    assert reason_of(bad) == REASONS[pill]


def test_what_a_child_does_to_itself_is_a_crash_and_no_fault_of_the_machine(poisoned):
    assert poisoned.submit(b"abort").exception().detail == "ended by SIGABRT"
    assert poisoned.submit(b"kill itself").exception().detail == "Operation not permitted"


@pytest.mark.parametrize("pill", [b"surprise", b"busy reject", b"busy crash", b"busy loop"], ids=bytes.decode)
def test_the_processor_time_of_a_reject_is_told(poisoned, impatient, pill):
    """The clock ends the endless loop, which has little of the processor on a busy machine."""
    spent_us = (impatient if pill in SLOW else poisoned).submit(pill).exception().core_us
    much_us = 10_000 if pill == b"busy loop" else 100_000
    assert (spent_us > much_us) == (pill != b"surprise") and 0 <= spent_us < 2 * IMPATIENT.wall_s * 1e6


def test_a_second_try_tells_the_time_of_both():
    with Sandbox(SPEC, LIMITS, 1, extractor=POISON) as sandbox:
        sandbox.submit(b"good").result()
        twice = sandbox.submit(b"busy crash").exception().core_us
        once = sandbox.submit(b"busy crash").exception().core_us
    assert twice > 1.5 * once > 150_000


@pytest.mark.parametrize(
    ("before", "after"), [(b"keep 1 GB", b"need 1 GB"), (b"keep 1 GB", b"abort if anything is left")]
)
def test_what_a_track_leaves_behind_costs_no_later_one(before, after):
    with Sandbox(SPEC, Limits(), 1, extractor=POISON) as sandbox:
        assert [reason_of(sandbox.submit(pill)) for pill in (before, after, b"good")] == ["tagged"] * 3


def test_a_file_that_a_child_has_no_room_for_is_a_memory_limit():
    with Sandbox(SPEC, Limits(address_space_bytes=480 * MIB), 1) as sandbox:
        reasons = [reason_of(sandbox.submit(bytes(size * MIB))) for size in (180, 180, 360)]
    assert reasons == ["unknown_format", "unknown_format", "memory_limit"]


def test_an_error_that_is_no_fault_of_the_track_is_told_and_the_sandbox_goes_on(monkeypatch):
    with Sandbox(SPEC, LIMITS, 1, extractor=POISON) as sandbox:
        with monkeypatch.context() as patch:
            patch.setattr("transforms.extraction.child_process.parse_answer", lambda *answer: 1 / 0)
            assert isinstance(sandbox.submit(b"good").exception(), ZeroDivisionError)
        assert reason_of(sandbox.submit(b"good")) == "tagged"


def test_a_machine_may_allow_less_than_the_limits():
    code = """if True:
        import resource
        for kind, most in ((resource.RLIMIT_CPU, 60), (resource.RLIMIT_NOFILE, 50)):
            resource.setrlimit(kind, (most, most))
        from tests.support.synth import SPEC
        from transforms.audio.limits import MIB, Limits
        from transforms.extraction.sandbox import Sandbox
        with Sandbox(SPEC, Limits(), 1, extractor="tests.support.poison:extract") as sandbox:
            print(len(sandbox.submit(b"good").result().patches))
    """
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=path)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_processor_time_is_bounded():
    with Sandbox(SPEC, Limits(cpu_s=1), 1, extractor=POISON) as sandbox:
        assert sandbox.submit(b"busy loop").exception().detail == "more than 1 s of processor time"


def test_an_unexpected_error_is_told_in_words(poisoned):
    assert "ZeroDivisionError" in poisoned.submit(b"surprise").exception().detail


def test_the_address_space_is_bounded(poisoned):
    with pytest.raises(MemoryLimit, match=f"{LIMITS.address_space_bytes} bytes"):
        poisoned.submit(b"8 GB").result()


def test_children_see_no_credentials(monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/secret.json")
    with Sandbox(SPEC, LIMITS, 1, extractor=POISON) as sandbox:
        error = sandbox.submit(b"environment").exception()
    assert "PYTHONPATH" in error.detail and "GOOGLE" not in error.detail and "HOME" not in error.detail


def test_a_file_named_like_a_standard_module_does_not_reach_the_children(monkeypatch, tmp_path):
    (tmp_path / "types.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    with Sandbox(SPEC, LIMITS, 1, extractor=POISON) as sandbox:
        assert reason_of(sandbox.submit(b"good")) == "tagged"


def test_where_the_kernel_cannot_confine_children_the_first_says_so(caplog):
    warn_once("no such library")
    warn_once("no such library")
    assert [record.message for record in caplog.records] == [
        "weak sandbox: decoders could open files, start programs and connect to other machines: no such library"
    ]


SOME = ("a fraction of 7", "more patches than planned", "the answer to another request", "a detail of a megabyte")
"""`test_answers.py` gives every one of them to what reads answers."""


@pytest.mark.parametrize(
    "forgery", [name if name in SOME else pytest.param(name, marks=pytest.mark.long) for name in FORGERIES]
)
def test_an_answer_that_cannot_be_true_is_a_crash(poisoned, forgery):
    bad, good = poisoned.submit(forgery.encode()), poisoned.submit(b"good")
    assert (reason_of(bad), reason_of(good)) == ("crash", "tagged")
    assert len(bad.exception().detail) < 3000


def test_a_second_answer_is_not_the_next_track_s():
    with Sandbox(SPEC, LIMITS, 1, extractor=POISON) as sandbox:
        pills = [b"good", b"two answers", b"good", b"good"] * 2
        assert [reason_of(sandbox.submit(pill)) for pill in pills] == ["tagged", "silent", "tagged", "tagged"] * 2


def test_last_words_are_printable(poisoned):
    detail = poisoned.submit(b"last words").exception().detail
    assert detail.startswith("\\x1b]0;title") and detail.isprintable()


def test_children_import_neither_librosa_nor_beam(poisoned):
    modules = poisoned.submit(b"modules").exception().detail.split()
    assert "soundfile" in modules
    assert not set(HEAVY) & set(modules)


def test_no_process_is_left_after_the_end(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    with Sandbox(SPEC, LIMITS, 2, extractor=POISON) as sandbox:
        for future in [sandbox.submit(pill) for pill in (b"fork bomb", b"segfault", b"good", b"fork bomb")]:
            future.exception()
        assert processes_with(tmp_path)
    wait_until(lambda: not processes_with(tmp_path), "no process is left")


def processes_with(path):
    """Other processes that have this folder in their environment: children inherit it with the module path."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if bytes(path) in file.read_bytes():
                found.append(file)
    return found


def test_a_child_that_cannot_start_is_no_fault_of_the_track():
    with Sandbox(SPEC, LIMITS, 1, extractor="tests.support.poison:nothing") as sandbox:
        error = sandbox.submit(b"x").exception()
    assert isinstance(error, SandboxError) and "nothing" in str(error)


def test_a_closed_sandbox_refuses_work():
    sandbox = Sandbox(SPEC, LIMITS, 1)
    sandbox.close()
    with pytest.raises(SandboxError, match="closed"):
        sandbox.submit(b"x")


def test_one_sandbox_is_shared_in_a_process():
    assert shared_sandbox(SPEC, LIMITS, 1) is shared_sandbox(SPEC, LIMITS, 1)


def test_no_children_are_refused():
    with pytest.raises(ValueError, match="children=0"):
        Sandbox(SPEC, LIMITS, 0)
