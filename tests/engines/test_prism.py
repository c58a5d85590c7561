"""The same rows from Beam's portable runner, where its binary is at hand."""

import os
import shutil
from pathlib import Path

import pytest

from tests.engines.same_content import check_same_content
from tests.support.world import World


def _prism() -> str | None:
    """Where `make engine-prism` puts it, or on PATH."""
    tools = Path(__file__).parents[2] / ".tools" / "bin"
    return shutil.which("prism", path=os.pathsep.join([str(tools), os.environ.get("PATH", "")]))


def test_prism_publishes_the_same_content(world: World, tmp_path: Path) -> None:
    binary = _prism()
    if binary is None:
        pytest.skip("no prism binary: `make engine-prism` builds it where Go is")
    flags = ["--runner=PrismRunner", f"--prism_location={binary}", "--environment_type=LOOPBACK"]
    check_same_content(world, tmp_path, *flags)
