"""Checks every file of a snapshot: hashes, counts, schemas, page checksums, and that the tables agree.

catalog-tagger verify table
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, snapshot_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@answer_flags
def command(**flags: Any) -> int:
    """Prints each problem and a summary; the exit code is 1 if there is a problem."""
    from pipelines.reading.verify import run

    return answer(run, flags)
