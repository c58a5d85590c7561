"""A decoder that its file has taken over: everything that it tries beyond decoding is refused."""

import os
import platform
import re
import sys

import pytest

from tests.support.attempts import ATTEMPTS, SYSCALLS
from tests.support.own_attempts import OWN_ATTEMPTS
from tests.support.synth import SPEC
from transforms.audio.limits import Limits
from transforms.extraction.child_process import SandboxError
from transforms.extraction.confinement import IN_FORCE, SECCOMP, is_weak
from transforms.extraction.sandbox import Sandbox
from transforms.extraction.seccomp import ALLOWED_CALLS, load_libseccomp

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or isinstance(load_libseccomp(), str), reason="the kernel or libseccomp has no allow-list"
)
BY_NUMBER = {
    *(f"system call {name}" for name in SYSCALLS),
    *("swap off", "log to the kernel", "kill its thread by another call"),
}
REFUSALS = {"PermissionError", "OSError", "RuntimeError", "ModuleNotFoundError", "ValueError", "itimer_error"}
"""EPERM as it is; threads that cannot start, limits that cannot be raised and modules that cannot be read by others."""


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(SPEC, Limits(), 1, extractor="tests.support.attempts:tried") as sandbox:
        yield sandbox


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "published.parquet"
    path.write_bytes(b"PAR1")
    tmp_path.chmod(0o777)
    path.chmod(0o666)
    return path


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_is_refused(sandbox, published, attempt):
    if attempt in BY_NUMBER and platform.machine() != "x86_64":
        pytest.skip("numbers of system calls are those of x86-64")
    argument = str(os.getpid()) if "sibling" in attempt or "another" in attempt else str(published)
    assert sandbox.submit(f"{attempt}\n{argument}".encode()).exception().detail in REFUSALS
    assert published.read_bytes() == b"PAR1" and [path.name for path in published.parent.iterdir()] == [published.name]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are those of x86-64")
def test_no_attempt_of_another_author_succeeds(published):
    """Calls by another table, such as those of i386, end the child."""
    with Sandbox(SPEC, Limits(), 1, extractor="tests.support.own_attempts:tried") as sandbox:
        asked = {name: sandbox.submit(f"{name}\n{published}".encode()) for name in OWN_ATTEMPTS}
        told = {name: str(future.exception()) for name, future in asked.items()}
    refused = re.compile(r"(Permission|OS|Runtime|ModuleNotFound)Error|itimer_error|ended by SIGSYS")
    assert {name: text for name, text in told.items() if not refused.match(text)} == {}
    assert len(told) > 130 and published.read_bytes() == b"PAR1" and len(list(published.parent.iterdir())) == 1


def test_more_attempts_than_a_reviewer_made():
    assert len(ATTEMPTS) > 41


def test_what_is_in_force_is_known():
    with Sandbox(SPEC, Limits(), 1) as sandbox:
        sandbox.submit(b"").exception()
        measures = sandbox.confinement()
    assert measures[SECCOMP] == IN_FORCE and measures["not dumpable"] == IN_FORCE and not is_weak(measures)


def test_without_seccomp_nothing_is_decoded_unless_that_is_allowed(monkeypatch, tmp_path):
    (tmp_path / "pyseccomp.py").write_text("raise OSError('no libseccomp.so')")
    monkeypatch.syspath_prepend(tmp_path)
    with Sandbox(SPEC, Limits(), 1) as sandbox:
        error = sandbox.submit(b"").exception()
    assert isinstance(error, SandboxError) and "--allow-weak-sandbox" in str(error) and "no libseccomp.so" in str(error)
    with Sandbox(SPEC, Limits(allow_weak_sandbox=True), 1) as sandbox:
        assert sandbox.submit(b"").exception().reason == "empty" and is_weak(sandbox.confinement())


def test_each_call_of_the_list_has_a_reason():
    names = [call.name for call in ALLOWED_CALLS]
    assert len(set(names)) == len(names) and all(call.reason for call in ALLOWED_CALLS)
    assert not {"open", "openat", "socket", "execve", "fork", "clone", "prctl", "ioctl", "dup"} & set(names)
