"""Trains a tagger: TFRecord shards to a model bundle.

catalog-tagger train --dataset dataset --output bundle
"""

from typing import Any

import click

from pipelines.inputs.flags import Decorator, answer, answer_flags, combined, head_flags
from pipelines.inputs.training_flags import training_flags
from pipelines.terminal.command import Command


def train_flags(output: Decorator) -> Decorator:
    """Flags of `train`, in this process or in a job; `output` is the flag --output."""
    return combined(
        click.option(
            "--dataset", required=True, metavar="DATASET", help="Folder or gs:// prefix that `prepare` wrote."
        ),
        output,
        click.option(
            "--trunk",
            multiple=True,
            metavar="NAME|BUNDLE",
            help="Network from patches to embeddings. compact, mobile and short_chunk_resnet are trained from scratch; "
            "the folder of a bundle gives its trained trunks; statistics uses no network. Repeat it to join several. "
            "(default: compact)",
        ),
        click.option(
            "--fine-tune",
            is_flag=False,
            flag_value="tested",
            type=click.Choice(["tested", "always"]),
            help="Also fine-tune the trunks given as bundles. `tested` (default when the flag has no value) keeps the "
            "fine-tuned trunk only if it improves validation loss; `always` keeps it regardless.",
        ),
        click.option(
            "--statistics",
            type=click.Choice(["mel", "none"]),
            default="mel",
            show_default=True,
            help="Hand-crafted statistics of the spectrogram that are appended to the track embedding.",
        ),
        head_flags,
        training_flags,
    )


@click.command(cls=Command)
@train_flags(
    click.option(
        "--output",
        metavar="BUNDLE",
        help="New folder or gs:// prefix of the bundle. Required, except inside a Vertex AI job: AIP_MODEL_DIR.",
    )
)
@answer_flags
def command(**flags: Any) -> int:
    """Trains, writes the bundle and prints its metrics next to the baselines'."""
    from pipelines.jobs.train import run

    return answer(run, flags)
