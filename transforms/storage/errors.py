"""What can go wrong between the pipeline and its bytes, the same for every kind of storage."""

import dataclasses


class StorageError(OSError):
    """An operation on storage failed; the message names the URL and the mend."""


class NotFound(StorageError):
    """No file or object has this name."""


class AlreadyExists(StorageError):
    """A create-only write found the name taken, by other bytes than its own."""


class PermissionDenied(StorageError):
    """The credentials at hand may not do this."""


class Unavailable(StorageError):
    """Network, throttling or a server's error, still there after all retries: try again later."""


class TooLarge(StorageError):
    """More bytes than the reader allows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileInfo:
    """One listed file.

    Attributes:
      url: where it is, in the form that was listed.
      size: bytes.
      version: changes whenever the bytes do: an object's generation, a local file's time and size.
    """

    url: str
    size: int
    version: str
