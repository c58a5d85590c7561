"""Leases: every job that writes to a table has a file there that it renews, so that nothing is removed under it.

A job first creates its lease and then looks for others. So of two jobs that start at the same time, at least one sees
the other. `gc` and `purge` are exclusive: they do not start beside another job, and other jobs wait until they end.
Leases are advisory, and protect against programs of this version and later ones only.
"""

import contextlib
import dataclasses
import datetime
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from transforms import storage
from transforms.formats.sealing import open_sealed, sealed_bytes
from transforms.maintenance.process_life import is_gone, process_facts
from transforms.publishing import receipts
from transforms.table.versions import read_table_metadata

LEASES = "leases"
EXCLUSIVE = frozenset({"gc", "purge"})
HEARTBEAT_S = 30.0
EXPIRES_S = 300.0
"""Age of the last heartbeat from which on a lease looks dead."""

OBSERVED_S = 75.0
"""A lease that looks dead is observed for so long, because clocks jump. A live one gets a heartbeat meanwhile."""

DETACHED_S = 7 * 86_400.0
"""Longest life of the lease of a job that nobody waits for."""

LONGEST_WAIT_S = 3_600.0
"""Longest time that a job waits for an exclusive one."""

_POLL_S = 5.0
_NAME = re.compile(r"([a-z]+)-[0-9a-f]{16}\.json")
_log = logging.getLogger(__name__)


class Busy(Exception):
    """Another job writes to the table. The message names it, and says what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lease:
    """A lease as others see it.

    Attributes:
      url: its file.
      job: the command.
      facts: what its holder says about itself: see `process_facts`, `started`, `detached`, its `Launch`; empty if
        unreadable.
      version: changes with every heartbeat.
      modified: time of the last heartbeat, in seconds since 1970 by the clock of the storage.
    """

    url: str
    job: str
    facts: dict[str, Any]
    version: str
    modified: float

    def ended(self, root: str, now: float) -> bool:
        """Whether the job has certainly ended: nobody waits for it and it has a result, or its process is gone."""
        return (bool(self.facts.get("detached")) or self.was_killed) and not self.looks_live(root, now)

    @property
    def was_killed(self) -> bool:
        """Whether the process of the job ran on this machine and is gone, without having released the lease."""
        return not self.facts.get("detached") and is_gone(self.facts)

    def _goes_on(self, root: str, now: float) -> bool:
        """Whether the launch of the job has not ended, as far as its table tells."""
        place, launch = self.facts.get("launch_table") or root, self.facts.get("launch")
        return now - self.modified <= DETACHED_S and bool(launch) and receipts.is_pending(place, str(launch))

    def looks_live(self, root: str, now: float) -> bool:
        """Whether its last heartbeat is young and its process is not known to be gone, or its job goes on elsewhere."""
        if not self.facts.get("detached") and now - self.modified <= EXPIRES_S and not self.was_killed:
            return True
        return bool(self.facts.get("detached") or self.facts.get("elsewhere")) and self._goes_on(root, now)

    def __str__(self) -> str:
        if not {"pid", "host", "started"} <= self.facts.keys():
            return self.job
        return f"{self.job} (process {self.facts['pid']} on {self.facts['host']}, since {self.facts['started']})"


def all_leases(root: str) -> list[Lease]:
    """All leases of a table, also of jobs that have been killed."""
    found = []
    for file in storage.list_folder(storage.join(root, LEASES)):
        if match := _NAME.fullmatch(file.url.rpartition("/")[2]):
            facts = _facts(file.url)
            if facts is not None:
                found.append(
                    Lease(url=file.url, job=match[1], facts=facts, version=file.version, modified=file.modified or 0.0)
                )
    return found


def _facts(url: str) -> dict[str, Any] | None:
    """What a lease says; nothing if it is damaged; None if it was released meanwhile."""
    try:
        return open_sealed(storage.read_bytes(url)).fields
    except storage.NotFound:
        return None
    except (storage.StorageError, ValueError, TypeError):
        return {}


class HeldLease:
    """The lease of this process."""

    def __init__(self, root: str, job: str, launch: "Launch | None") -> None:
        self.root, self.job = root, job
        self.url = storage.join(root, LEASES, f"{job}-{secrets.token_hex(8)}.json")
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._facts = {**process_facts(os.getpid()), "started": started}
        if launch is not None:
            self._facts |= {"launch": launch.receipt, "launch_table": launch.table, "elsewhere": launch.elsewhere}
        self._beats, self._lock, self._closed = 0, threading.Lock(), threading.Event()
        self._renewed = self._now()
        storage.create(self.url, self._bytes(detached=False))

    def _bytes(self, *, detached: bool) -> bytes:
        self._beats += 1
        return sealed_bytes({**self._facts, "detached": detached, "beat": self._beats})

    @staticmethod
    def _now() -> tuple[float, float]:
        """Two clocks: one stands still while the machine sleeps, the other jumps."""
        return time.monotonic(), time.time()

    def _renew(self) -> None:
        with self._lock:
            if self._closed.is_set():
                return
            now = self._now()
            storage.write_bytes(self.url, self._bytes(detached=False))
            self._renewed = now

    def keep(self) -> None:
        """Renews the lease until it is released."""
        while not self._closed.wait(HEARTBEAT_S):
            try:
                self._renew()
            except storage.StorageError as error:
                _log.warning("the lease of this job could not be renewed: %s", error)

    def check(self) -> None:
        """Raises `Busy` if the lease was not renewed for so long that others may take it for dead."""
        if max(now - then for now, then in zip(self._now(), self._renewed, strict=True)) > EXPIRES_S / 2:
            raise Busy(f"the lease {self.url} was not renewed in time, so another job may have begun: run it again")

    def release(self, *, detached: bool) -> None:
        """Ends the heartbeats, and removes the lease; the lease of a job that nobody waits for stays."""
        self._closed.set()
        with self._lock:
            try:
                if detached:
                    storage.write_bytes(self.url, self._bytes(detached=True))
                else:
                    storage.delete(self.url)
            except storage.StorageError as error:
                _log.warning("the lease of this job stays until it expires: %s", error)

    def storage_time(self) -> float:
        """The time now by the clock of the storage, or up to a heartbeat earlier."""
        for lease in all_leases(self.root):
            if lease.url == self.url:
                return lease.modified
        raise Busy(f"the lease {self.url} was removed: run it again")


class Launch(NamedTuple):
    """A job that may go on after its launcher.

    Attributes:
      receipt: path of the receipt with which it ends, see `receipts`.
      table: the table that the receipt is in; None: that of the lease.
      elsewhere: whether the job runs on other machines, so that it outlives its launcher.
    """

    receipt: str
    table: str | None = None
    elsewhere: bool = False


@contextlib.contextmanager
def held(root: str, job: str, *, launch: Launch | None = None, detached: bool = False) -> Iterator[HeldLease]:
    """Holds a lease of the table during the block.

    Args:
      root: folder or gs:// prefix of the table.
      job: the command. Those of `EXCLUSIVE` start only if no other job is there; others wait for them.
      launch: what tells that the job has ended.
      detached: whether the job goes on after the block, if that ends without an error.

    Raises:
      Busy: an exclusive job found another one, or another job waited too long for an exclusive one.
      TableError, storage.NotFound: see `read_table_metadata`.
    """
    read_table_metadata(root, writing=True)
    lease, goes_on = HeldLease(root, job, launch), False
    threading.Thread(target=lease.keep, daemon=True, name=f"lease-{job}").start()
    try:
        if job in EXCLUSIVE:
            _require_alone(lease)
        else:
            _await_exclusive(lease)
        yield lease
        # A runner on this machine has ended the job already.
        goes_on = detached and launch is not None and receipts.is_pending(launch.table or root, launch.receipt)
    finally:
        lease.release(detached=goes_on)


def _require_alone(lease: HeldLease) -> None:
    others, dead = _others(lease)
    if others:
        raise Busy(f"{others[0]} writes to {lease.root}: run {lease.job} again when it has ended")
    if revived := _bury(lease, dead):
        raise Busy(f"{revived[0]} writes to {lease.root}: run {lease.job} again when it has ended")


def _await_exclusive(lease: HeldLease) -> None:
    deadline, told = time.monotonic() + LONGEST_WAIT_S, False
    while True:
        others, dead = _others(lease)
        others = [*(o for o in others if o.job in EXCLUSIVE), *_bury(lease, [o for o in dead if o.job in EXCLUSIVE])]
        if not others:
            return
        if time.monotonic() > deadline:
            raise Busy(f"{others[0]} has been writing to {lease.root} for too long: look at it, then run this again")
        if not told:
            _log.warning("waiting for %s to end, which removes files from %s", others[0], lease.root)
            told = True
        threading.Event().wait(_POLL_S)


def _others(lease: HeldLease) -> tuple[list[Lease], list[Lease]]:
    """The leases of other jobs: those that look live, and those that look dead."""
    now = lease.storage_time()
    others = [other for other in all_leases(lease.root) if other.url != lease.url]
    live = [other for other in others if other.looks_live(lease.root, now)]
    return live, [other for other in others if other not in live]


def _bury(lease: HeldLease, dead: Sequence[Lease]) -> list[Lease]:
    """Removes leases that are dead, after they were observed; returns those that got a heartbeat meanwhile."""
    now = lease.storage_time() if dead else 0.0
    ended = [other for other in dead if other.ended(lease.root, now)]
    if suspects := [other for other in dead if other not in ended]:
        _log.warning("observing the lease of %s for %.0f s, because clocks may differ", suspects[0], OBSERVED_S)
        threading.Event().wait(OBSERVED_S)
    versions = {other.url: other.version for other in all_leases(lease.root)}
    revived = [other for other in suspects if versions.get(other.url, other.version) != other.version]
    for other in [*ended, *(other for other in suspects if other not in revived)]:
        storage.delete(other.url)
    return revived
