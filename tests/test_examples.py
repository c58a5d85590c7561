"""Every page of `docs/examples` is run command by command; what is printed has the lines of the page."""

from pathlib import Path

import pytest

from tests.support.pages import commands, run, save_files, shape

PAGES = Path(__file__).parents[1] / "docs" / "examples"


@pytest.mark.parametrize(
    "name",
    ["voice.md", pytest.param("genre.md", marks=pytest.mark.long), pytest.param("mood.md", marks=pytest.mark.long)],
)
def test_a_page_can_be_run_command_by_command(name, tmp_path, monkeypatch, capsys):
    page = (PAGES / name).read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    save_files(page, tmp_path)
    several = list(commands(page))
    assert [command.words[1] for command in several] == ["synthesize", "prepare", "train", "evaluate", "tag", "query"]
    for command in several:
        assert run(command) == command.exit_code, command.words
        printed = [shape(line) for line in capsys.readouterr().out.splitlines()]
        for line in key_lines(command.printed):
            assert shape(line) in printed, f"{command.words}: {line!r}"


def key_lines(lines: list[str]) -> list[str]:
    """The first and the last line of what a command printed: the lines between hold what a small set decides."""
    return [line for line in dict.fromkeys([lines[0], lines[-1]]) if line]


def test_every_page_is_run():
    assert sorted(path.name for path in PAGES.glob("*.md")) == ["genre.md", "mood.md", "voice.md"]
