"""`query --output`: the whole answer, readable by others, complete or absent."""

import csv
import datetime

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from pipelines.querying import workbook
from pipelines.querying.workbook import write_workbook
from pipelines.terminal.errors import CommandFailed
from tests.support.published import fake_bundle, publish_table
from transforms.storage import StorageError

SQL = (
    "SELECT track_id, title, top_tags, '=1+1' AS formula, NULL AS nothing, 0.1::FLOAT AS score, 2::HUGEINT AS n, "
    "TIMESTAMP '2026-01-02 03:04:05' AS at, 1 AS a, 2 AS a FROM tracks ORDER BY track_id"
)
NAMES = ["track_id", "title", "top_tags", "formula", "nothing", "score", "n", "at", "a", "a_1"]
AT = datetime.datetime(2026, 1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    publish_table(root / "table", fake_bundle(root / "bundle"), 12)
    return str(root / "table")


def test_parquet_keeps_types(table, tmp_path, capsys):
    path = tmp_path / "new folder" / "a.parquet"
    assert main(["query", table, SQL, "--output", str(path)]) == 2
    assert f"there is no folder {path.parent}: make it first" in capsys.readouterr().err
    path.parent.mkdir()
    assert main(["query", table, SQL, "--output", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: 12 rows, 10 columns\n"
    found = pq.read_table(path, page_checksum_verification=True)
    assert found.schema.names == NAMES and found.num_rows == 12
    assert found.schema.field("score").type == pa.float32()
    assert found["at"][0].as_py() == datetime.datetime(2026, 1, 2, 3, 4, 5)
    assert set(found["top_tags"][0][0].as_py()) == {"tag", "score"}


def test_csv_and_its_safe_form(table, tmp_path, capsys):
    for flags, formula in (([], "=1+1"), (["--safe-csv"], "'=1+1")):
        path = tmp_path / f"{len(flags)}.csv"
        assert main(["query", table, SQL, "--output", str(path), *flags]) == 0
        assert path.read_bytes().startswith("\ufeff".encode()) == bool(flags)
        rows = list(csv.reader(path.open(encoding="utf-8-sig")))
        assert rows[0] == NAMES and len(rows) == 13
        assert rows[1][3:] == [formula, "", "0.1", "2", "2026-01-02T03:04:05", "1", "2"]


def test_a_workbook_has_no_formulas(table, tmp_path):
    path = tmp_path / "a.xlsx"
    assert main(["query", table, SQL, "--output", str(path)]) == 0
    header, first, *rest = openpyxl.load_workbook(path).active.iter_rows()
    assert [cell.value for cell in header] == NAMES and len(rest) == 11
    assert [cell.value for cell in first][3:] == ["=1+1", None, 0.1, 2, AT, 1, 2]
    assert [cell.data_type for cell in first][3:8] == ["s", "n", "n", "n", "d"]


def test_dates_are_date_cells_of_a_workbook(table, tmp_path):
    """Where a cell can have them exactly; the others are text, as times of the day are."""
    path = tmp_path / "a.xlsx"
    sql = """SELECT DATE '2026-01-31' AS day, TIMESTAMPTZ '2026-01-31 01:00:00+01' AS zone,
      TIMESTAMP '2026-01-31' AS at, TIMESTAMP '2026-01-31 01:02:03.004' AS exact,
      TIMESTAMP '2026-01-31 01:02:03.000004' AS finer, DATE '1899-12-31' AS early,
      TIME '01:02:03' AS time, NULL::DATE AS nothing"""
    assert main(["query", table, sql, "--output", str(path)]) == 0
    _, row = openpyxl.load_workbook(path).active.iter_rows()
    day = datetime.datetime(2026, 1, 31)
    exact = datetime.datetime(2026, 1, 31, 1, 2, 3, 4000)
    texts = ["2026-01-31T01:02:03.000004", "1899-12-31", "01:02:03"]
    assert [cell.value for cell in row] == [day, day, day, exact, *texts, None]
    assert [cell.number_format for cell in row][:4] == ["yyyy-mm-dd", *["yyyy-mm-dd hh:mm:ss.000"] * 3]


def test_cells_of_every_kind_read_back(tmp_path):
    row = [True, -1.5, 10**15 - 1, 10**15, "http://x.y", "=A1", "{=A1}", " space ", "a\nb", "静か😀", "", [1, None]]
    row += ["-2", "1e5", "007", "_x0041_", "\x01"]
    write_workbook(tmp_path / "a.xlsx", [f"c{i}" for i in range(len(row))], [row])
    (_, cells) = openpyxl.load_workbook(tmp_path / "a.xlsx").active.iter_rows()
    found = [cell.value for cell in cells]
    wanted = [*row[:3], str(10**15), *row[4:11], "[1, null]", *row[12:15], "_x0041_", "\x01"]
    assert [v.replace("_x0001_", "\x01").replace("_x005F_", "_") if isinstance(v, str) else v for v in found] == wanted
    assert {cell.data_type for cell in cells} == {"b", "n", "s"} and not any(cell.hyperlink for cell in cells)


def test_the_limits_of_a_workbook_are_told(tmp_path, monkeypatch):
    with pytest.raises(
        CommandFailed, match=r"column 'c', row 2: 32768 characters, a cell of a sheet has at most 32767"
    ):
        write_workbook(tmp_path / "a.xlsx", ["c"], [["a" * 32_767], ["😀" * 16_384]])
    with pytest.raises(CommandFailed, match="16385 columns, a sheet has at most 16384"):
        write_workbook(tmp_path / "b.xlsx", ["c"] * 16_385, [])
    monkeypatch.setattr(workbook, "SHEET_ROWS", 11)
    write_workbook(tmp_path / "c.xlsx", ["c"], ([n] for n in range(10)))
    with pytest.raises(CommandFailed, match="more than 10 rows, a sheet has no more besides its header: "):
        write_workbook(tmp_path / "d.xlsx", ["c"], ([n] for n in range(11)))


def test_a_failure_leaves_nothing_or_what_was_there(table, tmp_path, capsys):
    sql = "SELECT CASE WHEN i = 900000 THEN error('late') ELSE i END AS i FROM range(1000000) t(i)"
    for suffix in ("parquet", "csv"):
        path = tmp_path / f"a.{suffix}"
        assert main(["query", table, sql, "--output", str(path)]) == 1
        assert "late" in capsys.readouterr().err and list(tmp_path.iterdir()) == []
    path.write_text("before")
    assert main(["query", table, sql, "--output", str(path), "--force"]) == 1
    assert path.read_text() == "before"


def test_a_late_failure_is_not_blamed_on_the_output(table, capsys):
    sql = "SELECT CASE WHEN i = 900000 THEN error('late') ELSE i END AS i FROM range(1000000) t(i)"
    assert main(["query", table, sql, "--format", "csv"]) == 1
    assert "late" in (printed := capsys.readouterr().err) and "standard output" not in printed


def test_a_file_is_replaced_only_on_request(table, tmp_path, capsys):
    path = tmp_path / "a.csv"
    words = ["query", table, "SELECT 7 AS n", "--output", str(path)]
    assert main(words) == 0
    assert main([*words[:2], "SELECT 8 AS n", *words[3:]]) == 2
    assert "exists already: choose another name, or give --force" in capsys.readouterr().err
    assert path.read_text() == "n\n7\n"
    assert main([*words[:2], "SELECT 8 AS n", *words[3:], "--force"]) == 0
    assert path.read_text() == "n\n8\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--output", "a.txt"], 2, "end the name with .parquet, .csv, .xlsx"),
        (["--output", "parquet"], 2, "end the name with"),
        (["--output", "a.xlsx", "--safe-csv"], 2, "--safe-csv: a.xlsx is no CSV file"),
        (["--output", "a.csv", "--format", "json"], 2, "the suffix of the file decides"),
        (["--timeout", "0"], 2, "--timeout"),
        (["--memory-limit", "12"], 2, "give a number and a unit, such as 500MB or 2GB"),
        (["--memory-limit", "1MB"], 2, "give at least 50MB"),
    ],
)
def test_wrong_flags(table, tmp_path, monkeypatch, capsys, words, code, message):
    monkeypatch.chdir(tmp_path)
    assert main(["query", table, "SELECT 1", *words]) == code
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_with_the_folder(tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xlsxwriter.workbook.ZipFile", full)
    with pytest.raises(StorageError, match=r"No space left on device.*let TMPDIR name a folder"):
        write_workbook(tmp_path / "a.xlsx", ["c"], [["x"]])


def test_an_interval_has_no_type_in_parquet(table, tmp_path, capsys):
    assert main(["query", table, "SELECT INTERVAL 1 DAY AS i", "--output", str(tmp_path / "a.parquet")]) == 1
    assert "cast the column to VARCHAR" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_without_xlsxwriter(table, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "xlsxwriter", None)
    assert main(["query", table, "SELECT 1", "--output", str(tmp_path / "a.xlsx")]) == 1
    assert "pip install 'catalog-tagger[xlsx]', or write .csv" in capsys.readouterr().err
