"""Checks whether a job can run: this machine, the places and the engine that are named.

catalog-tagger doctor catalog.parquet bundle table
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.terminal.command import Command


@click.command(cls=Command, beam=True)
@click.argument("places", metavar="[CATALOG | BUNDLE | DATASET | TABLE]...", nargs=-1)
@click.option("--catalog-root", metavar="FOLDER", help="Folder that relative uris of a catalog start from.")
@click.option("--allow-weak-sandbox", is_flag=True, help="Accept a system that cannot restrict decoders (seccomp).")
@answer_flags
def command(**flags: Any) -> int:
    """Prints one line for each check, with the remedy if it fails."""
    from pipelines.reading.doctor import run

    return answer(run, flags)
