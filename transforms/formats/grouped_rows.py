"""Rows on this machine's disk in numbered groups: a shuffle whose memory does not depend on the number of rows."""

import dataclasses
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from transforms.formats.arrow import concat, from_ipc, numbered_parts
from transforms.storage.scratch import Scratch

BUFFERED_ROWS = 65_536
BUFFERED_BYTES = 32 * 2**20
"""A writer holds rows in memory until one of these limits is reached."""


@dataclasses.dataclass(frozen=True)
class GroupedRows:
    """Rows in scratch space under a name. Readers may be in other processes of this machine."""

    scratch: Scratch
    name: str

    def numbers(self) -> list[int]:
        """The numbers of the groups that have rows, ascending."""
        return sorted(int(name.rpartition("/")[2]) for name in self.scratch.names(self.name))

    def pieces(self, number: int) -> Iterator[pa.Table]:
        """The rows of a group, one piece after the other, in the order of writing."""
        return map(from_ipc, self.scratch.records(self._place(number)))

    def group(self, number: int) -> pa.Table:
        """All rows of a group, which must have rows."""
        return concat(list(self.scratch.records(self._place(number))))

    def append(self, number: int, record: bytes) -> None:
        """Adds rows, as an Arrow IPC stream, to a group. All rows must have the same schema."""
        self.scratch.append(self._place(number), record)

    def remove(self, number: int) -> None:
        """Removes a group."""
        self.scratch.remove(self._place(number))

    def _place(self, number: int) -> str:
        return f"{self.name}/{number}"


class GroupWriter:
    """Writes rows into their groups. As a context manager, it writes the last rows at the end of its block."""

    def __init__(self, groups: GroupedRows) -> None:
        self._groups = groups
        self._tables: list[pa.Table] = []
        self._numbers: list[np.ndarray] = []
        self._rows = self._bytes = 0

    def add(self, rows: pa.Table, numbers: np.ndarray) -> None:
        """Adds rows; `numbers` has the group of each."""
        self._tables.append(rows)
        self._numbers.append(numbers)
        self._rows += rows.num_rows
        self._bytes += rows.nbytes
        if self._rows >= BUFFERED_ROWS or self._bytes >= BUFFERED_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            for number, record in numbered_parts(pa.concat_tables(self._tables), np.concatenate(self._numbers)):
                self._groups.append(number, record)
        self._tables, self._numbers = [], []
        self._rows = self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
