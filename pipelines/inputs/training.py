"""Options of training, from the flags of `train`. Imports TensorFlow."""

from models.training.data import Sampling
from models.training.options import TrainingOptions
from pipelines.inputs.flags import Arguments
from pipelines.inputs.places import checkpoints_folder
from pipelines.terminal.errors import UsageError


def training_options(args: Arguments, trunk: str) -> TrainingOptions:
    """The options of training that the flags define, for a trunk of the registry.

    Raises:
      UsageError: a value is out of its range.
    """
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
