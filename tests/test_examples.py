"""Every page of `docs/examples` is run command by command; what is printed has the lines of the page."""

import re
import shlex
from pathlib import Path

import pytest

from pipelines.cli import main

PAGES = Path(__file__).parents[1] / "docs" / "examples"
FILE = re.compile(r"<!-- file: (\S+) -->\n```\w*\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"```console\n\$ catalog-tagger (.*?)\n(.*?)```", re.DOTALL)


def shape(line: str) -> str:
    """A line without what varies: numbers, ids and gaps.

    >>> shape("tagger   0.946 [0.927, 0.963]  tg-01ab")
    'tagger # id'
    """
    # The ledger holds when files were written, so a content hash is another for the same songs made again.
    line = re.sub(r"\b[a-z]{2}-[0-9a-f]{16}\b|\b[0-9a-f]{64}\b", "id", line)
    line = re.sub(r" \[[\d., -]+\]", "", line)
    line = re.sub(r"(?<![\w-])[-+]?\d[\d.]*", "#", line)
    return re.sub(r"[\s#-]+", lambda gap: " # " if "#" in gap.group() else " ", line).strip()


@pytest.mark.parametrize(
    "name",
    ["voice.md", pytest.param("genre.md", marks=pytest.mark.long), pytest.param("mood.md", marks=pytest.mark.long)],
)
def test_a_page_can_be_run_command_by_command(name, tmp_path, monkeypatch, capsys):
    page = (PAGES / name).read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for file, text in FILE.findall(page):
        Path(file).write_text(text, encoding="utf-8")
    commands = COMMAND.findall(page)
    assert [words.split()[0] for words, _ in commands] == ["synthesize", "prepare", "train", "evaluate", "tag", "query"]
    for words, expected in commands:
        assert main(shlex.split(words)) == 0, words
        printed = [shape(line) for line in capsys.readouterr().out.splitlines()]
        for line in key_lines(expected.splitlines()):
            assert shape(line) in printed, f"{words}: {line!r}"


def key_lines(lines: list[str]) -> list[str]:
    """The first and the last line of what a command printed: the lines between hold what a small set decides."""
    return [line for line in dict.fromkeys([lines[0], lines[-1]]) if line]


def test_every_page_is_run():
    assert sorted(path.name for path in PAGES.glob("*.md")) == ["genre.md", "mood.md", "voice.md"]
