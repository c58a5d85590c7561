"""`docs/reference/output.md` is what the commands print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.docs.output import SECTIONS, _fixed

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "output.md"


def test_the_page_has_every_command() -> None:
    shown = re.findall(r"^\$ catalog-tagger (.*)$", PAGE.read_text("utf-8"), re.M)
    assert shown == [words for section in SECTIONS for words in section.commands], "run `make docs`"


def test_what_differs_between_runs_has_a_fixed_notation() -> None:
    text = (
        "2026-11-29T17:33:13.123456Z extracting: done: 14 tracks in 3.2 s, 1e+02 per s\n"
        "2026-11-29T17:33:14Z extracting: 3 of 14 tracks (21 %), 3 extracted\n"
        "data: 13 files, 49,980 bytes\nruns/run-931babb673e46338.json tg-0f2057ce254b4a36   \n"
    )
    assert _fixed(text).splitlines() == [
        "2026-01-31T06:00:00Z".ljust(27) + " extracting: done: 14 tracks in N s, N per s",
        "data: 13 files, N bytes",
        "runs/run-0123456789abcdef.json tg-0123456789abcdef",
    ]


@pytest.mark.long
def test_the_page_is_what_the_commands_print() -> None:
    """In a process of its own: where a test runs, log lines go elsewhere."""
    made = subprocess.run([sys.executable, "-m", "pipelines.docs.output"], capture_output=True, text=True, check=True)
    assert _without_numbers(made.stdout) == _without_numbers(PAGE.read_text("utf-8")), "run `make docs`"


def _without_numbers(text: str) -> list[list[str]]:
    """The words of each line: scores and sizes of files may differ on another machine."""
    return [re.sub(r"[\d.,-]+", "0", line).split() for line in text.splitlines()]
