"""Takes tracks out of all snapshots of a table, its part files and TFRecord datasets.

catalog-tagger purge table --from takedown.txt --dataset dataset --apply
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.inputs.numbers import Duration
from pipelines.terminal.command import Command


@click.command(cls=Command)
@click.argument("table", metavar="TABLE")
@click.option("--track-id", multiple=True, metavar="ID", help="A track to take out. Repeatable.")
@click.option("--from", "from_", metavar="FILE", help="A text file with one track id per line.")
@click.option(
    "--dataset", multiple=True, metavar="DATASET", help="Also take the tracks out of this TFRecord dataset. Repeatable."
)
@click.option("--apply", is_flag=True, help="Take the tracks out. Without this flag, only count where they are.")
@click.option(
    "--reader-grace",
    type=Duration(),
    default="60s",
    show_default=True,
    metavar="TIME",
    help="Time between the new snapshots and the removal of the old files, for programs that are reading.",
)
@answer_flags
def command(**flags: Any) -> int:
    """Rewrites every retained snapshot without the tracks, and shows by reading again that they are gone.

    Snapshots keep their numbers and times, and record what was taken out. Take the tracks out of the catalog first: the
    next run of `tag` tags what its catalog has. Without --apply, nothing is changed.
    """
    from pipelines.jobs.purge import run

    return answer(run, flags)
