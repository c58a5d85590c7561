"""A job that was killed on this machine holds up nothing; every doubt leaves its lease to expire."""

import logging
import os
import subprocess
import sys
import time

import pytest

from transforms.maintenance import process_life
from transforms.maintenance.leases import Busy, HeldLease, all_leases, held
from transforms.maintenance.process_life import is_gone, process_facts
from transforms.table.versions import open_table

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process began")


@pytest.fixture
def ended():
    """The facts of a process that has ended."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        facts = process_facts(process.pid)
        assert not is_gone(facts)
        process.kill()
    return facts


def test_a_process_that_has_ended_is_gone(ended):
    assert is_gone(ended) and not is_gone(process_facts(os.getpid()))


def test_another_process_with_its_number_is_not_it(ended):
    assert is_gone({**ended, "pid": os.getpid()}) and not is_gone(process_facts(os.getpid()))


@pytest.mark.parametrize("name", ["host", "boot", "pid_namespace"])
def test_a_process_of_another_place_is_never_gone(ended, name):
    assert not is_gone({**ended, name: "another"}) and not is_gone({k: v for k, v in ended.items() if k != name})


def test_without_the_time_of_its_start_nothing_is_known(ended):
    assert not is_gone({**ended, "pid": None}) and not is_gone({k: v for k, v in ended.items() if k != "ticks"})


def test_a_process_whose_exit_status_nobody_has_asked_for_is_gone():
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        facts = process_facts(process.pid)
        os.kill(process.pid, 9)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(facts)


def test_a_system_that_tells_nothing(ended, monkeypatch, tmp_path):
    monkeypatch.setattr(process_life, "_PROC", tmp_path)
    assert not is_gone(ended) and process_facts(os.getpid()).keys() == {"host", "pid"}


@pytest.mark.parametrize("job", ["tag", "gc"])
def test_the_lease_of_a_killed_process_is_taken_over_at_once(table, ended, caplog, job):
    open_table(root := str(table), 1)
    killed = HeldLease(root, job, None)
    with pytest.raises(Busy), held(root, "purge"):
        pytest.fail("it began beside a job that lives")
    killed._facts |= ended
    killed._renew()
    (lease,) = all_leases(root)
    assert not lease.looks_live(root, time.time()) and lease.ended(root, time.time())
    with caplog.at_level(logging.WARNING), held(root, "purge"):
        assert [one.job for one in all_leases(root)] == ["purge"]
    assert caplog.records == []
