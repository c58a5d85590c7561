"""How `train` trains: the flags, and the options that they make."""

import argparse
from typing import TYPE_CHECKING

from pipelines.terminal.errors import UsageError

if TYPE_CHECKING:
    from models.training.options import TrainingOptions


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags for how a trunk is trained."""
    add = parser.add_argument_group("training").add_argument
    add("--epochs", type=int, default=30, help="most passes over the training tracks")
    add("--patience", type=int, default=8, help="epochs without progress on validation before the end")
    add("--batch-size", type=int, default=32, help="patches of a training step, over all devices and workers")
    add("--patches-per-track", type=int, default=4, help="random patches that a track gives per epoch")
    add("--epoch-tracks", type=int, metavar="N", help="about so many tracks make an epoch (default: all of them)")
    add("--learning-rate", type=float, help="of AdamW at its start (default: 0.002; 0.0001 for a fine-tuned trunk)")
    add(
        "--train-norms",
        action="store_true",
        help="with --fine-tune: normalisations follow the data too; without it they stay as they are",
    )
    add(
        "--similarity-weight",
        type=float,
        default=0.0,
        metavar="X",
        help="what a second loss weighs that draws tracks with similar tags together, rare tags most; 0: none",
    )
    add("--seed", type=int, default=0, help="of weights, order and augmentation")
    add(
        "--precision",
        choices=("float32", "mixed_float16", "mixed_bfloat16"),
        default="float32",
        help="of the arithmetic in training; weights stay float32",
    )
    add("--xla", action="store_true", help="compile the training step with XLA")
    add("--devices", type=int, metavar="N", help="GPUs that share each batch (default: all; without any: 1 processor)")
    add(
        "--logs",
        metavar="FOLDER",
        help="where TensorBoard finds the run (default: AIP_TENSORBOARD_LOG_DIR, else BUNDLE.logs; none beside gs://)",
    )
    add(
        "--checkpoints",
        metavar="FOLDER",
        help="what a killed run goes on from when it is started again, removed when the bundle is complete (default: "
        "AIP_CHECKPOINT_DIR, else BUNDLE.checkpoints)",
    )
    add("--checkpoint-steps", type=int, metavar="N", help="a checkpoint each so many steps (default: after each epoch)")


def checkpoints_folder(args: argparse.Namespace) -> str:
    """Where the run leaves its checkpoints."""
    return args.checkpoints or f"{args.output.rstrip('/')}.checkpoints"


def training_options(args: argparse.Namespace, trunk: str) -> "TrainingOptions":
    """The options that the flags make, for a trunk of the registry.

    Raises:
      UsageError: a value makes no sense.
    """
    from models.training.data import Sampling
    from models.training.options import TrainingOptions

    output = args.output.rstrip("/")
    try:
        return TrainingOptions(
            trunk=trunk,
            epochs=args.epochs,
            patience=args.patience,
            learning_rate=args.learning_rate,
            train_norms=args.train_norms,
            similarity_weight=args.similarity_weight,
            sampling=Sampling(
                batch_size=args.batch_size,
                patches_per_track=args.patches_per_track,
                epoch_tracks=args.epoch_tracks,
                seed=args.seed,
            ),
            precision=args.precision,
            xla=args.xla,
            devices=args.devices,
            logs=args.logs or (None if "://" in output else f"{output}.logs"),
            checkpoints=checkpoints_folder(args),
            checkpoint_steps=args.checkpoint_steps,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
