"""Compares two versions of a taxonomy.

catalog-tagger taxonomy diff table taxonomy.yaml --table table
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.terminal.command import Command, CommandGroup


@click.group(cls=CommandGroup)
def command() -> None:
    """One subcommand."""


@command.command(
    cls=Command,
    help="What version B changes: new heads, tags that are renamed, merged, split, moved or removed. A and B are "
    "taxonomy files, bundles, datasets, or tables; TABLE@3 is snapshot 3 of a table.",
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--table",
    metavar="TABLE",
    help="Also count the tracks of this table (or of TABLE@3) that have the tags concerned.",
)
@answer_flags
def diff(**flags: Any) -> int:
    """Compares the versions."""
    from pipelines.reading.taxonomy import run

    return answer(run, flags)
