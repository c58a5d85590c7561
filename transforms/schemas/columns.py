"""A column of a schema, and the sentence that describes it."""

import pyarrow as pa


def column(name: str, type_: pa.DataType, sentence: str, *, nullable: bool = False) -> pa.Field:
    """Returns a field whose metadata contains the sentence that is printed in `docs/reference/tables.md`."""
    return pa.field(name, type_, nullable=nullable, metadata={"description": sentence})
