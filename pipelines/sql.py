"""Prints the statements that open a snapshot in an engine.

catalog-tagger sql gs://bucket/table --engine bigquery | bq query --dataset_id=catalog --nouse_legacy_sql
"""

import argparse

from pipelines.inputs.table import add_snapshot_arguments, chosen_snapshot
from pipelines.terminal.errors import DONE, UsageError

HELP = "Print the statements that open the tables in DuckDB, BigQuery or Spark."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares this command's flags."""
    add_snapshot_arguments(parser)
    parser.add_argument("--engine", choices=("duckdb", "bigquery", "spark"), required=True, help="where to open them")


def run(args: argparse.Namespace, beam_args: list[str]) -> int:
    """Prints the statements; returns the exit code."""
    from transforms.table.sql import SQL_ENGINES

    snapshot = chosen_snapshot(args)
    try:
        print(SQL_ENGINES[args.engine](snapshot), end="")
    except ValueError as error:
        raise UsageError(str(error)) from error
    return DONE
