"""Errors of storage, the same for every backend, and the description of a listed file."""

import dataclasses

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


class TooLarge(StorageError):
    """The file has more bytes than the caller allows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileInfo:
    """A listed file.

    Attributes:
      url: its URL, in the form of the URL that was listed.
      size: size in bytes.
      version: changes whenever the bytes change: the generation of an object, the time and size of a local file.
    """

    url: str
    size: int
    version: str
