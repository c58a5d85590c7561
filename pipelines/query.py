"""Asks a snapshot's tables a question in SQL.

catalog-tagger query table "SELECT tag, count(*) AS tracks FROM track_tags WHERE is_positive GROUP BY tag"
"""

from typing import Any

import click

from pipelines.inputs.flags import Arguments, answer, answer_flags, answer_form, force_flag, snapshot_flags
from pipelines.inputs.numbers import ByteSize, Number
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.option("--run", metavar="RUN", help="Query a finished run that is not published, by its id.")
@click.argument("sql", metavar="[SQL]", required=False)
@click.option("--questions", is_flag=True, help="List typical questions, which --question answers.")
@click.option(
    "--question",
    metavar="N",
    help="Answer one of them, by its number or by a few of its words. Its tags and ids are those of `make demo`.",
)
@click.option(
    "--output",
    metavar="FILE",
    help="Write the whole answer there instead of stdout: .parquet, .csv or .xlsx, locally or on gs://.",
)
@force_flag
@click.option(
    "--timeout",
    type=Number(0, above=True),
    metavar="SECONDS",
    help="Interrupt a query that computes longer, not counting the time in which its answer is written (default: "
    "no limit).",
)
@click.option(
    "--memory-limit",
    type=ByteSize(50 * 10**6),
    metavar="SIZE",
    help="Most memory of a query, such as 4GB; the rest is kept in TMPDIR (default: 80 % of the machine's).",
)
@answer_flags
def command(**flags: Any) -> int:
    """Prints the answer; without SQL, opens an interactive shell or reads the SQL from standard input."""
    from pipelines.reading.query import listed_questions, run

    if flags["questions"]:
        return answer(listed_questions, flags)
    is_chosen = flags["format"] != "table"
    form = answer_form(flags)
    return run(Arguments(**flags), form, is_chosen=is_chosen)
