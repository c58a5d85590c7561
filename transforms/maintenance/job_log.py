"""The log of jobs that remove something: create-only files beside the table, written before each step."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any, Self

from transforms import storage
from transforms.formats.sealing import open_sealed, sealed_bytes

LOG = "log"
_BEGIN = re.compile(r"([a-z]+)-(\d{6,})-000000-begin\.json")


class JobLog:
    """The records of one execution of a job, in their order."""

    def __init__(self, root: str, job: str, number: int) -> None:
        self._root, self.job, self.number, self._step = root, job, number, 0

    @classmethod
    def begin(cls, root: str, job: str, fields: dict[str, Any]) -> Self:
        """Gives the execution its number, by creating its first record."""
        number = max((number for _, number in _begun(root, job)), default=0)
        while True:
            number += 1
            log = cls(root, job, number)
            try:
                log.record("begin", fields)
            except storage.AlreadyExists:  # another one began at the same time
                continue
            return log

    @property
    def name(self) -> str:
        """Name of the execution, such as `gc-000007`."""
        return f"{self.job}-{self.number:06d}"

    def record(self, what: str, fields: dict[str, Any]) -> str:
        """Creates the next record; returns its path."""
        path = f"{LOG}/{self.name}-{self._step:06d}-{what}.json"
        storage.create(storage.join(self._root, path), sealed_bytes({"job": self.name, "what": what, **fields}))
        self._step += 1
        return path


def last_begin(root: str, job: str) -> dict[str, Any] | None:
    """The first record of the last execution of a job; None if there was none.

    Raises:
      ValueError, storage.StorageError: it is damaged or cannot be read.
    """
    begun = sorted(_begun(root, job), key=lambda entry: entry[1])
    return open_sealed(storage.read_bytes(begun[-1][0])).fields if begun else None


def all_begins(root: str, job: str) -> Iterator[dict[str, Any]]:
    """The first records of all executions of a job; those that are damaged are left out.

    Raises:
      storage.StorageError: a record cannot be read.
    """
    for url, _ in _begun(root, job):
        with contextlib.suppress(ValueError, TypeError):
            yield open_sealed(storage.read_bytes(url)).fields


def _begun(root: str, job: str) -> Iterator[tuple[str, int]]:
    for file in storage.list_folder(storage.join(root, LOG)):
        if (match := _BEGIN.fullmatch(file.url.rpartition("/")[2])) and match[1] == job:
            yield file.url, int(match[2])
