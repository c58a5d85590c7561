"""Prints the statements that open a snapshot in an engine.

catalog-tagger sql gs://bucket/table --engine bigquery | bq query --dataset_id=catalog --nouse_legacy_sql
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, snapshot_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.option(
    "--engine", type=click.Choice(["duckdb", "bigquery", "spark"]), required=True, help="Engine to open the tables in."
)
@click.option(
    "--also-snapshot",
    type=int,
    multiple=True,
    metavar="N",
    help="Also open the tables of snapshot N, under the names snapshot_N_tracks and so on; repeat for more.",
)
@click.option(
    "--previous",
    is_flag=True,
    help="Also open the tables of the snapshot before, under the names previous_tracks and so on.",
)
@answer_flags
def command(**flags: Any) -> int:
    """Prints the statements."""
    from pipelines.reading.sql import run

    return answer(run, flags)
