"""Temporary files of one run on this machine: lists of records, each list under a name.

A killed run cannot remove its files. The next run that opens scratch space does: the system releases the lock of a
process that has ended.
"""

import contextlib
import dataclasses
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from transforms.storage.errors import StorageError

PREFIX = "catalog-tagger-scratch-"
"""Prefix of the folders in the system's temporary folder (`TMPDIR`)."""

_YOUNG_S = 60.0
"""A folder is locked right after it is made. Until then it is not taken for the folder of a killed run."""

_LENGTH_BYTES = 8


@dataclasses.dataclass(frozen=True)
class Scratch:
    """Scratch space in a folder. Processes of this machine can share it, if each name has one writer at a time."""

    folder: str

    def append(self, name: str, record: bytes) -> None:
        """Adds a record to the list of this name."""
        with self._named_errors():
            path = Path(self.folder, name)
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as stream:
                stream.write(len(record).to_bytes(_LENGTH_BYTES, "little"))
                stream.write(record)

    def records(self, name: str) -> Iterator[bytes]:
        """The records of a list in their order; none if nothing was added."""
        path = Path(self.folder, name)
        with self._named_errors():
            if not path.exists():
                return
            with path.open("rb") as stream:
                while length := stream.read(_LENGTH_BYTES):
                    yield stream.read(int.from_bytes(length, "little"))

    def names(self, group: str) -> list[str]:
        """The names `group/...` that have records, sorted."""
        with self._named_errors():
            place = Path(self.folder, group)
            return sorted(f"{group}/{path.name}" for path in place.iterdir()) if place.exists() else []

    def remove(self, name: str) -> None:
        """Removes a list."""
        with self._named_errors():
            Path(self.folder, name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"{self.folder}: {error.strerror}: free space there, or let TMPDIR name a folder on another disk"
            ) from error


@contextlib.contextmanager
def open_scratch() -> Iterator[Scratch]:
    """Makes scratch space and removes it at the end, together with that of killed runs.

    Raises:
      StorageError: the temporary folder cannot be written.
    """
    try:
        _remove_abandoned(Path(tempfile.gettempdir()))
        folder = tempfile.mkdtemp(prefix=PREFIX)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageError(f"no temporary folder can be made ({error.strerror}): let TMPDIR name one") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Scratch(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_abandoned(parent: Path) -> None:
    """Removes this user's scratch folders whose process has ended."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it belongs to another user or run, or another run removes it
            facts = folder.lstat()
            if facts.st_uid != os.getuid() or time.time() - facts.st_mtime < _YOUNG_S:
                continue
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)
