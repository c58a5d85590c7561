"""Iceberg's schemas of the tables: types of columns, and ids that stay with the columns' names.

The Parquet files have no field ids. The table's name mapping (`schema.name-mapping.default`) gives each column its id
by its name, so that every file is read as it is. The mapping keeps all names that the table ever had.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from transforms.schemas.tables import TABLES

Mapped = list[dict[str, Any]]
"""A name mapping as JSON: `field-id`, `names`, and `fields` of a nested column."""

PLAIN_TYPES: dict[pa.DataType, str] = {
    pa.bool_(): "boolean",
    pa.int8(): "int",
    pa.int16(): "int",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.large_string(): "string",
    pa.binary(): "binary",
    pa.large_binary(): "binary",
    pa.date32(): "date",
    pa.null(): "int",  # Parquet stores a column without any value as integers
}
"""Arrow type -> Iceberg's, for the types that `stored_type` returns."""

_WIDER = {pa.int64(): {pa.int8(), pa.int16(), pa.int32()}, pa.float64(): {pa.float32()}}


def merged_schema(name: str, schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns of a table's files. A column that a file lacks is nullable.

    Args:
      name: the table.
      schemas: schemas of its files; without any, the table has its declared columns.

    Returns:
      Every column with its type; that of the first file if the types of two files cannot be reconciled.
    """
    if not schemas:
        return TABLES[name]
    names = dict.fromkeys(column for schema in schemas for column in schema.names)
    fields = []
    for column in names:
        found = [schema.field(column) for schema in schemas if column in schema.names]
        nullable = len(found) < len(schemas) or any(field.nullable for field in found)
        fields.append(pa.field(column, _common_type([field.type for field in found]), nullable=nullable))
    return pa.schema(fields)


def _common_type(kinds: Sequence[pa.DataType]) -> pa.DataType:
    common = kinds[0]
    for kind in kinds[1:]:
        if pa.types.is_null(common) or common in _WIDER.get(kind, ()):
            common = kind
    return common


class FieldIds:
    """Ids of columns by their names, which are continued from a name mapping.

    Attributes:
      mapping: the name mapping with all ids.
      last: highest id.
    """

    def __init__(self, mapping: Mapped, last: int) -> None:
        self.mapping, self.last = mapping, last

    def entry(self, siblings: Mapped, name: str) -> dict[str, Any]:
        """The entry of a name among its siblings; a new name gets the next id."""
        for known in siblings:
            if name in known["names"]:
                return known
        self.last += 1
        siblings.append({"field-id": self.last, "names": [name]})
        return siblings[-1]

    def schema(self, name: str, columns: pa.Schema) -> dict[str, Any]:
        """Iceberg's schema of a table as JSON, without its `schema-id`.

        A column whose type Iceberg cannot express is left out; `stored_type` returns no such type.
        """
        fields = [self._field(self.mapping, field) for field in columns]
        known = [field for field in fields if field is not None]
        for field in known:
            if sentence := _sentence(name, field["name"]):
                field["doc"] = sentence
        return {"type": "struct", "fields": known}

    def _field(self, siblings: Mapped, field: pa.Field) -> dict[str, Any] | None:
        if not _expressible(field.type):
            return None
        entry = self.entry(siblings, field.name)
        return {
            "id": entry["field-id"],
            "name": field.name,
            "required": not field.nullable,
            "type": self._type(field.type, entry),
        }

    def _type(self, kind: pa.DataType, entry: dict[str, Any]) -> Any:
        if (plain := _plain_type(kind)) is not None:
            return plain
        inner: Mapped = entry.setdefault("fields", [])
        if pa.types.is_struct(kind):
            return {"type": "struct", "fields": [self._field(inner, field) for field in kind]}
        if pa.types.is_map(kind):
            key, value = self.entry(inner, "key"), self.entry(inner, "value")
            return {
                "type": "map",
                "key-id": key["field-id"],
                "key": self._type(kind.key_type, key),
                "value-id": value["field-id"],
                "value": self._type(kind.item_type, value),
                "value-required": not kind.item_field.nullable,
            }
        element = self.entry(inner, "element")
        return {
            "type": "list",
            "element-id": element["field-id"],
            "element": self._type(kind.value_type, element),
            "element-required": not kind.value_field.nullable,
        }


def _expressible(kind: pa.DataType) -> bool:
    if pa.types.is_map(kind):
        return _expressible(kind.key_type) and _expressible(kind.item_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _expressible(kind.value_type)
    if pa.types.is_struct(kind):
        return all(_expressible(field.type) for field in kind)
    return _plain_type(kind) is not None


def _plain_type(kind: pa.DataType) -> str | None:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamptz"
    if pa.types.is_decimal128(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    return PLAIN_TYPES.get(kind)


def _sentence(name: str, column: str) -> str:
    """What the declaration of a table says about a column; "" for further columns."""
    declared = TABLES[name]
    if column not in declared.names:
        return ""
    return ((declared.field(column).metadata or {}).get(b"description") or b"").decode()
