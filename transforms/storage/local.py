"""Local files. A write is committed by `link(2)` of a finished, synced temporary file in the same folder."""

import contextlib
import errno
import io
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from transforms.storage.beneath import Beneath, open_file, open_folder, unlink
from transforms.storage.errors import (
    UNKNOWN_VERSION,
    AlreadyExists,
    FileInfo,
    NotFound,
    StorageError,
    TooLarge,
    Unavailable,
    storage_error,
)
from transforms.storage.patience import waiting

PARTIAL = ".partial-"
"""Prefix of the names of unfinished files. Listings skip them."""

_UNFINISHED = re.compile(re.escape(PARTIAL) + "[0-9a-f]{16}")

_PIECE = 8 << 20
"""Bytes that are read or copied at once."""

_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@contextlib.contextmanager
def _named_errors(url: str) -> Iterator[None]:
    """Converts an `OSError` to the matching `StorageError`. The block is known to wait for the storage."""
    try:
        with waiting(url):
            yield
    except StorageError:
        raise
    except ValueError as e:
        raise NotFound(f"{url!r}: no file can have this name ({e})") from e
    except OSError as e:
        raise storage_error(url, e) from e


class _NamedReads(io.FileIO):
    """An open file whose errors are `StorageError`s, also long after it was opened."""

    def __init__(self, url: str, descriptor: int) -> None:
        super().__init__(descriptor, "rb")
        self._url = url

    def readinto(self, buffer: Any) -> int | None:
        with _named_errors(self._url):
            return super().readinto(memoryview(buffer)[:_PIECE])  # each piece is an answer

    def readall(self) -> bytes:
        with _named_errors(self._url):
            return super().readall()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with _named_errors(self._url):
            return super().seek(offset, whence)


def open_input(url: str) -> BinaryIO:
    """See `storage.open_input`."""
    with _named_errors(url):
        # Without O_NONBLOCK a named pipe in a catalog would block the reader forever.
        descriptor = os.open(url, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotFound(f"{url}: not a regular file")
        return io.BufferedReader(_NamedReads(url, descriptor))


def _open_beneath(url: str, place: Beneath) -> BinaryIO:
    with _named_errors(url):
        return io.BufferedReader(_NamedReads(url, open_file(place)))


def read_bytes(url: str, max_bytes: int | None, place: Beneath | None = None) -> bytes:
    """See `storage.read_bytes`. With a resolved place, no link is followed."""
    with open_input(url) if place is None else _open_beneath(url, place) as stream, _named_errors(url):
        if max_bytes is None:
            return stream.read()
        size = os.fstat(stream.fileno()).st_size
        # The second condition covers a file that grows while it is read.
        if size > max_bytes or len(data := stream.read(max_bytes + 1)) > max_bytes:
            raise TooLarge(f"{url}: {size} bytes, at most {max_bytes} are read")
        return data


def read_range(url: str, start: int, end: int) -> bytes:
    """See `storage.read_range`."""
    with open_input(url) as stream:
        stream.seek(start)
        data = stream.read(end - start)
    if len(data) != end - start:
        raise Unavailable(f"{url}: {len(data)} bytes came instead of {end - start}")
    return data


def _make_folder(folder: Path) -> None:
    """Creates a folder and its parents. Each new name is on disk when this returns."""
    if folder.is_dir() or folder == folder.parent:  # the working directory may have been deleted
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _commit(url: str, fill: Callable[[Path], None], publish: Callable[[Path, Path], None]) -> None:
    """Fills a temporary file in the target's folder, syncs it, publishes it and syncs the folder."""
    target = Path(url)
    partial = target.with_name(PARTIAL + secrets.token_hex(8))
    with _named_errors(url):
        _make_folder(target.parent)
        try:
            fill(partial)
            _sync_file(partial)
            publish(partial, target)
            _sync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)


def _sync_file(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _link(partial: Path, target: Path) -> None:
    """Gives the finished file its final name, which must be free."""
    taken = target.exists()
    try:
        os.link(partial, target)
    except FileExistsError:
        # A network file system may make a link and lose the answer.
        if taken or not partial.samefile(target):
            raise AlreadyExists(f"{target}: exists already") from None
    except OSError as e:
        if e.errno not in _NO_HARD_LINKS:
            raise
        raise StorageError(
            f"{target.parent}: create-only commits need hard links, which this file system refuses ({e.strerror}); "
            "choose a folder on another one"
        ) from e


def create(url: str, data: bytes) -> None:
    """See `storage.create`."""
    _commit(url, lambda partial: _write(partial, data), _link)


def write_bytes(url: str, data: bytes) -> None:
    """See `storage.write_bytes`."""
    _commit(url, lambda partial: _write(partial, data), _replace)


def _replace(partial: Path, target: Path) -> None:
    """Replaces a file, whose permissions stay."""
    with contextlib.suppress(FileNotFoundError):
        partial.chmod(stat.S_IMODE(target.stat().st_mode))
    partial.replace(target)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def upload(local_path: Path, url: str, replace: bool = False) -> None:
    """See `storage.upload`."""
    _commit(url, lambda partial: _link_or_copy(local_path, partial), _replace if replace else _link)


def _link_or_copy(source: Path, partial: Path) -> None:
    try:
        os.link(source, partial)
    except OSError as e:
        if e.errno != errno.EXDEV and e.errno not in _NO_HARD_LINKS:
            raise
        with open_input(str(source)) as whole, partial.open("wb") as copy:
            while piece := whole.read(_PIECE):
                with waiting(str(partial)):
                    copy.write(piece)


def list_files(url: str) -> Iterator[FileInfo]:
    """See `storage.list_files`."""
    return _listed(url, deep=True)


def list_folder(url: str, place: Beneath | None = None) -> Iterator[FileInfo]:
    """See `storage.list_folder`. With a resolved place, no link to the folder is followed."""
    if place is None:
        return _listed(url, deep=False)
    with contextlib.suppress(NotFound), _named_errors(url), open_folder(place) as folder:
        infos = [_info(f"{url.removesuffix('/')}/{entry.name}", entry) for entry in _entries(url, folder)]
        return iter([info for info in infos if info is not None])
    return iter(())


def list_folders(url: str) -> Iterator[str]:
    """See `storage.list_folders`."""
    return (entry.name for entry in _entries(url) if _is_folder(entry))


def list_unfinished(url: str) -> Iterator[FileInfo]:
    """See `storage.list_unfinished`."""
    for folder, _, names in os.walk(url):
        for name in sorted(names):
            path = f"{folder.removesuffix('/')}/{name}"
            with contextlib.suppress(FileNotFoundError):
                if _UNFINISHED.fullmatch(name) and stat.S_ISREG((facts := os.lstat(path)).st_mode):
                    yield FileInfo(url=path, size=facts.st_size, version=UNKNOWN_VERSION, modified=facts.st_mtime)


def _listed(url: str, *, deep: bool) -> Iterator[FileInfo]:
    # Linked folders are not entered: a link to a parent would lead to an endless listing.
    for entry in _entries(url):
        path = f"{url.removesuffix('/')}/{entry.name}"
        if _is_folder(entry):
            if deep:
                yield from _listed(path, deep=True)
        elif (info := _info(path, entry)) is not None:
            yield info


def _entries(url: str, descriptor: int | None = None) -> list[os.DirEntry[str]]:
    """A folder's entries, ordered by the bytes of their full names as in object stores."""
    try:
        with _named_errors(url), os.scandir(url or "." if descriptor is None else descriptor) as entries:
            finished = [entry for entry in entries if not entry.name.startswith(PARTIAL)]
    except NotFound:
        return []
    return sorted(finished, key=lambda entry: os.fsencode(entry.name + "/" if _is_folder(entry) else entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether the entry is a folder. Links are not, and nothing that cannot be looked at."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _info(path: str, entry: os.DirEntry[str]) -> FileInfo | None:
    """The entry as a file; None if it is not a regular file or was deleted since the folder was read.

    An entry that the system does not describe is listed without size and version: it must neither end the listing of
    its neighbours nor disappear. Whoever opens it learns why.
    """
    try:
        with _named_errors(path):
            facts = entry.stat()
    except NotFound:
        return None
    except StorageError:
        return FileInfo(url=path, size=None, version=UNKNOWN_VERSION)
    if not stat.S_ISREG(facts.st_mode):
        return None
    version = f"{facts.st_mtime_ns}-{facts.st_size}"
    return FileInfo(url=path, size=facts.st_size, version=version, modified=facts.st_mtime)


def exists(url: str) -> bool:
    """See `storage.exists`."""
    try:
        with _named_errors(url):
            return stat.S_ISREG(os.stat(url).st_mode)  # noqa: PTH116 - pathlib answers False to permission errors too
    except NotFound:
        return False


def delete(url: str) -> None:
    """See `storage.delete`."""
    with contextlib.suppress(NotFound), _named_errors(url):
        Path(url).unlink()


def delete_beneath(url: str, folder: str) -> None:
    """See `storage.delete`."""
    path = url.removeprefix(folder.removesuffix("/") + "/")
    with contextlib.suppress(NotFound), _named_errors(url):
        unlink(Beneath(os.path.realpath(folder), path))


def folder_links(url: str) -> Iterator[str]:
    """See `storage.linked_folders`."""
    for folder, names, _ in os.walk(url):
        for path in (f"{folder.removesuffix('/')}/{name}" for name in names):
            if Path(path).is_symlink():
                yield path.removeprefix(url.removesuffix("/") + "/")


def delete_empty_folder(url: str) -> None:
    """See `storage.delete_empty_folder`."""
    with contextlib.suppress(OSError):
        Path(url).rmdir()
