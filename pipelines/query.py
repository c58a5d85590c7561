"""Asks a snapshot's tables a question in SQL.

catalog-tagger query table "SELECT tag, count(*) AS tracks FROM track_tags WHERE is_positive GROUP BY tag"
"""

from typing import Any

import click

from pipelines.inputs.flags import Arguments, answer_flags, answer_form, snapshot_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.option("--run", metavar="RUN", help="Query a finished run that is not published, by its id.")
@click.argument("sql", metavar="SQL")
@answer_flags
def command(**flags: Any) -> int:
    """Prints the answer; `-` reads the SQL from standard input."""
    from pipelines.reading.query import run

    form = answer_form(flags)
    return run(Arguments(**flags), form)
