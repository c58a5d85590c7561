"""Intermediate files of rows in numbered pieces, of which one can be read without the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms import storage
from transforms.discovery.index.cells import Int64s

_FACT = "fact."


def write_pieces(
    url: str, rows: pa.Table, numbers: Int64s | None, count: int, facts: Mapping[str, int] | None = None
) -> None:
    """Writes rows as an Arrow file with one record batch for each number from 0 to `count` - 1; rows keep their order.

    An earlier attempt may have written the same file.

    Args:
      url: name of the file.
      rows: what is written.
      numbers: of the rows: int64 [n]; None if all are in one piece.
      count: number of pieces.
      facts: numbers that the file says about itself, for `read_facts`.
    """
    rows = rows.replace_schema_metadata({_FACT + name: str(value) for name, value in (facts or {}).items()})
    bounds, ordered = np.array([0, len(rows)]), rows.combine_chunks()
    if numbers is not None:
        order = np.argsort(numbers, kind="stable")
        ordered = rows.take(pa.array(order)).combine_chunks()
        bounds = np.searchsorted(numbers[order], np.arange(count + 1))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, ordered.schema) as writer:
        for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            piece = ordered.slice(start, stop - start).combine_chunks()
            batches = piece.to_batches()
            writer.write_batch(batches[0] if batches else pa.RecordBatch.from_pylist([], ordered.schema))
    storage.ensure(url, bytes(sink.getvalue()))


def read_facts(url: str) -> dict[str, int]:
    """The facts that a file was written with."""
    with storage.open_input(url) as stream:
        found = pa.ipc.open_file(stream).schema.metadata or {}
    names = {name.decode(): int(value) for name, value in found.items()}
    return {name.removeprefix(_FACT): value for name, value in names.items() if name.startswith(_FACT)}


def read_piece(url: str, number: int, columns: Sequence[str] | None = None) -> pa.RecordBatch:
    """One piece of a file; of some columns if they are named. See `storage.open_input` for errors."""
    with storage.open_input(url) as stream:
        file = pa.ipc.open_file(stream)
        if columns is not None:
            fields = [file.schema.get_field_index(name) for name in columns]
            file = pa.ipc.open_file(stream, options=pa.ipc.IpcReadOptions(included_fields=fields))
        return file.get_batch(number)


def fixed_lists(values: npt.NDArray[Any]) -> pa.Array:
    """A column of lists of the same length: from [n, values]."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def lists_of(column: pa.Array) -> npt.NDArray[Any]:
    """What `fixed_lists` made: [n, values]."""
    return np.asarray(column.flatten()).reshape(-1, column.type.list_size)
