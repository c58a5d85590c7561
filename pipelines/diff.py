"""Compares two snapshots of a table: tracks, tags, scores.

catalog-tagger diff table 41 42 --output changes
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@click.argument("table", metavar="TABLE")
@click.argument("before", type=int, metavar="A")
@click.argument("after", type=int, metavar="B")
@click.option(
    "--output",
    metavar="FOLDER",
    help="Also write tracks.parquet, tags.parquet, diff.json and diff.md there; an older comparison is replaced.",
)
@answer_flags
def command(**flags: Any) -> int:
    """Prints a summary of what snapshot B has otherwise than snapshot A."""
    from pipelines.reading.diff import run

    return answer(run, flags)
