"""Synthesises a catalog whose tags are known by construction.

catalog-tagger synthesize --output demo --tracks 120 --seed 0 --duration 8
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.inputs.numbers import Number
from pipelines.terminal.command import Command


@click.command(cls=Command)
@click.option("--output", required=True, metavar="FOLDER", help="Folder for audio/, catalog.parquet and taxonomy.yaml.")
@click.option(
    "--tracks",
    type=int,
    default=120,
    show_default=True,
    metavar="N",
    help="Number of songs. One copy, and one broken file per 12 songs, are added.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="The same seed gives the same bytes.")
@click.option(
    "--duration",
    type=Number(0.5, 600),
    default=8.0,
    show_default=True,
    metavar="S",
    help="Length of a song in seconds.",
)
@answer_flags
def command(**flags: Any) -> int:
    """Writes audio, catalog and taxonomy."""
    from pipelines.jobs.synthesize import run

    return answer(run, flags)
