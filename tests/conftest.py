"""Fixtures that several test folders share."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.gcs import gcs, gcs_server  # noqa: F401 - fixtures
from tests.support.sealed import sealed_dataset, sealed_tables  # noqa: F401 - fixtures
from tests.support.world import SHARED, World, make_world

# A busy machine is no bug: examples are bounded in number, not in time.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands record nothing in the user's own folder of states."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Some dozen short tracks, broken files among them, and a numpy bundle; nobody writes into it."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Path]:
    """Root of an empty table."""
    yield tmp_path / "table"


@pytest.fixture(scope="session")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real metadata of published catalogs, where it is beside the repository."""
    if not (SHARED / "meta.tar.gz").exists():
        pytest.skip("no real metadata beside the repository")
    folder = tmp_path_factory.mktemp("meta")
    with tarfile.open(SHARED / "meta.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "meta"
