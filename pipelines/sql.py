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
@answer_flags
def command(**flags: Any) -> int:
    """Prints the statements."""
    from pipelines.reading.sql import run

    return answer(run, flags)
