"""Reports what a catalog's labels are worth, and makes a taxonomy without the tags that are too rare.

catalog-tagger labels --catalog catalog.parquet --taxonomy taxonomy.yaml --output labels --min-artists 50
catalog-tagger prepare --catalog catalog.parquet --taxonomy labels/taxonomy.yaml ...
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, catalog_flag, split_flags, taxonomy_flag
from pipelines.terminal.command import Command


@click.command(cls=Command)
@catalog_flag
@taxonomy_flag
@click.option("--output", required=True, metavar="FOLDER", help="Folder of the report; an older report is replaced.")
@click.option(
    "--min-artists",
    type=int,
    metavar="N",
    help="Drop tags that fewer artists carry, and write the rest to FOLDER/taxonomy.yaml.",
)
@split_flags
@answer_flags
def command(**flags: Any) -> int:
    """Reads the catalog once and writes the report."""
    from pipelines.jobs.labels import run

    return answer(run, flags)
