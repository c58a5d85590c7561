"""Files as memory: a local file is mapped, so that only the pages that are used are read."""

import mmap

from transforms import storage
from transforms.storage.local import open_input


def mapped(url: str) -> memoryview:
    """The bytes of a file, read-only; of a `gs://` object, all are read.

    Raises:
      NotFound, PermissionDenied, Unavailable: see `errors`.
    """
    if "://" in url:
        return memoryview(storage.read_bytes(url))
    with open_input(url) as stream:
        if stream.seek(0, 2) == 0:  # an empty file cannot be mapped
            return memoryview(b"")
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
