"""The one door to bytes: local paths and `gs://` alike.

Everything that is listed, read, written or committed goes through these functions. Transient errors are retried inside
with growing pauses; what is raised is a `StorageError`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from transforms.storage import local
from transforms.storage.errors import (
    AlreadyExists,
    FileInfo,
    NotFound,
    PermissionDenied,
    StorageError,
    TooLarge,
    Unavailable,
)

__all__ = [
    "AlreadyExists",
    "FileInfo",
    "NotFound",
    "PermissionDenied",
    "StorageError",
    "TooLarge",
    "Unavailable",
    "create",
    "delete",
    "exists",
    "is_absolute",
    "join",
    "list_files",
    "list_folder",
    "open_input",
    "read_bytes",
    "upload",
    "write_bytes",
]


class _Backend(Protocol):
    """What `local` and `gcs` both offer."""

    def read_bytes(self, url: str, max_bytes: int | None) -> bytes: ...
    def open_input(self, url: str) -> BinaryIO: ...
    def create(self, url: str, data: bytes) -> None: ...
    def write_bytes(self, url: str, data: bytes) -> None: ...
    def upload(self, local_path: Path, url: str) -> None: ...
    def list_files(self, url: str) -> Iterator[FileInfo]: ...
    def list_folder(self, url: str) -> Iterator[FileInfo]: ...
    def exists(self, url: str) -> bool: ...
    def delete(self, url: str) -> None: ...


def _backend(url: str) -> _Backend:
    """The module that serves this URL."""
    if url.startswith("gs://"):
        # Imported on first use: the client library takes a second, and local work never needs it.
        from transforms.storage import gcs

        return gcs
    if "://" in url:
        raise ValueError(f"{url!r}: give a local path or a gs:// URL")
    return local


def is_absolute(url: str) -> bool:
    """Whether the URL stands on its own: `scheme://...` or a path from the root."""
    return "://" in url or url.startswith("/")


def join(base: str, *parts: str) -> str:
    """`base/part/...`; an absolute part wins over what stands before it; names are never normalised.

    >>> join("gs://bucket/catalog/", "audio/one track.mp3")
    'gs://bucket/catalog/audio/one track.mp3'
    >>> join("gs://bucket/catalog", "/data/one.mp3")
    '/data/one.mp3'
    """
    joined = base
    for part in parts:
        if is_absolute(part) or not joined:
            joined = part
        elif part:
            joined = f"{joined.removesuffix('/')}/{part}"
    return joined


def read_bytes(url: str, *, max_bytes: int | None = None) -> bytes:
    """The whole file, in one request.

    Raises:
      TooLarge: it has more than `max_bytes` bytes; no more than that were held in memory.
      NotFound, PermissionDenied, Unavailable: see `errors`.
    """
    return _backend(url).read_bytes(url, max_bytes)


def open_input(url: str) -> BinaryIO:
    """A seekable reader; on `gs://` it reads ranges, ahead while reading goes on in sequence."""
    return _backend(url).open_input(url)


def create(url: str, data: bytes) -> None:
    """Writes a file that must not exist yet: whole or not at all, and only one of many writers succeeds.

    Raises:
      AlreadyExists: the name is taken. Where an answer was lost, the object is read back: the same bytes are success.
    """
    _backend(url).create(url, data)


def write_bytes(url: str, data: bytes) -> None:
    """Writes or replaces a file in one step: a reader sees the old bytes or the new, never a mixture."""
    _backend(url).write_bytes(url, data)


def upload(local_path: Path, url: str) -> None:
    """`create` from a finished local file, without holding it in memory.

    A local target may share its bytes with `local_path`: delete the source, or leave it, but don't write to it.
    """
    _backend(url).upload(local_path, url)


def list_files(url: str) -> Iterator[FileInfo]:
    """Every file under a folder, at any depth, ordered by the bytes of its name; a missing folder holds nothing."""
    return _backend(url).list_files(url)


def list_folder(url: str) -> Iterator[FileInfo]:
    """The files directly in a folder, ordered by name: one request for 1,000 objects."""
    return _backend(url).list_folder(url)


def exists(url: str) -> bool:
    """Whether a file (not a folder) has this name."""
    return _backend(url).exists(url)


def delete(url: str) -> None:
    """Removes a file; one that is missing already is fine."""
    _backend(url).delete(url)
