"""Opens published data files so that no damaged byte is read."""

from typing import BinaryIO

from transforms import storage
from transforms.formats.blocks import BlockReader
from transforms.formats.hashing import stream_sha256
from transforms.table.snapshots import DataFile


def open_published(url: str, file: DataFile, hashed: set[str]) -> BinaryIO:
    """Opens a data file for reading, compared with its snapshot.

    Each block is compared with its checksum when it is first read. A file of version 0.1 has no block checksums: its
    SHA-256 is compared once, which reads it whole.

    Args:
      url: the file.
      file: its entry in the snapshot.
      hashed: paths of files without block checksums that were already compared; this file is added.

    Raises:
      storage.StorageError: the file is missing or unreadable or has other bytes, which may show only while it is read.
    """
    stream = storage.open_input(url)
    try:
        if file.checksums:
            # A RawIOBase has all methods of BinaryIO that readers of Parquet call.
            return BlockReader(stream, url, file.bytes, file.checksums)  # type: ignore[return-value]
        if file.path not in hashed:
            found = stream_sha256(stream)
            if found != file.sha256:
                raise storage.StorageError(
                    f"{url}: SHA-256 {found}, the snapshot has {file.sha256}: the file is damaged; restore it from a "
                    "copy, or read an earlier snapshot"
                )
            hashed.add(file.path)
            stream.seek(0)
        return stream
    except BaseException:
        stream.close()
        raise
