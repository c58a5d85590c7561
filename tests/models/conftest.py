"""One small dataset and one bundle trained on it, for all tests of a process."""

from pathlib import Path

import pytest

from tests.support.tiny import example, tiny_dataset
from transforms.dataset.manifest import read_manifest

EPOCHS = 3
"""Enough to beat the baselines on tags that can be heard."""


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of `tests.support.tiny`; nobody writes into it."""
    return tiny_dataset(tmp_path_factory.mktemp("models") / "dataset")


@pytest.fixture(scope="session")
def built(dataset: Path, tmp_path_factory: pytest.TempPathFactory):
    """A bundle trained on it, and its metrics."""
    return build(dataset, tmp_path_factory.mktemp("models") / "bundle")


def build(dataset: Path, output: Path, **options):
    """A bundle whose trunk learned for a few epochs."""
    from models.build import build_bundle
    from models.embedding.pooling import Pooling
    from models.training.trainer import TrainingOptions

    return build_bundle(str(dataset), str(output), TrainingOptions(**{"epochs": EPOCHS, **options}), Pooling())


def train_tiny(dataset: Path, initial=None, **options):
    """A trunk alone that learned for a few epochs: what saves the time to export it and to fit heads."""
    from models.training.trainer import TrainingOptions, train_trunk

    manifest = read_manifest(str(dataset))
    shards = [str(dataset / shard.path) for shard in manifest.shards_of("train")]
    validation = [example(number) for number in range(60, 75)]
    return train_trunk(manifest, shards, validation, TrainingOptions(**{"epochs": EPOCHS, **options}), initial)
