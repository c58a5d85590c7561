"""Files of an index: each has the tracks of some cells, sorted by cell and track_id.

The ids and codes, which a search reads when it starts, are one Arrow record batch. The vectors, of which it reads a few
for each query, are in a file of their own without a header.
"""

import dataclasses
import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.discovery.index.cells import Int64s
from transforms.discovery.index.codes import CodeWords, encode
from transforms.discovery.index.model import IndexModel
from transforms.discovery.index.rows import VectorRows, local_rows
from transforms.discovery.similarity import Float32s
from transforms.storage.mapped import mapped

DIGEST_BYTES = 16


@dataclasses.dataclass(frozen=True, eq=False)
class IndexGroup:
    """The tracks of a group, in memory or mapped.

    Attributes:
      track_ids: of the tracks.
      cells: cell of each track, ascending: int32 [n].
      durations: seconds, NaN if unknown: float32 [n].
      codes: uint64 [n, words].
      factors: float32 [n].
      vectors: float16 [n, d], which can be rows that are read when they are asked for.
    """

    track_ids: pa.Array
    cells: npt.NDArray[np.int32]
    durations: Float32s
    codes: CodeWords
    factors: Float32s
    vectors: VectorRows

    @classmethod
    def of(
        cls, model: IndexModel, track_ids: pa.Array, cells: Int64s, durations: Float32s, vectors: Float32s
    ) -> "IndexGroup":
        """Sorts and encodes tracks of a group's cells, which come in any order."""
        order = np.lexsort((_ranks(track_ids), cells))
        own, vectors = cells[order].astype(np.int32), vectors[order]
        codes, factors = encode(vectors, model.centres[own], model.turn)
        ids = track_ids.take(pa.array(order))
        return cls(ids, own, durations[order], codes, factors, vectors.astype(np.float16))

    def __len__(self) -> int:
        return len(self.cells)

    def only(self, rows: npt.NDArray[np.bool_]) -> "IndexGroup":
        """The group without the other rows."""
        return IndexGroup(
            self.track_ids.filter(pa.array(rows)),
            self.cells[rows],
            self.durations[rows],
            self.codes[rows],
            self.factors[rows],
            self.vectors[rows],
        )

    def joined(self, other: "IndexGroup") -> tuple["IndexGroup", Int64s]:
        """The tracks of both, sorted; and the place of each of the own ones and of the others among them."""
        ids = pa.concat_arrays([self.track_ids, other.track_ids])
        cells = np.concatenate([self.cells, other.cells])
        order = np.lexsort((_ranks(ids), cells))
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        found = IndexGroup(
            ids.take(pa.array(order)),
            cells[order],
            np.concatenate([self.durations, other.durations])[order],
            np.concatenate([self.codes, other.codes])[order],
            np.concatenate([self.factors, other.factors])[order],
            np.concatenate([self.vectors[:], other.vectors[:]])[order],
        )
        return found, places

    def vectors_to_bytes(self) -> bytes:
        """The file of the vectors."""
        return np.ascontiguousarray(self.vectors[:]).tobytes()

    def to_bytes(self) -> bytes:
        """The file of all but the vectors: Arrow IPC without compression, so that it can be mapped."""
        columns = {
            "track_id": self.track_ids,
            "cell": pa.array(self.cells),
            "duration_s": pa.array(self.durations),
            "factor": pa.array(self.factors),
            "code": _fixed(self.codes),
        }
        batch = pa.record_batch(columns)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return bytes(sink.getvalue())

    @classmethod
    def opened(cls, url: str, vectors: str, dimensions: int) -> "IndexGroup":
        """Maps both files of a group.

        Raises:
          ValueError: one is no such file.
          storage.StorageError: one is missing or unreadable.
        """
        return cls.of_bytes(mapped(url), local_rows(vectors, dimensions))

    @classmethod
    def of_bytes(cls, data: memoryview, vectors: VectorRows) -> "IndexGroup":
        """The group in the bytes of a file, which are not copied, and the vectors of its tracks.

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
            vectors,
        )


def track_ids_of(url: str) -> pa.Array:
    """The ids of the tracks of a group. See `IndexGroup.opened` for errors."""
    return pa.ipc.open_file(pa.py_buffer(mapped(url))).get_batch(0)["track_id"]


def digests(embeddings: Float32s, scores: Float32s, durations: Float32s) -> pa.Array:
    """All that the index of a model is made of but the id, as 16 bytes a track: equal ones are the same to it."""
    rows = (np.ascontiguousarray(values, np.float32) for values in (embeddings, scores, durations))
    found = (hashlib.blake2b(b"".join(row), digest_size=DIGEST_BYTES).digest() for row in zip(*rows, strict=True))
    return pa.array(list(found), pa.binary(DIGEST_BYTES))


def _ranks(ids: pa.Array) -> Int64s:
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
