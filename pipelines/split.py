"""Splits a catalog so that every tag gets its share on every side and no artist is on two.

catalog-tagger split --catalog catalog.parquet --taxonomy taxonomy.yaml --output split.parquet
catalog-tagger prepare --catalog split.parquet --split-column split ...
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, catalog_flag, split_ratios_flag, taxonomy_flag
from pipelines.terminal.command import Command


@click.command(cls=Command)
@catalog_flag
@taxonomy_flag
@click.option("--output", required=True, metavar="CATALOG", help="New Parquet file: the catalog and its split.")
@click.option("--column", default="split", show_default=True, metavar="NAME", help="Name of the new column.")
@split_ratios_flag
@click.option("--previous", metavar="CATALOG", help="An earlier output, whose tracks keep their side.")
@click.option(
    "--bytes-column", metavar="COLUMN", help="Column with a digest of the audio: tracks with equal audio stay together."
)
@click.option("--report", metavar="JSON", help="Also write how even the split is, tag by tag.")
@answer_flags
def command(**flags: Any) -> int:
    """Reads the catalog twice: once to decide, once to write."""
    from pipelines.jobs.split import run

    return answer(run, flags)
