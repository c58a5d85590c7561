"""Arrow tables as bytes. Beam shuffles them instead of one element per row."""

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.formats.hashing import bucket_of


def to_ipc(table: pa.Table | pa.RecordBatch) -> bytes:
    """The table as an Arrow IPC stream. Of a slice, only its own rows are written."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


def from_ipc(data: bytes) -> pa.Table:
    """The table that `to_ipc` wrote."""
    return pa.ipc.open_stream(data).read_all()


def concat(parts: list[bytes]) -> pa.Table:
    """One table from several IPC streams of the same schema."""
    return pa.concat_tables([from_ipc(part) for part in parts]).combine_chunks()


def split_by_bucket(batch: bytes, buckets: int) -> Iterator[tuple[int, bytes]]:
    """(bucket, rows of the bucket) for each bucket of an IPC stream whose rows have a `track_id`; rows keep order."""
    rows = from_ipc(batch)
    return numbered_parts(rows, group_numbers(rows["track_id"].to_pylist(), buckets))


def group_numbers(keys: Iterable[str], groups: int) -> np.ndarray:
    """`bucket_of` each key: int64 [keys]."""
    return np.fromiter((bucket_of(key, groups) for key in keys), np.int64)


def numbered_parts(rows: pa.Table, numbers: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """(number, its rows as an IPC stream) for each number, ascending; `numbers` has one per row; rows keep order."""
    order = np.argsort(numbers, kind="stable")
    ordered = rows.take(pa.array(order)).combine_chunks()
    found, starts = np.unique(numbers[order], return_index=True)
    for number, start, stop in zip(found.tolist(), starts, np.append(starts, len(order))[1:], strict=True):
        yield number, to_ipc(ordered.slice(start, stop - start))


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """The chunks of a column as one array."""
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def content_digest(table: pa.Table) -> str:
    """SHA-256 of column names, types and values in row order. It is equal for equal rows, however they are stored."""
    sha = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        sha.update(f"{name}\0{type_name(column.type)}\0{len(column)}\0".encode())
        _update(sha, column)
    return sha.hexdigest()


def type_name(kind: pa.DataType) -> str:
    """A type's name without the names of list items, which Parquet changes."""
    if isinstance(kind, pa.BaseExtensionType):
        return type_name(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return type_name(kind.value_type)
    if pa.types.is_map(kind):
        return f"map<{type_name(kind.key_type)}, {type_name(kind.item_type)}>"
    if pa.types.is_fixed_size_list(kind):
        return f"list<{type_name(kind.value_type)}>[{kind.list_size}]"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return "struct<" + ", ".join(f"{field.name}: {type_name(field.type)}" for field in kind) + ">"
    return str(kind)


def _update(sha: "hashlib._Hash", column: pa.ChunkedArray | pa.Array) -> None:
    """Adds the validity, lengths and values of a column to the hash, with nested children flattened."""
    sha.update(np.packbits(column.is_valid().to_numpy(zero_copy_only=False)).tobytes())
    kind, chunks = column.type, column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if _is_string_or_binary(kind):  # the largest columns: one contiguous copy would take hundreds of MB
        for chunk in chunks:
            sha.update(_filled(pc.binary_length(chunk)))
        for chunk in chunks:
            sha.update(_joined(chunk))
        return
    array = pa.concat_arrays(chunks) if chunks else pa.array([], kind)
    if isinstance(kind, pa.BaseExtensionType):
        _update(sha, array.storage)
    elif pa.types.is_dictionary(kind):
        _update(sha, array.dictionary_decode())
    elif pa.types.is_map(kind):
        pair = pa.struct([pa.field("key", kind.key_type, nullable=False), pa.field("value", kind.item_type)])
        _update(sha, array.cast(pa.list_(pair)))
    elif pa.types.is_fixed_size_list(kind):
        _update(sha, array.flatten())
    elif pa.types.is_struct(kind):
        for child in array.flatten():
            _update(sha, child)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        sha.update(_filled(array.value_lengths()))
        _update(sha, array.flatten())
    elif pa.types.is_fixed_size_binary(kind) or pa.types.is_decimal(kind):
        sha.update(_slots(array))
    else:
        sha.update(_filled(array))


def _is_string_or_binary(kind: pa.DataType) -> bool:
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(text or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _joined(array: pa.Array) -> memoryview:
    """All non-null values of a string or binary array, concatenated."""
    values = array.cast(pa.large_binary()).drop_null()
    if len(values) == 0:
        return memoryview(b"")
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int64)
    return memoryview(data)[bounds[values.offset] : bounds[values.offset + len(values)]]


def _slots(array: pa.Array) -> memoryview:
    """The bytes of all non-null values of a type that numpy lacks: decimals and fixed-size binary."""
    values, width = array.drop_null(), array.type.bit_width // 8
    if len(values) == 0:
        return memoryview(b"")
    return memoryview(values.buffers()[1])[values.offset * width : (values.offset + len(values)) * width]


def _filled(array: pa.Array) -> bytes | memoryview:
    if pa.types.is_boolean(array.type):
        return np.packbits(array.fill_null(False).to_numpy(zero_copy_only=False)).tobytes()
    if pa.types.is_null(array.type):
        return b""
    if pa.types.is_temporal(array.type):
        array = array.cast(pa.int64()) if array.type.bit_width == 64 else array.cast(pa.int32())
    values = (array.fill_null(0) if array.null_count else array).to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(values).view(np.uint8).data
