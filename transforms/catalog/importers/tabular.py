"""Makes a catalog from any text table: renames columns, finds types and separators, joins the files of a folder."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from transforms.catalog.importers.assignments import field_reader
from transforms.catalog.importers.builder import CatalogBuilder, RowTags
from transforms.catalog.importers.column_types import Cell, ColumnSurvey, typed_reader
from transforms.catalog.importers.column_uses import ColumnUse, column_use
from transforms.catalog.importers.folder import folder_track_id
from transforms.catalog.importers.layout import CsvLayout
from transforms.catalog.importers.matching import FileIndex, FoundFile, MatchReport, match_rows
from transforms.catalog.importers.name_lists import NameList
from transforms.catalog.importers.row_keys import row_key_reader
from transforms.catalog.importers.source_table import SourceRow, read_table
from transforms.catalog.importers.tag_columns import (
    TagReader,
    checked_category,
    id_reader,
    list_reader,
    wide_places,
    wide_reader,
)
from transforms.catalog.limits import listed
from transforms.schemas.catalog import CATALOG


def import_csv(url: str, layout: CsvLayout) -> CatalogBuilder:
    """Makes the catalog of one table, see `CsvImport`.

    Raises:
      ValueError: the table lacks a column that the layout names.
    """
    return CsvImport(url, layout).read()


class CsvImport:
    """The import of one table. The constructor looks at all values, `read` makes the catalog.

    Keeps all columns of the table except tag columns, unless `wide` contains `*`: then only renamed columns.

    Raises:
      ValueError: the table lacks a column that the layout names.
    """

    def __init__(self, url: str, layout: CsvLayout) -> None:
        self._source = source = read_table(url, names=layout.names, encoding=layout.encoding)
        self._layout = layout = layout.resolved(url, source.names)
        known = {column for name, column in layout.renamed.items() if name in CATALOG.names}
        untyped = {*CATALOG.names, *known, *layout.tag_columns} if layout.typed else set(source.names)
        self._surveys = {name: ColumnSurvey(name=name, typed=name not in untyped) for name in source.names if name}
        self._lists = {column: NameList(column=column, given=layout.separator) for _, column in layout.lists}
        for column in self._lists:
            source.place(column)
        self._survey()
        self._plain = self._plain_readers()
        self._tags = self._tag_readers()

    @property
    def form(self) -> str:
        """How the table is written."""
        return str(self._source.text.form)

    @property
    def count(self) -> int:
        """Number of rows."""
        return self._source.text.rows

    def _survey(self) -> None:
        watched = [(place, self._surveys[name], self._lists.get(name)) for place, name in self._places().items()]
        width = len(self._source.names)
        for row in self._source.rows():
            if not isinstance(row.fields, ValueError) and len(row.fields) == width:
                for place, survey, names in watched:
                    survey.add(row.fields[place])
                    if names is not None:
                        names.survey(row.fields[place])

    def _places(self) -> dict[int, str]:
        return {place: name for place, name in enumerate(self._source.names) if name}

    def read(self, files: Iterable[FoundFile] = (), report: MatchReport | None = None) -> CatalogBuilder:
        """Makes the catalog.

        Args:
          files: the files of the folder, if the layout joins rows with files.
          report: gets what has no partner.

        Raises:
          ValueError: the table has no column to match by, or the file was replaced.
        """
        layout = self._layout
        imported = CatalogBuilder(kinds=dict(layout.kinds), sources=[self._source.text], paths=layout.paths)
        found = None if layout.match is None else self._matched(FileIndex(layout.match, files), report or MatchReport())
        for row in imported.rows_of(self._source):
            if found is not None and row.number not in found:
                imported.lose(row, "no single file of the folder matches")
                continue
            values = self._values(row, imported)
            values["tags"] = self._row_tags(row, imported)
            if found is not None:
                file = found[row.number]
                values = {"track_id": folder_track_id(file.relative)} | values | {"uri": file.uri}
            else:
                values["uri"] = _without_base(values["uri"], layout.uri_bases)
            imported.add(row, values)
        imported.warnings += [names.warning for names in self._lists.values() if names.warning]
        return imported

    def _values(self, row: SourceRow, imported: CatalogBuilder) -> dict[str, Any]:
        fields = row.values
        try:
            return {name: read(fields) for name, read in self._plain.items()}
        except ValueError:
            return self._sound_values(row, imported)

    def _sound_values(self, row: SourceRow, imported: CatalogBuilder) -> dict[str, Any]:
        """The values that can be read; the others are counted."""
        values: dict[str, Any] = {}
        for name, read in self._plain.items():
            try:
                values[name] = read(row.values)
            except ValueError as e:
                imported.leave_out(row, name, str(e))
        return values

    def _row_tags(self, row: SourceRow, imported: CatalogBuilder) -> RowTags:
        tags: RowTags = {}
        for read_tags in self._tags:
            found, faults = read_tags(row.values)
            tags |= found
            for column, message in faults:
                imported.leave_out(row, column, message)
        return tags

    def _matched(self, index: FileIndex, report: MatchReport) -> dict[int, FoundFile]:
        key = row_key_reader(self._source, self._layout)
        width = len(self._source.names)
        rows = (r for r in self._source.rows() if not isinstance(r.fields, ValueError) and len(r.fields) == width)
        return match_rows(index, ((row.number, key(row.values)) for row in rows), report)

    def _plain_readers(self) -> dict[str, Callable[[Sequence[str]], Cell]]:
        """Catalog column -> its reader, for all columns that are not tags."""
        layout = self._layout
        columns = dict(layout.renamed)
        if not layout.takes_all_tags:
            used = {*layout.tag_columns, *layout.renamed.values(), *layout.renamed}
            others = [name for name in self._source.names if name and name not in used]
            columns |= {name: name for name in others if not layout.reads_tags_of(name)}
        if unknown := [name for name in layout.types if name not in columns]:
            raise ValueError(f"--type: no column {unknown[0]!r}: the columns are {listed(columns)}")
        return {name: self._typed(name, column) for name, column in columns.items()}

    def _typed(self, name: str, column: str) -> Callable[[Sequence[str]], Cell]:
        text, layout, survey = field_reader(self._source, column), self._layout, self._surveys.get(column)
        if column in layout.readers:
            convert = layout.readers[column]
        elif name in layout.types and survey is not None:
            convert = typed_reader(layout.types[name], survey)
        elif not layout.typed or name in CATALOG.names or survey is None:
            return text
        else:
            convert = survey.reader()
        return lambda fields: convert(text(fields))

    def _tag_readers(self) -> list[TagReader]:
        layout, source = self._layout, self._source
        by_name = [name for name in source.names if layout.reads_tags_of(name)]
        readers = [id_reader(column, source.place(column)) for column in (*layout.tags, *by_name)]
        for category, column in layout.lists:
            readers.append(list_reader(checked_category(category), self._lists[column], source.place(column)))
        for category, columns in layout.wide:
            places = wide_places(source, columns, layout.used_columns)
            readers.append(wide_reader(checked_category(category), places))
        return readers

    def columns(self) -> list[ColumnUse]:
        """What each column of the table is taken for."""
        return [column_use(self._layout, survey, self._lists.get(name)) for name, survey in self._surveys.items()]


def _without_base(uri: str, bases: Sequence[str]) -> str:
    """The uri without the longest base that it starts with."""
    base = max((base for base in bases if uri.startswith(base)), key=len, default="")
    return uri[len(base) :].lstrip("/") if base else uri


def parse_pairs(texts: Sequence[str], what: str) -> list[tuple[str, Any]]:
    """Parses texts such as `A=B` to pairs.

    Raises:
      ValueError: a text has no `=`, or nothing on one side of it.
    """
    pairs = []
    for text in texts:
        left, equals, right = text.partition("=")
        if not (left and equals and right):
            raise ValueError(f"{what}={text}: write CATEGORY=COLUMN")
        pairs.append((left, right))
    return pairs
