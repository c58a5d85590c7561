"""Files of an index: each has the tracks of some cells, sorted by cell and track_id, as one Arrow record batch."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.discovery.index.cells import Ints
from transforms.discovery.index.codes import Words, encode
from transforms.discovery.index.model import IndexModel
from transforms.discovery.similarity import Float32s
from transforms.storage.mapped import mapped


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """The tracks of a file, in memory or mapped.

    Attributes:
      track_ids: of the tracks.
      cells: cell of each track, ascending: int32 [n].
      durations: seconds, NaN if unknown: float32 [n].
      codes: uint64 [n, words].
      factors: float32 [n].
      vectors: float16 [n, d].
    """

    track_ids: pa.Array
    cells: npt.NDArray[np.int32]
    durations: Float32s
    codes: Words
    factors: Float32s
    vectors: npt.NDArray[np.float16]

    @classmethod
    def of(cls, model: IndexModel, track_ids: pa.Array, cells: Ints, durations: Float32s, vectors: Float32s) -> "Group":
        """Sorts and encodes tracks of a group's cells, which come in any order."""
        order = np.lexsort((_ranks(track_ids), cells))
        own, vectors = cells[order].astype(np.int32), vectors[order]
        codes, factors = encode(vectors, model.centres[own], model.turn)
        ids = track_ids.take(pa.array(order))
        return cls(ids, own, durations[order], codes, factors, vectors.astype(np.float16))

    def to_bytes(self) -> bytes:
        """The file: Arrow IPC without compression, so that it can be mapped."""
        columns = {
            "track_id": self.track_ids,
            "cell": pa.array(self.cells),
            "duration_s": pa.array(self.durations),
            "factor": pa.array(self.factors),
            "code": _fixed(self.codes),
            "vector": _fixed(self.vectors),
        }
        batch = pa.record_batch(columns)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return bytes(sink.getvalue())

    @classmethod
    def opened(cls, url: str) -> "Group":
        """Maps a file.

        Raises:
          ValueError: it is no such file.
          storage.StorageError: it is missing or unreadable.
        """
        return cls.of_bytes(mapped(url))

    @classmethod
    def of_bytes(cls, data: memoryview) -> "Group":
        """The group in the bytes of a file, which are not copied.

        Raises:
          ValueError: they are no such file.
        """
        batch = pa.ipc.open_file(pa.py_buffer(data)).get_batch(0)
        return cls(
            batch["track_id"],
            np.asarray(batch["cell"]),
            np.asarray(batch["duration_s"]),
            _rows(batch["code"], np.uint64),
            np.asarray(batch["factor"]),
            _rows(batch["vector"], np.float16),
        )


def _ranks(ids: pa.Array) -> Ints:
    """Rank of each id among all."""
    ranks = np.empty(len(ids), np.int64)
    ranks[np.asarray(pa.compute.sort_indices(ids))] = np.arange(len(ids))
    return ranks


def _fixed(values: npt.NDArray[Any]) -> pa.Array:
    """Rows as one column of bytes."""
    values = np.ascontiguousarray(values)
    width = values.dtype.itemsize * values.shape[1]
    return pa.Array.from_buffers(pa.binary(width), len(values), [None, pa.py_buffer(values)])


def _rows(column: pa.Array, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """What `_fixed` made: [n, values of a row], without a copy."""
    width = column.type.byte_width // np.dtype(dtype).itemsize
    return np.frombuffer(column.buffers()[1], dtype)[: len(column) * width].reshape(len(column), width)
