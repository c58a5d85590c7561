"""The images and the shell scripts."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.launch.gpu_job import IMAGE_PROGRAM
from pipelines.launch.kubernetes import USER

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SCRIPTS = [".ci/run", ".ci/check-subject", ".ci/test-pythons"]


@pytest.mark.parametrize(
    ("tool", "name"), [("hadolint", "deploy/Dockerfile"), *(("shellcheck", script) for script in SCRIPTS)]
)
def test_linters_find_nothing(tool: str, name: str) -> None:
    program = shutil.which(tool) or shutil.which(tool, path=str(ROOT / ".venv" / "bin"))
    if program is None:
        pytest.skip(f"{tool} is not installed: it comes with the dev extra")
    assert subprocess.run([program, str(ROOT / name)], check=False).returncode == 0


def test_every_shell_script_is_checked() -> None:
    here = [path for path in ROOT.rglob("*") if path.is_file() and not {".venv", ".git", ".tools"} & set(path.parts)]
    found = {str(path.relative_to(ROOT)) for path in here if path.read_bytes()[:20].startswith(b"#!/usr/bin/env bash")}
    assert found == set(SCRIPTS)


def test_the_image_has_the_beam_that_is_pinned() -> None:
    constraints = (ROOT / "constraints.txt").read_text()
    version = next(line.removeprefix("apache-beam==") for line in constraints.splitlines() if "apache-beam==" in line)
    assert f"ARG BEAM_VERSION={version}\n" in (DEPLOY / "Dockerfile").read_text()


def test_the_trainer_image_has_an_extra_that_exists_and_the_user_that_volumes_are_for() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    extras = re.findall(r'constraints.txt "\.\[([a-z,]+)\]"', text)[0].split(",")
    known = (ROOT / "setup.py").read_text()
    assert "gpu" in extras and all(f'"{extra}": [' in known or f'"{extra}": ' in known for extra in extras)
    trainer = text.partition("AS trainer\n")[2].partition("\nFROM ")[0]
    assert f"USER {USER}" in trainer and f'ENTRYPOINT ["{IMAGE_PROGRAM}"]' in trainer
