"""Finds the most similar tracks of every track, and makes the search index of a table.

catalog-tagger neighbours table
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.inputs.numbers import RATIO
from pipelines.terminal.command import Command


@click.command(cls=Command, beam=True)
@click.argument("table", metavar="TABLE")
@click.option(
    "--neighbours", type=click.IntRange(1, 200), default=20, show_default=True, metavar="N", help="Neighbours a track."
)
@click.option(
    "--probes",
    type=click.IntRange(1),
    default=24,
    show_default=True,
    metavar="N",
    help="Cells from which candidates come: more find more of the nearest tracks, and take longer.",
)
@click.option(
    "--tag-weight",
    type=RATIO,
    metavar="SHARE",
    help="Weight of the tags in the similarity, against the embedding (default: the declared one).",
)
@click.option(
    "--refit",
    is_flag=True,
    help="Fit new cells and compute everything. Without it, that happens if too many tracks changed.",
)
@answer_flags
def command(**flags: Any) -> int:
    """Publishes a snapshot with the files of the newest one, the table `neighbours` and a search index beside it."""
    from pipelines.jobs.discovery.neighbours import run

    return answer(run, flags)
