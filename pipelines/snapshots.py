"""Lists the snapshots of a table: age, sizes, gates, rejects and rollbacks.

catalog-tagger snapshots table
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@click.argument("table", metavar="TABLE")
@answer_flags
def command(**flags: Any) -> int:
    """Prints one row per snapshot, the newest last; the exit code is 1 if one cannot be read."""
    from pipelines.reading.snapshots import run

    return answer(run, flags)
