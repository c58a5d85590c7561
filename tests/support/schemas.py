"""Comparing the schema of a Parquet file with the declared one."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def assert_has_schema(file: Any, declared: pa.Schema, further: Sequence[str] = ()) -> None:
    """The file has the declared columns in their order: type, nulls and sentence of each.

    Args:
      file: a path, or a file object.
      declared: the schema in `transforms.schemas`.
      further: catalog columns that follow.
    """
    written = pq.read_schema(file)
    assert written.names == [*declared.names, *further]
    for field in declared:
        assert written.field(field.name).equals(field, check_metadata=True), (written.field(field.name), field)
