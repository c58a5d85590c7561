"""Pages of the documentation that are run: files that the reader saves, commands, and what they print."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipelines.cli import main

_FILE = re.compile(r"<!-- file: (\S+) -->\n```\w*\n(.*?)```", re.DOTALL)
_BLOCK = re.compile(r"(?:<!-- exit: (\d+) -->\n)?```console\n(.*?)```", re.DOTALL)


class Command(NamedTuple):
    """A command of a page: its words, what the page shows that it prints, and its exit code."""

    words: list[str]
    printed: list[str]
    exit_code: int


def save_files(page: str, folder: Path) -> None:
    """Writes the files that a page tells the reader to save."""
    for name, text in _FILE.findall(page):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def commands(page: str) -> Iterator[Command]:
    """Yields the commands of a page in their order. The exit code of a block is that of its last command."""
    for code, block in _BLOCK.findall(page):
        several = [part.splitlines() for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part.strip()]
        for number, (line, *printed) in enumerate(several, start=1):
            yield Command(shlex.split(line), printed, int(code or 0) if number == len(several) else 0)


def run(command: Command) -> int:
    """Runs `catalog-tagger` in this process, and Python in another one; returns the exit code."""
    program, *words = command.words
    if program == "catalog-tagger":
        return main(words)
    assert program == "python", f"a page may run catalog-tagger and python, but not {program}"
    return subprocess.run([sys.executable, *words], check=False).returncode


def shape(line: str) -> str:
    """A line without what varies: numbers, ids and gaps.

    >>> shape("tagger   0.946 [0.927, 0.963]  tg-01ab")
    'tagger # id'
    """
    # The ledger holds when files were written, so a content hash is another for the same songs made again.
    line = re.sub(r"\b(?:[a-z]{2}|run)-[0-9a-f]{16}\b|\b[0-9a-f]{64}\b", "id", line)
    line = re.sub(r" \[[\d., -]+\]", "", line)
    line = re.sub(r"(?<![\w-])[-+]?\d[\d.,]*(?<!,)", "#", line)
    return re.sub(r"[\s#-]+", lambda gap: " # " if "#" in gap.group() else " ", line).strip()
