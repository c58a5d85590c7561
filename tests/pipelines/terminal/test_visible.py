"""What reaches a terminal, a spreadsheet or a log: no control characters, no formulas, no secrets."""

import csv
import io
import json
import logging
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.cli import main
from pipelines.terminal.answer import Answer
from pipelines.terminal.comma_separated import write_csv
from pipelines.terminal.errors import print_error, print_problems
from pipelines.terminal.log_lines import LineFormatter
from pipelines.terminal.printing import value_lines, write_json, write_table
from pipelines.terminal.visible import printable, printable_json, safe_field
from tests.support.published import fake_bundle, publish_table
from transforms.catalog.problems import Problem

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
ANY = st.text(st.characters(codec=None, exclude_categories=()))
ACTIVE = st.text(st.sampled_from("a\x00\x07\x08\x0b\x1b[\x7f\x85\x9b\r\n\t\ud800\udfff\u2028\ufeff=" + BIDI))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _acts(char: str) -> bool:
    """Whether a character is not for a terminal, by Unicode's own tables and not by ours."""
    bidi = unicodedata.bidirectional(char) in {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI", "B"}
    return char not in "\n\t" and (unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or bidi or char in BIDI)


@given(ANY | ACTIVE)
def test_no_character_that_acts_is_printed(text: str) -> None:
    shown = printable(text)
    assert not any(map(_acts, shown)) and printable(shown) == shown
    shown.encode()


@given(st.text(st.characters(codec="utf-8", categories=["L", "M", "N", "P", "S", "Zs"])))
def test_letters_of_any_script_are_printed_as_they_are(text: str) -> None:
    assert printable(text) == text


def test_joiners_of_scripts_and_emoji_stay() -> None:
    for text in ("می\u200cخواهم", "👩\u200d🎤", "é", "e\u0301"):
        assert printable(text) == text


@given(st.dictionaries(ANY, ANY | st.lists(ANY), max_size=4) | st.dictionaries(ACTIVE, ACTIVE, max_size=4))
def test_json_keeps_its_values_and_acts_on_no_terminal(value: dict) -> None:
    shown = printable_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert not any(map(_acts, shown))
    # Two lone surrogates in a row are one character to a JSON reader.
    assert json.dumps(json.loads(shown)) == json.dumps(value)


@given(st.lists(st.tuples(ANY | ACTIVE, ANY | ACTIVE), max_size=3))
def test_tables_and_csv_on_a_terminal_act_on_nothing(rows: list) -> None:
    assert not any(_acts(char) for line in value_lines(["a\x1b", "b\u202e"], rows, 60) for char in line)
    terminal, out = Terminal(), io.StringIO()
    write_csv(terminal, ["a\x1b", "b"], rows)
    write_json(out, ["a", "b"], rows)
    assert not any(map(_acts, terminal.getvalue() + out.getvalue()))


def test_a_table_on_a_terminal_has_only_its_own_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    write_table(out, ["title\x1b[31m"], [["\x1b]0;owned\x07"], ["\x9b31m"]])
    rest = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert not any(map(_acts, rest)) and r"\x1b]0;owned\x07" in rest and r"\x9b31m" in rest


def test_csv_in_a_pipe_is_exact() -> None:
    out = io.StringIO()
    write_csv(out, ["title"], [["a\x1b\u202eb"], ["=1+1"], [-1]])
    assert list(csv.reader(io.StringIO(out.getvalue()))) == [["title"], ["a\x1b\u202eb"], ["=1+1"], ["-1"]]


FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\n=1", " =1", "\u3000=1", "＝1", "＠x"]
INNER = ["\r=1", "a;=1", "a\n=1", "a\t@x", "a;-1", "\x00=1", "\ufeff=1", "\x1b=1"]


@given(st.sampled_from([*FORMULAS, *INNER]) | st.text(st.sampled_from("=+-@＝ \t\r\n;a'\"\x00\x1b,")))
def test_no_field_begins_as_a_formula(text: str) -> None:
    """Read as CSV, with semicolons as in other countries, or line by line without regard to quotes."""
    out = io.StringIO()
    write_csv(out, [text or "name"], [[text], [[text]]], safe=True)
    assert out.getvalue()[0] == "\ufeff"
    for row in csv.reader(io.StringIO(out.getvalue()[1:])):
        assert all(field.lstrip()[:1] not in set("=+-@＝＋－＠") or not field for field in row)
    for field in re.split(r"[;\n\t\r]", out.getvalue()[1:]):
        assert field[:1] not in set("=+-@＝＋－＠") or not field


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert safe_field(text).startswith("'")


def test_numbers_stay_numbers_and_plain_text_stays() -> None:
    out = io.StringIO()
    write_csv(out, ["n", "x", "t"], [[-1, -0.5, "AC/DC - Live; calm"], [None, True, ""]], safe=True)
    assert out.getvalue() == '\ufeffn,x,t\n-1,-0.5,AC/DC - Live; calm\n,true,""\n'


def test_answers_are_printable_in_every_form(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Answer(text="a\x1bb https://u:p@h/", document={"title": "=1\x9b"})
    answer.write("table")
    assert capsys.readouterr().out == "a\\x1bb https://***@h/\n"
    answer.write("json")
    assert capsys.readouterr().out == '{\n  "title": "=1\\u009b"\n}\n'
    answer.write("safe-csv")
    assert capsys.readouterr().out == "\ufefftitle\n'=1\\x9b\n"
    program = Answer(text="SELECT 'token=1'", document={}, is_program=True)
    program.write("table")
    assert capsys.readouterr().out == "SELECT 'token=1'\n"
    monkeypatch.setattr(sys, "stdout", Terminal())
    Answer(text="a\x1bb", document={}, is_program=True).write("table")
    assert sys.stdout.getvalue() == "a\\x1bb\n"


def test_errors_problems_and_logs_are_printable_and_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\x1b[2J\u202e https://anna:hunter2@host/?X-Goog-Signature=0aff"
    print_error(text)
    print_problems([Problem(file="a\nb.csv", row=1, column="uri", message=text)])
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 2 and not any(map(_acts, shown))
    assert "hunter2" not in shown and "0aff" not in shown
    try:
        raise ValueError(text)
    except ValueError:
        record = logging.LogRecord("n", logging.ERROR, "f", 1, "%s", (text,), sys.exc_info())
    logged = LineFormatter().format(record)
    assert "Traceback" in logged and not any(map(_acts, logged)) and "hunter2" not in logged and "0aff" not in logged


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("tables")
    publish_table(root / "table", fake_bundle(root / "bundle"), 6)
    return str(root / "table")


SQL = "SELECT '=1' || chr(27) AS \"+title\", -1 AS n"


def test_query_offers_csv_for_spreadsheets(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["--safe-csv"], ["--safe-csv", "--format", "csv"], ["--format=csv", "--safe-csv"]):
        assert main(["query", table, SQL, *flags]) == 0
        assert capsys.readouterr().out == "\ufeff'+title,n\n'=1\\x1b,-1\n"
    assert main(["query", table, SQL, "--format", "csv"]) == 0
    assert capsys.readouterr().out == "+title,n\n=1\x1b,-1\n"


def test_every_command_with_a_format_offers_it(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", table, "--safe-csv"]) == 0
    assert capsys.readouterr().out.startswith("\ufeffsnapshot,created,")
    assert main(["describe", table, "--safe-csv", "--json"]) == 2
    assert "--safe-csv: this is a form of CSV, not of json" in capsys.readouterr().err
