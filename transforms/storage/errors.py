"""Errors of storage, the same for every backend, and the description of a listed file."""

import dataclasses
import errno

from transforms.storage.redaction import redact


class StorageError(OSError):
    """An operation on storage failed. The message names the URL without secrets, the reason and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class NotFound(StorageError):
    """No file or object has this name."""


class OutsideRoots(StorageError):
    """The file is outside of the roots that the user allows, and was not opened."""


class AlreadyExists(StorageError):
    """The name of a create-only write is taken by other bytes."""


class PermissionDenied(StorageError):
    """The current credentials do not permit the operation."""


class Unavailable(StorageError):
    """A network error, throttling or a server error persists after all retries: try again later."""


class UnknownScheme(StorageError, ValueError):
    """The URL is of a kind of storage that this program does not support, such as `s3://`."""


class TooLarge(StorageError):
    """The file has more bytes than the caller allows."""


def _numbers(names: str) -> frozenset[int]:
    """The numbers of these errors, as far as this system has them."""
    return frozenset(getattr(errno, name) for name in names.split() if hasattr(errno, name))


_MISSING = _numbers("ENOENT ENOTDIR EISDIR ENAMETOOLONG ELOOP EILSEQ ENXIO ENODEV")
"""No file of this name, or what has the name is no file: a folder, a link to itself, a socket, a missing device."""

_DENIED = _numbers("EACCES EPERM EROFS ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED")
_TRANSIENT = _numbers(
    "EIO ESTALE ETIMEDOUT EAGAIN EMFILE ENFILE EBUSY EINTR ENOMEM ENOBUFS ENOLCK ETXTBSY EREMOTEIO EPIPE ECONNREFUSED "
    "ECONNRESET ECONNABORTED ENOTCONN ESHUTDOWN ENETDOWN ENETUNREACH ENETRESET EHOSTDOWN EHOSTUNREACH ENOLINK ECOMM"
)


def storage_error(url: str, error: OSError) -> StorageError:
    """The matching error with the URL and the system's words."""
    if error.errno in _MISSING:
        kind: type[StorageError] = NotFound
    elif error.errno in _DENIED:
        kind = PermissionDenied
    else:
        kind = Unavailable if error.errno in _TRANSIENT else StorageError
    return kind(f"{url}: {error.strerror or error}")


UNKNOWN_VERSION = "unknown"
"""Version of a listed file that the system names but does not describe."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileInfo:
    """A listed file.

    Attributes:
      url: its URL, in the form of the URL that was listed.
      size: size in bytes; None if the system does not describe the file.
      version: changes whenever the bytes change: the generation of an object, the time and size of a local file;
        `UNKNOWN_VERSION` if the system does not describe the file.
      crc32c: the store's own checksum of its bytes, 8 hex digits; "" for local files.
      modified: when its bytes were written, in seconds since 1970 by the clock of the storage; None if the system does
        not describe the file. Two descriptions of one version are equal.
    """

    url: str
    size: int | None
    version: str
    crc32c: str = ""
    modified: float | None = dataclasses.field(default=None, compare=False)
