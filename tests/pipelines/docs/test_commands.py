"""`docs/reference/commands.md` says what the commands take."""

import re
from pathlib import Path

from pipelines.cli import COMMANDS
from pipelines.docs.commands import reference


def test_commands_md_is_what_the_parsers_say() -> None:
    assert (Path(__file__).parents[3] / "docs" / "reference" / "commands.md").read_text() == reference(), (
        "run `make docs`"
    )


def test_every_command_and_the_exit_codes_are_told() -> None:
    text = reference()
    assert all(f"## `catalog-tagger {name}`" in text for name in COMMANDS)
    row = "| `--max-reject-ratio` | Fail without publishing if more than this fraction of tracks is rejected. | `0.1` |"
    assert row in text and "Exit codes" in text


def test_every_row_has_three_cells() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("|")]
    assert len(rows) > 100 and {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}
