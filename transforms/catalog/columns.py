"""The schema of a catalog: known columns, further columns with a type common to all files, and each row's origin."""

from collections.abc import Collection, Iterator

import pyarrow as pa

from transforms.catalog import limits
from transforms.catalog.files import CatalogFile
from transforms.catalog.problems import CatalogError, Problem
from transforms.catalog.stored_types import stored_name, stored_type
from transforms.schemas.catalog import CATALOG, FILE, ROW
from transforms.schemas.fusion import SAID, SAID_ID
from transforms.schemas.tables import TRACKS

_TAKEN = (FILE, ROW, SAID, SAID_ID)
_PLACE = pa.schema([pa.field(FILE, pa.string(), nullable=False), pa.field(ROW, pa.int64(), nullable=False)])


def file_problems(file: CatalogFile) -> list[Problem]:
    """Problems of missing columns and of columns with impossible types. An empty JSON Lines file has no columns."""
    problems = [_missing(file, name) for name in ("track_id", "uri") if name not in file.columns and file.columns]
    for name, type_ in file.columns.items():
        if name in _TAKEN:
            problems.append(_file_problem(file, name, "this name is taken: rename the column"))
        elif file.format == "parquet" and name in CATALOG.names and not _fits(name, type_):
            wanted = CATALOG.field(name).type
            problems.append(_file_problem(file, name, f"type {str(type_)[:60]} cannot be read as {wanted}: cast it"))
    return problems


def _missing(file: CatalogFile, name: str) -> Problem:
    near = [c for c in file.columns if c.lower().replace(" ", "_") == name]
    hint = f"rename column {near[0]!r}" if near else f"the columns are {limits.listed(file.columns)}"
    return _file_problem(file, name, f"no such column: {hint}")


def _file_problem(file: CatalogFile, name: str | None, message: str) -> Problem:
    return Problem(file=file.url, row=None, column=name, message=message)


def _fits(name: str, type_: pa.DataType) -> bool:
    """Whether a Parquet column of this type can contain the known column. Values are checked later."""
    if pa.types.is_dictionary(type_):
        return _fits(name, type_.value_type)
    if name == "tags" and (pa.types.is_list(type_) or pa.types.is_large_list(type_)):
        item = type_.value_type
        return _is_string(item) or (pa.types.is_struct(item) and {f.name for f in item} <= {"tag", "weight"})
    if name == "tags":
        return _is_string(type_) or pa.types.is_null(type_) or pa.types.is_map(type_)
    number = pa.types.is_integer(type_) or pa.types.is_floating(type_)
    return _is_string(type_) or pa.types.is_null(type_) or number


def _is_string(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def catalog_schema(files: Collection[CatalogFile]) -> pa.Schema:
    """The schema that all batches of a catalog share, from the columns of all its files.

    Raises:
      CatalogError: no single type can represent a further column's types in different files.
    """
    types: dict[str, pa.DataType] = {}
    for file in files:
        for name in sorted(set(file.columns) - set(CATALOG.names)):
            kind = stored_type(file.columns[name])
            if (both := _unified(types.get(name, kind), kind)) is None:
                raise CatalogError(
                    [
                        _file_problem(
                            file, name, f"{str(kind)[:60]} here, {str(types[name])[:60]} in an earlier file: cast one"
                        )
                    ]
                )
            types[name] = both
        if len(types) > limits.MOST_COLUMNS:
            raise CatalogError(
                [_file_problem(file, None, f"{len(types)} columns with those of earlier files: remove some")]
            )
    further = {name: pa.string() if pa.types.is_null(kind) else kind for name, kind in sorted(types.items())}
    return pa.schema([*CATALOG, *_further_fields(further), *_PLACE])


def _unified(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if pa.types.is_nested(a) or pa.types.is_nested(b) or pa.types.is_binary(a) or pa.types.is_binary(b):
        return None
    if pa.types.is_signed_integer(a) and pa.types.is_signed_integer(b):
        return pa.int64()
    numbers = all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in (a, b))
    return pa.float64() if numbers else pa.string()


def _further_fields(further: dict[str, pa.DataType]) -> Iterator[pa.Field]:
    """Fields of the further columns, see `stored_name`. They are `catalog_<name>` if a table's column has the name.

    Names are compared without case because some engines that read the tables do not distinguish `Title` and `title`.
    """
    taken = {name.lower() for name in (*CATALOG.names, *TRACKS.names)}
    for name, kind in further.items():
        carried = stored_name(name)
        while carried.lower() in taken:
            carried = f"catalog_{carried}"
        taken.add(carried.lower())
        yield pa.field(carried, kind, metadata={"description": f"Catalog column `{name}`.", "catalog_column": name})


def further_columns(schema: pa.Schema) -> dict[str, str]:
    """Further columns of a catalog's schema: name in the schema -> name in the files."""
    fields = [schema.field(i) for i in range(len(CATALOG), len(schema) - len(_PLACE))]
    return {field.name: field.metadata[b"catalog_column"].decode() for field in fields}
