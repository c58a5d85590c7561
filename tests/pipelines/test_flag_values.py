"""Values of flags, for all commands: none is empty, and numbers are finite and in their range."""

import importlib

import click
import pytest

from pipelines.cli import COMMANDS, main
from pipelines.inputs.numbers import Number, number_in
from transforms.splits.by_artist import SplitRatios


def commands():
    """Every command with its words, groups resolved."""
    for name, entry in COMMANDS.items():
        command = importlib.import_module(f"pipelines.{entry.module}").command
        if isinstance(command, click.Group):
            yield from (([name, sub], found) for sub, found in command.commands.items())
        else:
            yield [name], command


FLAGS = [(words, param) for words, command in commands() for param in command.params]
TEXTS = [
    pytest.param(words, param, id=" ".join([*words, param.opts[0]]))
    for words, param in FLAGS
    if isinstance(param.type, click.types.StringParamType) and param.metavar != "TEXT" and param.name != "format"
]
NUMBERS = [
    pytest.param(words, param, id=" ".join([*words, param.opts[0]]))
    for words, param in FLAGS
    if isinstance(param.type, Number)
]


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize(("words", "param"), TEXTS)
def test_no_value_is_empty(tmp_path, monkeypatch, capsys, words, param, blank):
    monkeypatch.chdir(tmp_path)
    count = max(param.nargs, 1)
    for at in range(count):
        values = ["x"] * count
        values[at] = blank
        flag = [param.opts[0]] if isinstance(param, click.Option) else []
        assert main([*words, *flag, *values]) == 2
        assert "the value is empty: give one" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["search", "table", "gui\udcfftar"],
        ["search", "table", "--text", "a\udcff"],
        ["search", "table", "--only", "language=\udcff"],
        ["search", "table", "--where", "title = '\udcff'"],
        ["playlist", "table", "--seed", "\udcff"],
        ["playlist", "table", "--exclude", "a", "--exclude", "\udcff"],
        ["path", "table", "a", "\udcff"],
        ["mix", "table", "--style", "\udcff=1"],
        ["recommend", "table", "--artist", "\udcff"],
        ["similar", "table", "a", "--filter", "title = '\udcff'"],
    ],
)
def test_what_is_looked_up_in_a_table_is_utf_8(capsys, words):
    assert main(words) == 2
    assert "is not UTF-8" in capsys.readouterr().err


def test_a_value_that_begins_with_a_dash_has_a_way(capsys):
    assert main(["similar", "table", "-track"]) == 2
    assert "if a value begins with a dash, write -- before it" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "x", "0,1", "10%"])
@pytest.mark.parametrize(("words", "param"), NUMBERS)
def test_numbers_are_finite_and_in_their_range(capsys, words, param, value):
    assert main([*words, f"{param.opts[0]}={value}"]) == 2
    shown = capsys.readouterr().err
    assert param.opts[0] in shown and f"{value!r} is not a number" in shown


def test_every_flag_with_a_number_has_a_range():
    assert [(words, param.opts) for words, param in FLAGS if isinstance(param.type, click.types.FloatParamType)] == []
    ratios = {param.opts[0] for _, param in FLAGS if param.metavar == "RATIO"}
    assert ratios == {
        param.opts[0] for _, param in FLAGS if isinstance(param.type, Number) and param.metavar == "RATIO"
    }


@pytest.mark.parametrize("text", ["nan,0.5,0.5", "0.5,nan,nan", "inf,-inf,1", "0.5,0.6,-0.1"])
def test_ratios_of_a_split_are_numbers(text):
    with pytest.raises(ValueError, match="give three shares from 0 that add up to 1"):
        SplitRatios.parse(text)


def test_the_bounds_of_a_range():
    assert number_in("0", 0, 1) == 0 and number_in("1e0", 0, 1) == 1
    with pytest.raises(ValueError, match="'0' is not a number above 0"):
        number_in("0", 0, above=True)
