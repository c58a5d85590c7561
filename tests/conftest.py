"""Fixtures that several test folders share."""

import gc
import logging
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.gcs import gcs, gcs_server  # noqa: F401 - fixtures
from tests.support.sealed import sealed_dataset, sealed_tables  # noqa: F401 - fixtures
from tests.support.world import SHARED, World, make_world

# A busy machine is no bug: examples are bounded in number, not in time. Each run tries the same examples, so that no
# change is refused by chance; `make test-long` draws new ones (`--hypothesis-profile=explore`).
BUSY = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("project", derandomize=True, **BUSY)
hypothesis.settings.register_profile("explore", **BUSY)
hypothesis.settings.load_profile("project")

INHERITED = (
    *("MAKE", "MFLAGS", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CI", "LANG", "LC_", "XDG_"),
    *("GOOGLE_", "CLOUDSDK_", "STORAGE_EMULATOR_HOST", "AIP_", "TF_CONFIG", "AWS_", "PYTHONIOENCODING", "PYTHONUTF8"),
)
"""Beginnings of the variables of this shell that change what a command prints or reads."""


_SOME_MODULES = 200
_frozen = {"modules": 0}


def pytest_collection_finish() -> None:
    """Prepares for many tests in one process what collection has imported."""
    _prepare_modules()


def pytest_runtest_logfinish() -> None:
    """The same for what a test has imported, such as TensorFlow or the runner of a Beam job."""
    _prepare_modules()


def _prepare_modules() -> None:
    """Leaves modules and collected tests out of every later garbage collection: `tag` collects after each wave."""
    if len(sys.modules) < _frozen["modules"] + _SOME_MODULES:
        return
    gc.collect()
    gc.freeze()
    _frozen["modules"] = len(sys.modules)
    if "apache_beam.pipeline" in sys.modules:
        from tests.support import beam_memo

        beam_memo.install()


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands record nothing in the user's own folder, and see nothing of the shell that started the tests.

    Nothing loses power, so that nothing waits for a disk: a table is 150 such waits, each as long as others write.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        for name in [name for name in os.environ if name.startswith(INHERITED)]:
            patch.delenv(name)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


_LEVELS = {
    logger: logger.level
    for logger in map(logging.getLogger, (None, "pipelines", "transforms", "models", "apache_beam"))
}
"""The levels of before all tests."""


@pytest.fixture(autouse=True)
def _log_levels() -> None:
    """A command with `--quiet`, in another test or in a fixture of a module, hides no warning of a test."""
    for logger, level in _LEVELS.items():
        logger.setLevel(level)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Some dozen short tracks, broken files among them, and a numpy bundle; nobody writes into it."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports of `evaluate` have no plots, which take seconds to draw; `test_evaluate.py` draws them."""
    from models.evaluation.report import plots
    from transforms.reports.markup import Html

    for name in ("average_plot", "confusion_plot", "curve_grid", "reliability_grid", "training_plot"):
        monkeypatch.setattr(plots, name, lambda *_, **__: Html(""))


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
