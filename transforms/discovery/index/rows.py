"""Rows of numbers in a file without a header: mapped if the file is local, read by ranges from `gs://`."""

import collections
import concurrent.futures
import threading
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from transforms import storage
from transforms.storage.mapped import mapped

BLOCK_ROWS = 256
"""Rows that are read at once."""

_KEPT_BLOCKS = 16
"""Blocks of a file that stay in memory: those of about as many cells."""

_REQUESTS = 16
"""Requests at the same time."""


class VectorRows(Protocol):
    """float16 rows: an array, or rows that are read when they are asked for."""

    def __getitem__(self, places: Any, /) -> npt.NDArray[np.float16]:
        """The rows at some places: [n, d]."""
        ...


def local_rows(url: str, dimensions: int) -> npt.NDArray[np.float16]:
    """All rows of a file, mapped: float16 [n, dimensions]; of a `gs://` object, all are read.

    Raises:
      ValueError: it is no such file.
      storage.StorageError: it is missing or unreadable.
    """
    return np.frombuffer(mapped(url), np.float16).reshape(-1, dimensions)


class RangedRows:
    """Rows of a file of which only blocks are read; the last few blocks stay in memory.

    Args:
      url: a file that is never replaced.
      count: number of its rows.
      dimensions: values of a row.
    """

    def __init__(self, url: str, count: int, dimensions: int) -> None:
        self._url, self._count, self._dimensions = url, count, dimensions
        self._blocks: collections.OrderedDict[int, npt.NDArray[np.float16]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, places: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.float16]:
        """The rows at some places: float16 [n, dimensions].

        Raises:
          storage.StorageError: the file is missing, unreadable or too short.
        """
        places = np.arange(self._count)[places] if isinstance(places, slice) else places
        numbers, own = np.divmod(places, BLOCK_ROWS)
        found = np.empty((len(places), self._dimensions), np.float16)
        wanted = np.unique(numbers).tolist()
        blocks = self._known(wanted)
        for number, block in zip(wanted, blocks, strict=True):
            mine = numbers == number
            found[mine] = block[own[mine]]
        return found

    def _known(self, numbers: list[int]) -> list[npt.NDArray[np.float16]]:
        """Blocks by number, read where they are not in memory; blocks in a row with one request."""
        with self._lock:
            known = {number: self._blocks[number] for number in numbers if number in self._blocks}
        missing = [number for number in numbers if number not in known]
        runs = np.split(missing, np.flatnonzero(np.diff(missing) != 1) + 1) if missing else []
        for run in runs:
            known |= self._read(int(run[0]), int(run[-1]) + 1)
        with self._lock:
            for number in numbers:
                self._blocks[number] = known[number]
                self._blocks.move_to_end(number)
            while len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        return [known[number] for number in numbers]

    def _read(self, first: int, end: int) -> dict[int, npt.NDArray[np.float16]]:
        width = self._dimensions * np.dtype(np.float16).itemsize
        start, stop = first * BLOCK_ROWS, min(end * BLOCK_ROWS, self._count)
        data = storage.read_range(self._url, start * width, stop * width)
        rows = np.frombuffer(data, np.float16).reshape(-1, self._dimensions)
        return {number: rows[(number - first) * BLOCK_ROWS :][:BLOCK_ROWS] for number in range(first, end)}


def readers() -> concurrent.futures.ThreadPoolExecutor:
    """Threads for requests at the same time."""
    return concurrent.futures.ThreadPoolExecutor(_REQUESTS, thread_name_prefix="index")
