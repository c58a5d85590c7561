"""Checks every file of a snapshot, of all snapshots, of a bundle or of a dataset.

catalog-tagger verify table
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, snapshot_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.option("--all", "every", is_flag=True, help="Check all published snapshots, and every run and receipt.")
@answer_flags
def command(**flags: Any) -> int:
    """Prints each problem and a summary; the exit code is 1 if there is a problem. TABLE may be a bundle or dataset."""
    from pipelines.reading.verify import run

    return answer(run, flags)
