"""A table of some nights, made once."""

import shutil
from pathlib import Path

import pytest

from tests.support.nightly import nightly_bundle
from transforms.maintenance import leases


@pytest.fixture(autouse=True)
def _no_observation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that looks dead is dead at once."""
    monkeypatch.setattr(leases, "OBSERVED_S", 0.0)
    monkeypatch.setattr(leases, "_POLL_S", 0.01)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory):
    return nightly_bundle(tmp_path_factory.mktemp("bundle") / "bundle")


@pytest.fixture(scope="session")
def next_bundle(tmp_path_factory: pytest.TempPathFactory):
    """A bundle with another trunk."""
    return nightly_bundle(tmp_path_factory.mktemp("next") / "bundle", seed=1)


@pytest.fixture
def copied(tmp_path: Path):
    """Makes copies of a table, with the times of its files."""

    def copy(table: Path, name: str) -> Path:
        return Path(shutil.copytree(table, tmp_path / name))

    return copy
