"""Sizes of decoded rows, before they are decoded."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

LIST_ITEM_BYTES = 32
"""Added for each item of a list, which needs more memory as an object than its bytes."""

Sizes = npt.NDArray[np.int64]


def row_sizes(batch: pa.RecordBatch) -> Sizes:
    """Bytes of each row without dictionaries: int64 [rows]."""
    total = np.zeros(len(batch), np.int64)
    for column in batch.columns:
        total += _sizes(column)
    return total


def _sizes(array: pa.Array) -> Sizes:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _sizes(array.storage)
    if pa.types.is_dictionary(kind):
        return _of_entries(array)
    if pa.types.is_map(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _of_lists(array)
    if pa.types.is_fixed_size_list(kind):
        items = _sizes(array.values.slice(array.offset * kind.list_size, len(array) * kind.list_size))
        sums: Sizes = items.reshape(len(array), kind.list_size).sum(axis=1) + LIST_ITEM_BYTES * kind.list_size
        return sums
    if pa.types.is_struct(kind):
        return sum((_sizes(child) for child in array.flatten()), np.zeros(len(array), np.int64))
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        array = array.cast(pa.large_binary())
    if _is_variable(array.type):
        return _numbers(pc.binary_length(array))
    width = 0 if pa.types.is_null(kind) else kind.bit_width // 8 or 1
    return np.full(len(array), width, np.int64)


def _is_variable(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def without_dictionaries(kind: pa.DataType) -> pa.DataType:
    """The type whose values are stored one by one, also within lists, maps and structs."""
    if pa.types.is_dictionary(kind):
        return without_dictionaries(kind.value_type)
    if pa.types.is_map(kind):
        return pa.map_(_field_without(kind.key_field), _field_without(kind.item_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_field_without(kind.value_field), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(_field_without(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_field_without(kind.value_field))
    return pa.struct([_field_without(field) for field in kind]) if pa.types.is_struct(kind) else kind


def _field_without(field: pa.Field) -> pa.Field:
    return field.with_type(without_dictionaries(field.type))


def _numbers(array: pa.Array) -> Sizes:
    found: Sizes = pc.fill_null(array, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _of_entries(array: pa.Array) -> Sizes:
    entries = _sizes(array.dictionary)
    if not len(entries):
        return np.zeros(len(array), np.int64)
    sizes: Sizes = np.where(array.is_valid().to_numpy(zero_copy_only=False), entries[_numbers(array.indices)], 0)
    return sizes


def _of_lists(array: pa.Array) -> Sizes:
    offsets = array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    values = array.keys if pa.types.is_map(array.type) else array.values
    items = _sizes(values) + LIST_ITEM_BYTES
    if pa.types.is_map(array.type):
        items = items + _sizes(array.items)
    ends = np.concatenate([np.zeros(1, np.int64), items.cumsum()])
    sizes: Sizes = ends[offsets[1:]] - ends[offsets[:-1]]
    return sizes
