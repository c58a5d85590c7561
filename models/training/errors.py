"""Errors of training. Importing them needs no TensorFlow."""


class TrainingError(ValueError):
    """Options do not fit the dataset, the trunk or the devices."""


class CheckpointError(TrainingError):
    """A checkpoint is damaged or belongs to another run."""
