"""The same rows from Beam's portable runner, where its binary is at hand."""

import os
import shutil
from pathlib import Path

import pytest

from tests.world import World, tag


def _prism() -> str | None:
    """Where `make engine-prism` puts it, or on PATH."""
    tools = Path(__file__).parents[2] / ".tools" / "bin"
    return shutil.which("prism", path=os.pathsep.join([str(tools), os.environ.get("PATH", "")]))


def test_prism_publishes_the_same_content(world: World, tmp_path: Path) -> None:
    binary = _prism()
    if binary is None:
        pytest.skip("no prism binary: `make engine-prism` builds it where Go is")
    flags = ["--runner=PrismRunner", f"--prism_location={binary}", "--environment_type=LOOPBACK"]
    local, prism = tmp_path / "local", tmp_path / "prism"
    assert tag(world, prism, "--chunk-tracks=4", *flags).run.content_hash == tag(world, local).run.content_hash
