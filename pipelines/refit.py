"""Fits new heads on the embeddings of a published table: no audio is opened.

catalog-tagger refit --table tags --model bundle --catalog labelled.parquet --output bundle-2
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, combined, head_flags, unknown_tags_flag
from pipelines.terminal.command import Command

refit_flags = combined(
    click.option("--table", required=True, metavar="TABLE", help="Table whose newest snapshot has the embeddings."),
    click.option(
        "--model", required=True, metavar="BUNDLE", help="Bundle that made the embeddings; its split is kept."
    ),
    click.option("--catalog", metavar="CATALOG", help="Catalog with labels, instead of --dataset."),
    click.option("--dataset", metavar="DATASET", help="Dataset with labels, instead of --catalog."),
    click.option("--output", required=True, metavar="BUNDLE", help="New folder or gs:// prefix of the new bundle."),
    click.option(
        "--taxonomy", metavar="YAML", help="With --catalog: categories and tags (default: those of the bundle)."
    ),
    click.option(
        "--split-column",
        metavar="COLUMN",
        help="With --catalog: column with an official split. Ignored for artists already assigned by the bundle's "
        "split, except the value `none`, which always excludes a track.",
    ),
    unknown_tags_flag,
    head_flags,
)
"""Flags of `refit`, in this process or in a job."""


@click.command(cls=Command)
@refit_flags
@answer_flags
def command(**flags: Any) -> int:
    """Fits, writes the bundle and prints its metrics."""
    from pipelines.jobs.refit import run

    return answer(run, flags)
