"""Shows the condition of a table, for a monitor.

catalog-tagger status table --max-age 26h
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.inputs.numbers import Duration
from pipelines.terminal.command import Command
from pipelines.terminal.errors import UsageError


@click.command(cls=Command)
@click.argument("table", metavar="TABLE")
@click.option(
    "--max-age",
    type=Duration(),
    metavar="TIME",
    help="Exit with code 6 if the newest snapshot is older than this, such as 26h, or if there is none.",
)
@click.option("--prometheus", is_flag=True, help="Write metrics in the text format of Prometheus.")
@answer_flags
def command(**flags: Any) -> int:
    """Prints age and gates of the newest snapshot, the last launch, tracks due again, disk and running jobs."""
    from pipelines.reading.status import run

    if flags["prometheus"] and (flags["format"] != "table" or flags["safe_csv"]):
        raise UsageError("--prometheus is a format of its own: leave --format, --json and --safe-csv out")
    return answer(run, flags)
