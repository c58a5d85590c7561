"""One small dataset and one bundle trained on it, for all tests of a process."""

from pathlib import Path

import pytest

from tests.models.tiny import tiny_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of `tests.models.tiny`; nobody writes into it."""
    return tiny_dataset(tmp_path_factory.mktemp("models") / "dataset")


@pytest.fixture(scope="session")
def built(dataset: Path, tmp_path_factory: pytest.TempPathFactory):
    """A bundle trained on it, and its metrics."""
    return build(dataset, tmp_path_factory.mktemp("models") / "bundle")


def build(dataset: Path, output: Path, seed: int = 0, **options):
    """Trains for a few epochs."""
    from models.building import build_bundle
    from models.training.data import Sampling
    from models.training.training import TrainingOptions
    from models.trunks.pooling import Pooling

    chosen = TrainingOptions(**{"epochs": 8, "sampling": Sampling(seed=seed), **options})
    return build_bundle(str(dataset), str(output), chosen, Pooling())
