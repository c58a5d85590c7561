"""Text tables as spreadsheets and databases write them: the same rows out, and every line that is lost is named."""

import csv
import io
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transforms.catalog.delimited import encoding as encoding_module
from transforms.catalog.delimited.encoding import MOST_LINE, known_encoding
from transforms.catalog.delimited.form import SEPARATORS, Form
from transforms.catalog.delimited.small_table import read_small_table
from transforms.catalog.delimited.table import open_text_table

NAMES = ("id", "uri", "title", "genre")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
ONE_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=60
)

words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters='",;|\t'), min_size=1)
"""Text without separators, quotes and line ends."""


def opened(tmp_path, content, name="t.csv", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_text_table(str(path), **options)


def fields(table):
    """The rows that can be read."""
    return [record.fields for record in table.records() if not isinstance(record.fields, ValueError)]


def broken(table):
    """Line and message of each row that cannot be read."""
    return [(r.line, str(r.fields)) for r in table.records() if isinstance(r.fields, ValueError)]


def text_of(rows, separator=",", end="\n", names=NAMES):
    return end.join([separator.join(names), *(separator.join(row) for row in rows), ""])


@pytest.fixture(params=[7, 1 << 16], ids=["blocks of 7", "one block"])
def block(request, monkeypatch):
    """Characters that are read at a time: rows, line ends and quotes on both sides of every border."""
    monkeypatch.setattr(encoding_module, "_BLOCK", request.param)


@pytest.mark.usefixtures("block")
@ONE_FOLDER
@given(
    rows=st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"))] * 4)),
    separator=st.sampled_from([*SEPARATORS]),
    encoding=st.sampled_from(ENCODINGS),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_writer_of_csv_writes_is_read_back(tmp_path, rows, separator, encoding, end):
    rows = [tuple(f.replace("\n", " ") if separator in f else f for f in row) for row in rows if any(row)]
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator=end).writerows([NAMES, *rows])
    table = opened(tmp_path, out.getvalue().encode(encoding))
    assert (fields(table), broken(table)) == ([list(row) for row in rows], [])
    assert (table.names, table.rows, table.form.separator) == (NAMES, len(rows), separator)
    assert table.form.encoding == encoding.removesuffix("-sig")


@pytest.mark.usefixtures("block")
@ONE_FOLDER
@given(rows=st.lists(st.tuples(*[words] * 4), min_size=1, max_size=30), data=st.data())
def test_an_unclosed_quote_costs_its_own_row(tmp_path, rows, data):
    hurt = data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1, max_size=3))
    for at in hurt:
        place, before = data.draw(st.integers(0, 3)), data.draw(st.booleans())
        row = list(rows[at])
        row[place] = f'"{row[place]}' if before or at == min(hurt) else f'{row[place]}"'
        rows[at] = tuple(row)
    expected = [list(row) for i, row in enumerate(rows) if not any(f.startswith('"') for f in row)]
    table = opened(tmp_path, text_of(rows))
    opening = [i + 2 for i, row in enumerate(rows) if any(f.startswith('"') for f in row)]
    assert fields(table) == expected and table.rows == len(rows)
    assert [line for line, message in broken(table) if "close quotes" in message] == opening


@ONE_FOLDER
@given(rows=st.lists(st.tuples(*[words] * 4), min_size=1, max_size=30), data=st.data())
def test_quotes_in_tsv_are_text_if_they_do_not_enclose_fields(tmp_path, rows, data):
    for at in data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1, max_size=3)):
        row = list(rows[at])
        row[data.draw(st.integers(0, 3))] = data.draw(st.sampled_from(['"Untitled', '"live" at home', '"a" and "b']))
        rows[at] = tuple(row)
    table = opened(tmp_path, text_of(rows, "\t"))
    assert fields(table) == [list(row) for row in rows] and broken(table) == []
    assert str(table.form) == "UTF-8, separated by tabs, quotes are text"


def test_quotes_that_open_in_one_row_of_a_tsv_and_close_in_another_are_text(tmp_path):
    rows = [("1", "a", '"Foo', "Rock"), ("2", "b", "x", "Pop"), ("3", "c", 'Bar"', "Jazz")]
    assert fields(opened(tmp_path, text_of(rows, "\t"))) == [list(row) for row in rows]


def test_quotes_that_open_in_one_row_of_a_csv_and_close_in_another_are_a_problem(tmp_path):
    table = opened(tmp_path, text_of([("1", "a", '"Foo', "Rock"), ("2", "b", "x", "Pop"), ("3", "c", 'Bar"', "Jazz")]))
    assert [line for line, _ in broken(table)] == [2]
    assert fields(table) == [["2", "b", "x", "Pop"], ["3", "c", 'Bar"', "Jazz"]]


def test_quoted_tsv_with_fields_of_several_lines(tmp_path):
    text = 'id\turi\ttitle\n1\ta\t"two\nlines"\n"2"\t"b\tc"\t"a ""b"""\n'
    assert fields(opened(tmp_path, text)) == [["1", "a", "two\nlines"], ["2", "b\tc", 'a "b"']]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [*SEPARATORS])
def test_empty_lines_and_line_ends(tmp_path, separator, end):
    table = opened(tmp_path, end + text_of([("1", "a", "b", ""), ("2", "", "c", "d")], separator, end + end))
    assert fields(table) == [["1", "a", "b", ""], ["2", "", "c", "d"]]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt"])
def test_the_content_decides_and_not_the_name(tmp_path, name):
    assert opened(tmp_path, "id;uri\n1;a,b\n", name).form.separator == ";"
    assert opened(tmp_path, "id,uri\n1,a;b\n", name).form.separator == ","


def test_one_column_is_separated_as_the_name_says(tmp_path):
    assert opened(tmp_path, "uri\na\n", "t.csv").form.separator == ","
    assert opened(tmp_path, "uri\na\n", "t.tsv").form.separator == "\t"


def test_a_separator_that_cuts_other_lines_unevenly_is_none(tmp_path):
    text = "id;uri;title, or name\n" + "".join(f"{i};a,b,{'c,' * i}d;x\n" for i in range(9))
    assert opened(tmp_path, text).form.separator == ";"


def test_forms_of_excel_and_of_people(tmp_path):
    table = opened(tmp_path, "sep=;\r\nid;uri\r\n1;a,b\r\n")
    assert (table.names, fields(table), table.form) == (("id", "uri"), [["1", "a,b"]], Form(separator=";", skipped=1))
    table = opened(tmp_path, 'id, uri, title\n1, a, "x, y"\n')
    assert fields(table) == [["1", "a", "x, y"]] and table.form.spaced


def test_a_table_without_header_has_as_many_columns_as_names(tmp_path):
    table = opened(tmp_path, "1;a,b,c\n2;d,e,f\n", names=["id", "uri"])
    assert (table.form.separator, fields(table), table.headers) == (";", [["1", "a,b,c"], ["2", "d,e,f"]], 0)


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf_16_without_a_mark(tmp_path, order):
    table = opened(tmp_path, "id,uri,title\n1,a,Ünï\n".encode(f"utf-16-{order}"))
    assert fields(table) == [["1", "a", "Ünï"]] and table.form.encoding == f"utf-16-{order}"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "mac-roman", "cp1251", "shift-jis"])
def test_eight_bit_encodings_are_reported_and_read_if_they_are_named(tmp_path, encoding):
    title = {"cp1251": "Год", "shift-jis": "年"}.get(encoding, "Année")
    content = f"id,uri,{title}\n1,a,{title}\n".encode(encoding)
    with pytest.raises(ValueError, match=r"line 1 is not UTF-8: save the file as UTF-8, or use .*--encoding"):
        opened(tmp_path, content)
    table = opened(tmp_path, content, encoding=known_encoding(encoding))
    assert (table.names[2], fields(table)) == (title, [["1", "a", title]])


def test_lines_that_are_not_utf_8_are_counted(tmp_path):
    table = opened(tmp_path, "id,t\n1,é\n2,x\n".encode() + "3,é\n".encode("latin-1"))
    assert table.not_utf8 == (1, 1)


@pytest.mark.parametrize("name", ["windows-9999", "", "base64", "rot13", "hex", "zip"])
def test_encodings_that_no_text_has_are_refused(name):
    with pytest.raises(ValueError, match="is unknown: give for example windows-1252"):
        known_encoding(name)


def test_bytes_that_the_named_encoding_does_not_have_are_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"81 is not .*: save the file as UTF-8"):
        opened(tmp_path, b"id,t\n1,\x81\n", encoding="cp1252")
    with pytest.raises(ValueError, match="is not utf-16"):
        opened(tmp_path, "id,t\n1,a\n".encode("utf-16")[:-1])


def test_a_table_that_was_replaced_meanwhile_is_named(tmp_path):
    table = opened(tmp_path, "id,t\n1,é\n".encode("utf-16"))
    (tmp_path / "t.csv").write_bytes(b"id,t\n1,a")
    with pytest.raises(ValueError, match=r"t\.csv: "):
        list(table.records())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"PK\x03\x04....", "an Excel workbook, not text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PAR1", "a Parquet file"),
        (b'"id,uri\n1,a\n', "line 1: broken CSV"),
    ],
)
def test_files_that_are_no_table(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        opened(tmp_path, content)


def test_memory_does_not_grow_with_the_table(tmp_path):
    table = opened(tmp_path, "id,uri,title\n" + '1,a.mp3,"a title, of some length"\n' * 15_000)
    tracemalloc.start()
    try:
        assert open_text_table(table.url).rows == sum(1 for _ in table.records()) == 15_000
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_no_other_module_reads_csv():
    root = Path(__file__).parents[3]
    found = [path for package in ("pipelines", "transforms", "models") for path in (root / package).rglob("*.py")]
    readers = re.compile(r"csv\.reader|DictReader|pd\.read_csv|open_csv|csv\.Sniffer")
    assert {path.parent.name for path in found if readers.search(path.read_text("utf-8"))} == {"delimited"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b'\xef\xbb\xbftrack_id,title\n1,"a, b"\n\n2\n'),
        ("a.csv", 'track_id;title\r\n1;"a, b"\r\n2\r\n'.encode("utf-16")),
        ("a.tsv", b'track_id\ttitle\n1\t"a, b"\n2\t\n'),
    ],
)
def test_a_table_in_memory_is_read_as_a_file(name, data):
    table = read_small_table(name, data)
    assert table.names == ("track_id", "title")
    assert [row for _, row in table.rows] == [{"track_id": "1", "title": "a, b"}, {"track_id": "2", "title": ""}]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the table is empty"),
        (b"a,b\n1,2,3\n", "line 2 has 3 fields, the first line names 2 columns"),
        (b"a,b\n1,caf\xe9\n", "line 2 is not UTF-8"),
        (b"PK\x03\x04", "not text"),
        (b'a,b\n1,2\n"3,4\n', "line 3"),
    ],
)
def test_a_table_in_memory_that_cannot_be_read(data, message):
    with pytest.raises(ValueError, match=message):
        list(read_small_table("a.csv", data).rows)


def test_an_endless_line_is_refused(tmp_path):
    with pytest.raises(ValueError, match=f"line 2 has more than {MOST_LINE} characters"):
        opened(tmp_path, b"id,uri\n" + b"x" * (MOST_LINE + 2))


def test_quotes_that_stay_open_cost_bounded_time(tmp_path):
    """Each line closes the quote of the line before it and opens another: any row may reach to the end."""
    count = 3000
    table = opened(tmp_path, "id,uri\n" + '1,"x\n' + 'a","b\n' * count)
    found = broken(table)
    assert len(found) + len(fields(table)) == table.rows == count + 1
    assert found[0][0] == 2 and any("not read" in message for _, message in found)


@pytest.mark.parametrize(("name", "encoding"), [("t.jsonl", "utf-8"), *(("t.csv", encoding) for encoding in ENCODINGS)])
def test_wherever_a_file_is_cut_it_is_noticed(tmp_path, name, encoding):
    """A row is lost, or the last line has no end; a cut between two lines leaves a whole file."""
    rows = [["id", "title"], ["1", "Blue, or not"], ["2", "Red"]]
    lines = [f'{a},"{b}"\n' if name == "t.csv" else f'{{"id": "{a}", "title": "{b}"}}\n' for a, b in rows]
    ends = {len("".join(lines[:count]).encode(encoding)) for count in range(4)}
    whole = "".join(lines).encode(encoding)
    # In UTF-16 and UTF-32, a cut within a character is an error of the encoding instead.
    for cut in range(len(lines[0]), len(whole) + 1) if encoding.startswith("utf-8") else (len(whole),):
        (tmp_path / name).write_bytes(whole[:cut])
        with (tmp_path / name).open("rb") as stream:
            assert encoding_module.has_open_end(stream) is (cut not in ends)
            assert stream.tell() == 0
    (tmp_path / name).write_bytes(whole.rstrip(b"\n\0"))
    with (tmp_path / name).open("rb") as stream:
        assert encoding_module.has_open_end(stream)
