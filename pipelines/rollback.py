"""Publishes the content of an earlier snapshot as the next snapshot.

catalog-tagger rollback table 41 --reason "heads of the new bundle were swapped"
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@click.argument("table", metavar="TABLE")
@click.argument("number", type=int, metavar="N")
@click.option("--reason", metavar="TEXT", help="Why; `snapshots` and `describe` show it.")
@answer_flags
def command(**flags: Any) -> int:
    """Checks every file of snapshot N, and publishes its content as the newest snapshot. No snapshot is removed."""
    from pipelines.jobs.rollback import run

    return answer(run, flags)
