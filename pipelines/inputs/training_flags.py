"""Flags of the training of a trunk. Imports nothing that is slow to import."""

import click

from pipelines.inputs.flags import combined
from pipelines.inputs.numbers import Number

training_flags = combined(
    click.option("--epochs", type=int, default=30, show_default=True, metavar="N", help="Most epochs."),
    click.option(
        "--patience",
        type=int,
        default=8,
        show_default=True,
        metavar="N",
        help="Stop after this many epochs without a better validation loss.",
    ),
    click.option(
        "--batch-size",
        type=int,
        default=32,
        show_default=True,
        metavar="N",
        help="Patches per training step, over all devices and workers.",
    ),
    click.option(
        "--patches-per-track",
        type=int,
        default=4,
        show_default=True,
        metavar="N",
        help="Random patches per track and epoch.",
    ),
    click.option(
        "--epoch-tracks", type=int, metavar="N", help="Approximate number of tracks per epoch (default: all tracks)."
    ),
    click.option(
        "--learning-rate",
        type=Number(0, above=True),
        metavar="RATE",
        help="Initial learning rate of AdamW (default: 0.002; 0.0001 for a fine-tuned trunk).",
    ),
    click.option(
        "--train-norms",
        is_flag=True,
        help="With --fine-tune: also update normalisation layers; by default they are frozen.",
    ),
    click.option(
        "--similarity-weight",
        type=Number(0),
        default=0.0,
        show_default=True,
        metavar="X",
        help="Weight of a second loss that pulls tracks with similar tags together, rare tags most; 0 turns it off.",
    ),
    click.option(
        "--seed",
        type=int,
        default=0,
        show_default=True,
        metavar="N",
        help="Seed of initial weights, order and augmentation.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["float32", "mixed_float16", "mixed_bfloat16"]),
        default="float32",
        show_default=True,
        help="Arithmetic in training; weights are always float32.",
    ),
    click.option("--xla", is_flag=True, help="Compile the training step with XLA."),
    click.option(
        "--devices",
        type=int,
        metavar="N",
        help="Number of GPUs that share each batch (default: all; without a GPU: one CPU).",
    ),
    click.option(
        "--logs",
        metavar="FOLDER",
        help="Folder of the TensorBoard logs (default: AIP_TENSORBOARD_LOG_DIR, else BUNDLE.logs; none for gs://).",
    ),
    click.option(
        "--checkpoints",
        metavar="FOLDER",
        help="Folder of the checkpoints from which a killed run resumes; removed when the bundle is complete (default: "
        "AIP_CHECKPOINT_DIR, else BUNDLE.checkpoints).",
    ),
    click.option(
        "--checkpoint-steps",
        type=int,
        metavar="N",
        help="Write a checkpoint every N steps (default: after each epoch).",
    ),
)
"""Flags of the training of a trunk."""
