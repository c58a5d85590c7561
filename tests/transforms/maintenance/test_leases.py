"""Leases: exclusive jobs and others keep out of each other's way, and crashed ones do not block for ever."""

import json
import os
import threading
import time

import pytest

from tests.support.nightly import Killed, age, faults
from tests.support.waiting import PATIENCE_S, wait_until
from transforms import storage
from transforms.maintenance import leases
from transforms.maintenance.leases import Busy, Launch, all_leases, held
from transforms.maintenance.run_leases import held_for_run
from transforms.publishing import receipts
from transforms.publishing.audit import RaceLost
from transforms.table.versions import open_table

AWAITED = {"detached": False, "elsewhere": False, "dry_run": False}
"""A run on this machine that its launcher waits for."""


@pytest.fixture
def root(table):
    open_table(str(table), 1)
    return str(table)


def jobs(root):
    return [lease.job for lease in all_leases(root)]


def test_a_lease_is_there_during_the_block_and_names_its_process(root):
    with held(root, "tag") as lease:
        (found,) = all_leases(root)
        assert (found.url, found.job, found.facts["pid"]) == (lease.url, "tag", os.getpid())
        assert f"process {os.getpid()}" in str(found) and found.looks_live(root, time.time())
    assert jobs(root) == []


def test_a_folder_that_is_no_table_gets_no_lease(tmp_path):
    with pytest.raises(storage.NotFound), held(str(tmp_path / "none"), "gc"):
        pass
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("other", ["tag", "publish", "rollback", "gc", "purge"])
@pytest.mark.parametrize("exclusive", ["gc", "purge"])
def test_exclusive_jobs_do_not_start_beside_others(root, exclusive, other):
    with held(root, other):
        with pytest.raises(Busy, match=f"{other} .* writes to .*: run {exclusive} again"), held(root, exclusive):
            pytest.fail("it began")
        assert jobs(root) == [other]


def test_other_jobs_run_side_by_side(root):
    with held(root, "tag"), held(root, "publish"), held(root, "rollback"):
        assert sorted(jobs(root)) == ["publish", "rollback", "tag"]


def test_other_jobs_wait_for_an_exclusive_one(root):
    order = []

    def tag():
        with held(root, "tag"):
            order.append("tag")

    with held(root, "gc"):
        waiting = threading.Thread(target=tag)
        waiting.start()
        wait_until(lambda: "tag" in jobs(root), "the other job has a lease")
        time.sleep(0.05)  # what does not wait would be ahead here
        order.append("gc ends")
    waiting.join()
    assert order == ["gc ends", "tag"]


def test_they_do_not_wait_for_ever(root, monkeypatch):
    monkeypatch.setattr(leases, "LONGEST_WAIT_S", 0.02)
    with held(root, "purge"):
        with pytest.raises(Busy, match=r"purge .* for too long"), held(root, "tag"):
            pytest.fail("it began")
        with (
            pytest.raises(RaceLost),
            held_for_run([root], "launches/x.json", None, **AWAITED),
        ):
            pytest.fail("it began")


def crash(root, job, monkeypatch):
    with faults(monkeypatch, 1, "kill before"), pytest.raises(Killed), held(root, job):
        pass
    assert jobs(root) == [job]


@pytest.mark.parametrize("job", ["tag", "gc"])
def test_the_lease_of_a_crashed_job_expires(root, table, monkeypatch, job):
    crash(root, job, monkeypatch)
    with pytest.raises(Busy), held(root, "gc"):
        pass
    age(table / "leases", leases.EXPIRES_S + 60)
    with held(root, "gc"):
        assert jobs(root) == ["gc"]


def test_a_lease_that_looks_dead_because_clocks_differ_is_seen_to_be_alive(root, table, monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT_S", 0.02)
    beats = []

    def beat_is_seen(event, seconds=None):
        """In place of the observation, which takes long enough for a heartbeat: lasts until there was one."""
        if seconds != leases.OBSERVED_S:
            return wait(event, seconds)
        count = len(beats)
        wait_until(lambda: len(beats) > count + 1, "the lease gets another heartbeat")

    with held(root, "tag") as lease:

        def jump(*words):  # every heartbeat carries a time of long ago, as if this clock were behind
            write(*words)
            if lease.url in words:
                os.utime(lease.url, (1, len(beats) + 1))
                beats.append(words)

        write, wait = storage.write_bytes, threading.Event.wait
        monkeypatch.setattr(storage, "write_bytes", jump)
        wait_until(lambda: beats, "a heartbeat carries a time of long ago")
        monkeypatch.setattr(threading.Event, "wait", beat_is_seen)
        with pytest.raises(Busy, match=r"tag .* writes to"), held(root, "gc"):
            pytest.fail("it began")
        assert jobs(root) == ["tag"]


def test_a_job_stops_if_its_lease_was_not_renewed(root, monkeypatch):
    with held(root, "gc") as lease:
        lease.check()
        then = time.time()
        monkeypatch.setattr(leases.time, "time", lambda: then + leases.EXPIRES_S)
        with pytest.raises(Busy, match="was not renewed in time"):
            lease.check()


def test_a_heartbeat_that_fails_is_a_warning(root, monkeypatch, caplog):
    """No heartbeat reaches a disk, where it could wait for what others write."""
    monkeypatch.setattr(leases, "HEARTBEAT_S", 0.01)
    beats, goes_on = [], threading.Event()

    def down(*words):
        beats.append(words)
        if len(beats) > 1:
            goes_on.set()
        raise storage.Unavailable("down")

    monkeypatch.setattr(storage, "write_bytes", down)
    with held(root, "tag"):
        assert goes_on.wait(PATIENCE_S), "there was no heartbeat after the one that failed"
    assert "could not be renewed" in caplog.text and jobs(root) == []


def test_a_job_that_nobody_waits_for_keeps_its_lease_until_it_has_ended(root):
    launch = receipts.begin(root, None)
    with held(root, "tag", launch=Launch(launch), detached=True):
        pass
    assert jobs(root) == ["tag"]
    with pytest.raises(Busy), held(root, "gc"):
        pass
    receipts.write(root, launch, receipts.Receipt(run_id=None))
    with held(root, "gc"):
        assert jobs(root) == ["gc"]


def test_a_job_on_other_machines_outlives_its_killed_launcher(root, table, monkeypatch):
    launch = receipts.begin(root, None)
    run = held_for_run([root], launch, None, **{**AWAITED, "elsewhere": True})
    with faults(monkeypatch, 1, "kill before"), pytest.raises(Killed), run:
        pass
    age(table / "leases", leases.EXPIRES_S + 60)
    with pytest.raises(Busy, match="tag"), held(root, "gc"):
        pass
    receipts.write(root, launch, receipts.Receipt(run_id=None))
    with held(root, "gc"):
        assert jobs(root) == ["gc"]


def test_nor_does_its_lease_stay_if_the_launcher_ran_it_to_the_end(root):
    launch = receipts.begin(root, None)
    with held(root, "tag", launch=Launch(launch), detached=True):
        receipts.write(root, launch, receipts.Receipt(run_id=None))
    assert jobs(root) == []


def test_its_lease_ends_if_the_launcher_fails_or_after_days(root, table):
    launch = receipts.begin(root, None)
    with pytest.raises(KeyError), held(root, "tag", launch=Launch(launch), detached=True):
        raise KeyError
    assert jobs(root) == []
    with held(root, "tag", launch=Launch(launch), detached=True):
        pass
    age(table / "leases", leases.DETACHED_S + 60)
    with held(root, "gc"):
        assert jobs(root) == ["gc"]


def test_a_run_has_a_lease_of_each_of_its_tables(root, tmp_path):
    other = str(tmp_path / "other")
    open_table(other, 1)
    launch = receipts.begin(root, None)
    with held_for_run([root, other], launch, None, detached=True, elsewhere=False, dry_run=False):
        assert jobs(root) == jobs(other) == ["tag"]
    with pytest.raises(Busy), held(other, "gc"):
        pass
    receipts.forget(root, launch)
    with held(other, "gc"):
        assert jobs(other) == ["gc"]
    with held_for_run([root, other], launch, None, detached=False, elsewhere=False, dry_run=True):
        assert jobs(other) == []


def test_a_run_that_was_overtaken_before_it_had_its_lease_plans_again(root):
    run = held_for_run([root], "launches/x.json", 3, **AWAITED)
    with pytest.raises(RaceLost, match="planned on snapshot 3"), run:
        pytest.fail("it began")
    assert jobs(root) == []


def test_a_damaged_lease_counts_as_live_until_it_expires(root, table):
    path = table / "leases" / "tag-0123456789abcdef.json"
    path.parent.mkdir()
    path.write_text("{")
    (table / "leases" / "notes.txt").write_text(json.dumps({}))
    with pytest.raises(Busy, match=r"^tag writes to"), held(root, "gc"):
        pass
    age(table / "leases", leases.EXPIRES_S + 1)
    with held(root, "gc"):
        assert not path.exists() and (table / "leases" / "notes.txt").exists()


def test_on_cloud_storage(gcs):
    root = storage.join(gcs, "table")
    open_table(root, 1)
    with held(root, "tag") as lease:
        assert abs(lease.storage_time() - time.time()) < 60
        with pytest.raises(Busy), held(root, "gc"):
            pass
    with held(root, "gc"):
        assert jobs(root) == ["gc"]
