"""Makes training data: catalog and audio to TFRecord shards and `dataset.json`.

catalog-tagger prepare --catalog catalog.parquet --taxonomy taxonomy.yaml --output dataset
"""

from typing import Any

import click

from pipelines.inputs.flags import (
    answer,
    answer_flags,
    catalog_flag,
    extraction_flags,
    split_flags,
    taxonomy_flag,
    unknown_tags_flag,
)
from pipelines.launch.allocators import return_freed_memory
from pipelines.terminal.command import Command


@click.command(cls=Command, beam=True)
@catalog_flag
@taxonomy_flag
@click.option("--output", required=True, metavar="DATASET", help="Folder or gs:// prefix of the dataset.")
@click.option("--feature-spec", metavar="JSON", help="File with a feature spec (default: the built-in spec).")
@click.option(
    "--trunk", metavar="BUNDLE", help="Bundle whose feature spec is used, so that heads can be trained on its trunk."
)
@split_flags
@unknown_tags_flag
@extraction_flags(unit="shard", late="the job finishes the dataset")
@answer_flags
def command(**flags: Any) -> int:
    """Plans, runs the Beam job and reports."""
    return_freed_memory()
    from pipelines.jobs.prepare import run

    return answer(run, flags)
