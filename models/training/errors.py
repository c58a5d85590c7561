"""Why training cannot start: errors with a mend, which need no TensorFlow."""


class TrainingError(ValueError):
    """Options that do not fit the dataset, the trunk or the devices."""


class CheckpointError(TrainingError):
    """A checkpoint that is damaged, or of another run."""
