"""What the rows of a table say of their files, by the columns that a user names or that have usual names."""

from collections.abc import Callable, Sequence

from transforms.catalog.importers.assignments import field_reader, plain_name, spelled
from transforms.catalog.importers.layout import CsvLayout
from transforms.catalog.importers.matching import RowKey
from transforms.catalog.importers.source_table import SourceTable
from transforms.catalog.metadata import further_values


def row_key_reader(source: SourceTable, layout: CsvLayout) -> Callable[[Sequence[str]], RowKey]:
    """The function from the fields of a row to what is compared with files.

    Raises:
      ValueError: the table has no column to match by.
    """
    wanted = {"path": "uri"} if layout.match == "path" else {name: name for name in str(layout.match).split("+")}
    columns = {name: _key_column(source, layout, target) for name, target in wanted.items()}
    in_ms = plain_name(columns.get("duration", "")).endswith(("ms", "milliseconds"))
    length = field_reader(source, columns.pop("duration")) if "duration" in columns else None
    texts = {name: field_reader(source, column) for name, column in columns.items()}
    track = layout.renamed.get("track_id")
    track_id = field_reader(source, track) if track else "\0".join

    def read(fields: Sequence[str]) -> RowKey:
        return RowKey(
            track_id=track_id(fields),
            texts={name: reader(fields) for name, reader in texts.items()},
            duration_s=_length(length(fields), in_ms=in_ms) if length else None,
        )

    return read


def _key_column(source: SourceTable, layout: CsvLayout, name: str) -> str:
    """The column that rows are matched by: as the user names it, else by its usual names."""
    if name in layout.renamed:
        return layout.renamed[name]
    if found := spelled(name, source.names):
        return found[0]
    raise ValueError(f"--match {layout.match}: no column {name!r}: give --column 'COLUMN AS {name}'")


def _length(text: str, *, in_ms: bool) -> float | None:
    try:
        return further_values.milliseconds(text) if in_ms else further_values.seconds(text)
    except ValueError:
        return None
