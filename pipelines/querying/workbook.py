"""Writes rows as an Excel workbook (xlsx). A limit of the format ends the command: nothing is cut."""

import datetime
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipelines.terminal.comma_separated import flat_text
from pipelines.terminal.errors import CommandFailed
from transforms.storage import StorageError

SHEET_ROWS = 1_048_576
SHEET_COLUMNS = 16_384
CELL_CHARS = 32_767
"""Limits of one sheet: rows with the header, columns, and characters of a cell in UTF-16."""

_EXACT = 10**15
"""Spreadsheets show 15 digits of a number. Larger integers are written as text."""

_OTHERS = "write .parquet or .csv, which have no such limit"


def write_workbook(path: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes one sheet with a header, in constant memory.

    Text is never a formula or a link, whatever it begins with. Null is an empty cell; lists and structs are JSON.
    Dates are date cells, in UTC if they have a time zone; those before 1900 or with parts of a millisecond are text in
    ISO format, as times of the day are.

    Raises:
      CommandFailed: XlsxWriter is not installed, or a limit of the format is reached.
    """
    try:
        import xlsxwriter
    except ModuleNotFoundError as error:
        raise CommandFailed(
            f"{error.name} is not installed, which writes xlsx: pip install 'catalog-tagger[xlsx]', or write .csv"
        ) from error
    if len(names) > SHEET_COLUMNS:
        raise CommandFailed(f"the answer has {len(names)} columns, a sheet has at most {SHEET_COLUMNS}: {_OTHERS}")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": folder})
        book.use_zip64()
        sheet = book.add_worksheet("answer")
        sheet.freeze_panes(1, 0)
        bold = book.add_format({"bold": True})
        dates = {kind: book.add_format({"num_format": form}) for kind, form in _DATE_FORMATS.items()}
        for column, name in enumerate(names):
            sheet.write_string(0, column, _checked(name, name, 0), bold)
        for number, row in enumerate(rows, start=1):
            if number >= SHEET_ROWS:
                raise CommandFailed(
                    f"the answer has more than {SHEET_ROWS - 1} rows, a sheet has no more besides its header: "
                    f"{_OTHERS}, or add a LIMIT"
                )
            for column, value in enumerate(row):
                if (date := _exact_date(value)) is not None:
                    sheet.write_datetime(number, column, date, dates[type(value)])
                else:
                    _write_cell(sheet, number, column, value, names[column])
        try:
            book.close()
        except xlsxwriter.exceptions.FileCreateError as error:
            raise StorageError(f"{path}: {error}: let TMPDIR name a folder with more space") from error


def _write_cell(sheet: Any, row: int, column: int, value: Any, name: str) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, float) or (isinstance(value, int) and abs(value) < _EXACT):
        sheet.write_number(row, column, value)
    else:
        text = value.isoformat() if isinstance(value, datetime.date) else flat_text(value)
        sheet.write_string(row, column, _checked(text, name, row))


_DATE_FORMATS: dict[type, str] = {datetime.date: "yyyy-mm-dd", datetime.datetime: "yyyy-mm-dd hh:mm:ss.000"}


def _exact_date(value: Any) -> datetime.date | None:
    """A date or time that a cell has exactly, without a time zone; None for other values."""
    if not isinstance(value, datetime.date) or value.year < 1900:
        return None
    if isinstance(value, datetime.datetime):
        plain = value if value.tzinfo is None else value.astimezone(datetime.UTC).replace(tzinfo=None)
        return None if value.microsecond % 1000 else plain
    return value


def _checked(text: str, name: str, row: int) -> str:
    size = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
    if size > CELL_CHARS:
        raise CommandFailed(
            f"column {name!r}, row {row}: {size} characters, a cell of a sheet has at most {CELL_CHARS}: {_OTHERS}"
        )
    return text
