"""A column of a schema, and the sentence that documents it."""

import pyarrow as pa


def column(name: str, type_: pa.DataType, sentence: str, *, nullable: bool = False) -> pa.Field:
    """A field whose metadata holds the sentence that `docs/reference/tables.md` prints."""
    return pa.field(name, type_, nullable=nullable, metadata={"description": sentence})
