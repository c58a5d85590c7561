"""Compares files with the checksums under which they are about to be committed."""

import concurrent.futures
from collections.abc import Iterable
from typing import Protocol

from transforms import storage
from transforms.formats.blocks import whole_crc32c
from transforms.formats.hashing import stream_sha256
from transforms.storage import FileInfo

READERS = 8
"""Files that are hashed at the same time."""


class Written(Protocol):
    """What its writer says about a file."""

    @property
    def path(self) -> str:
        """Path relative to the root."""

    @property
    def sha256(self) -> str:
        """SHA-256 of its bytes."""

    @property
    def checksums(self) -> str:
        """What `checksums_of` returned for its bytes, or at least the first 8 digits; "" if unknown."""


def wrong_bytes(files: Iterable[tuple[FileInfo, Written]]) -> tuple[str, ...]:
    """Returns one sentence for each file whose bytes differ from what its writer says.

    If the store gives a checksum of its own, it is compared and nothing is read. Otherwise the file is hashed.
    """
    with concurrent.futures.ThreadPoolExecutor(READERS) as readers:
        return tuple(problem for problem in readers.map(_problem, files) if problem)


def _problem(pair: tuple[FileInfo, Written]) -> str | None:
    stored, file = pair
    if stored.crc32c and file.checksums:
        name, found, wanted = "CRC-32C", stored.crc32c, whole_crc32c(file.checksums)
    else:
        with storage.open_input(stored.url) as stream:
            name, found, wanted = "SHA-256", stream_sha256(stream), file.sha256
    return None if found == wanted else f"{file.path}: {name} {found} in storage, its writer says {wanted}"
