"""The same rows from Beam's portable runner, where its binary is at hand."""

import os
import shutil
from pathlib import Path

import pytest

from tests.engines.same_content import check_same_content
from tests.engines.same_neighbours import check_same_neighbours
from tests.support.world import World


def _prism() -> str | None:
    """Where `make engine-prism` puts it, or on PATH."""
    tools = Path(__file__).parents[2] / ".tools" / "bin"
    return shutil.which("prism", path=os.pathsep.join([str(tools), os.environ.get("PATH", "")]))


@pytest.fixture
def flags() -> list[str]:
    """The flags of a run on the portable runner."""
    binary = _prism()
    if binary is None:
        pytest.skip("no prism binary: `make engine-prism` builds it where Go is")
    return ["--runner=PrismRunner", f"--prism_location={binary}", "--environment_type=LOOPBACK"]


def test_prism_publishes_the_same_content(world: World, tmp_path: Path, flags: list[str]) -> None:
    check_same_content(world, tmp_path, *flags)


@pytest.mark.long
def test_prism_finds_the_same_neighbours(tmp_path: Path, monkeypatch, flags: list[str]) -> None:
    check_same_neighbours(monkeypatch, tmp_path, *flags)
