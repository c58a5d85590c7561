"""All access to files: local paths and `gs://` URLs.

Everything that is listed, read, written or committed goes through these functions. They retry transient errors with
growing pauses, and raise a `StorageError` if that fails. No other `OSError` leaves them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from transforms.storage import local
from transforms.storage.errors import (
    UNKNOWN_VERSION,
    AlreadyExists,
    FileInfo,
    NotFound,
    OutsideRoots,
    PermissionDenied,
    StorageError,
    TooLarge,
    Unavailable,
    UnknownScheme,
)
from transforms.storage.names import is_absolute, join
from transforms.storage.patience import core_seconds_of_thread, in_time, limited, longest_wait, waiting
from transforms.storage.redaction import redact
from transforms.storage.roots import RootsCheck, SourceRoots

__all__ = [
    "UNKNOWN_VERSION",
    "AlreadyExists",
    "FileInfo",
    "NotFound",
    "OutsideRoots",
    "PermissionDenied",
    "RootsCheck",
    "SourceRoots",
    "StorageError",
    "TooLarge",
    "Unavailable",
    "UnknownScheme",
    "core_seconds_of_thread",
    "create",
    "delete",
    "delete_empty_folder",
    "ensure",
    "ensure_upload",
    "exists",
    "is_absolute",
    "join",
    "limited",
    "linked_folders",
    "list_files",
    "list_folder",
    "list_folders",
    "list_unfinished",
    "longest_wait",
    "open_input",
    "read_bytes",
    "read_range",
    "redact",
    "upload",
    "waiting",
    "write_bytes",
]


class _Backend(Protocol):
    """The functions that `local` and `gcs` both have."""

    def read_bytes(self, url: str, max_bytes: int | None) -> bytes: ...
    def read_range(self, url: str, start: int, end: int) -> bytes: ...
    def open_input(self, url: str) -> BinaryIO: ...
    def create(self, url: str, data: bytes) -> None: ...
    def write_bytes(self, url: str, data: bytes) -> None: ...
    def upload(self, local_path: Path, url: str, replace: bool) -> None: ...
    def list_files(self, url: str) -> Iterator[FileInfo]: ...
    def list_folder(self, url: str) -> Iterator[FileInfo]: ...
    def list_folders(self, url: str) -> Iterator[str]: ...
    def exists(self, url: str) -> bool: ...
    def delete(self, url: str) -> None: ...
    def list_unfinished(self, url: str) -> Iterator[FileInfo]: ...
    def delete_empty_folder(self, url: str) -> None: ...


def _backend(url: str) -> _Backend:
    """The module that serves this URL."""
    if url.startswith("gs://"):
        # Imported on first use: the client library takes a second, and local work never needs it.
        from transforms.storage import gcs

        return gcs
    if "://" in url:
        scheme = url.partition("://")[0]
        raise UnknownScheme(f"{url}: {scheme}:// is not supported: give a local path or a gs:// URL")
    return local


def read_bytes(url: str, *, max_bytes: int | None = None, roots: RootsCheck | None = None) -> bytes:
    """Reads a whole file in one request.

    Args:
      url: its URL.
      max_bytes: most bytes to read.
      roots: where the file must be after links are resolved. Without them, links lead anywhere.

    Raises:
      OutsideRoots: it is beneath none of the roots. Nothing was opened.
      TooLarge: it has more than `max_bytes` bytes. No more than that were held in memory.
      NotFound, PermissionDenied, Unavailable: see `errors`.
    """
    if roots is not None and "://" not in url:
        return in_time(url, lambda: local.read_bytes(url, max_bytes, roots.beneath(url)))
    if roots is not None:
        roots.beneath(url)
    return _backend(url).read_bytes(url, max_bytes)


def read_range(url: str, start: int, end: int) -> bytes:
    """Reads the bytes from `start` to before `end` in one request, from a file that is never replaced.

    Raises:
      Unavailable: the file has fewer bytes.
      NotFound, PermissionDenied: see `errors`.
    """
    return _backend(url).read_range(url, start, end)


def open_input(url: str) -> BinaryIO:
    """Opens a seekable reader. On `gs://` it requests ranges, and reads ahead while reads are sequential."""
    return _backend(url).open_input(url)


def create(url: str, data: bytes) -> None:
    """Writes a file that must not exist yet. It is written whole or not at all, and one of many writers succeeds.

    If the answer to a request was lost, the object is read back: the same bytes count as success.

    Raises:
      AlreadyExists: the name is taken.
    """
    _backend(url).create(url, data)


def ensure(url: str, data: bytes) -> None:
    """Like `create`, but a file with the same bytes counts as created.

    Raises:
      AlreadyExists: the name is taken by other bytes.
    """
    try:
        create(url, data)
    except AlreadyExists:
        if not _holds(url, data):
            raise


def _holds(url: str, data: bytes) -> bool:
    try:
        return read_bytes(url, max_bytes=len(data)) == data
    except TooLarge:
        return False


def write_bytes(url: str, data: bytes) -> None:
    """Writes or replaces a file atomically: a reader sees the old bytes or the new ones, never a mixture."""
    _backend(url).write_bytes(url, data)


def upload(local_path: Path, url: str, *, replace: bool = False) -> None:
    """Like `create`, from a finished local file that is not loaded into memory.

    A local target may be a hard link to `local_path`: delete the source or leave it, but do not write to it.

    Args:
      local_path: the finished file.
      url: its name in the end.
      replace: whether a file of this name is replaced, atomically, like `write_bytes`.
    """
    _backend(url).upload(local_path, url, replace)


def ensure_upload(local_path: Path, url: str) -> None:
    """Like `upload`, but a file with the same bytes counts as uploaded.

    Raises:
      AlreadyExists: the name is taken by other bytes.
    """
    try:
        upload(local_path, url)
    except AlreadyExists:
        with open_input(str(local_path)) as own, open_input(url) as other:
            if not _same_bytes(own, other):
                raise


def _same_bytes(one: BinaryIO, other: BinaryIO) -> bool:
    while (piece := one.read(_PIECE)) == other.read(_PIECE):
        if not piece:
            return True
    return False


_PIECE = 1 << 22


def list_files(url: str) -> Iterator[FileInfo]:
    """All files under a folder, at any depth, ordered by the bytes of their names. A missing folder is empty."""
    return _backend(url).list_files(url)


def list_folder(url: str, *, roots: RootsCheck | None = None) -> Iterator[FileInfo]:
    """The files directly in a folder, ordered by name. Costs one request per 1,000 objects.

    Args:
      url: the folder's URL.
      roots: where the folder must be after links are resolved.

    Raises:
      OutsideRoots: the folder is beneath none of the roots. Nothing was opened.
    """
    if roots is not None and "://" not in url:
        return in_time(url, lambda: local.list_folder(url, roots.beneath(url)))
    if roots is not None:
        roots.beneath(url)
    return _backend(url).list_folder(url)


def list_folders(url: str) -> Iterator[str]:
    """Names of the folders directly in a folder, ordered. Costs one request per 1,000 objects and folders."""
    return _backend(url).list_folders(url)


def exists(url: str) -> bool:
    """Whether a file (not a folder) has this name."""
    return _backend(url).exists(url)


def delete(url: str, *, beneath: str | None = None) -> None:
    """Deletes a file. A missing file is not an error.

    Args:
      beneath: a folder that contains the file; no link below it is followed.

    Raises:
      StorageError: the file cannot be deleted, or a folder of its path below `beneath` is a link.
    """
    if beneath is None or "://" in url:
        _backend(url).delete(url)
    else:
        local.delete_beneath(url, beneath)


def linked_folders(url: str) -> Iterator[str]:
    """Paths, relative to a local folder, of the links to folders below it, at any depth. No link is followed."""
    return iter(()) if "://" in url else local.folder_links(url)


def list_unfinished(url: str) -> Iterator[FileInfo]:
    """Temporary files of unfinished writes under a folder, which no other listing has: those of killed programs, too.

    Only names that this module makes are listed.
    """
    return _backend(url).list_unfinished(url)


def delete_empty_folder(url: str) -> None:
    """Deletes a folder that is empty. Nothing happens if it is not, or if the storage has no folders."""
    _backend(url).delete_empty_folder(url)
