"""An installed wheel does the README's quick start in an empty environment, on every Python that is found."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
UV = Path(sys.executable).with_name("uv")
BUILT_FROM = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt")


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Output of a command that sees nothing of this environment or of the checkout."""
    hidden = ("PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(command, cwd=folder, env=kept | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def interpreters(version: str) -> Iterator[str]:
    """Interpreters of a version: this one, on PATH, and those of pyenv; those that do not start are left out."""
    candidates = [
        sys.executable,
        shutil.which(f"python{version}"),
        *Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"),
    ]
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        shown = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False).stdout.strip()
        if shown == version:
            yield str(candidate)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `make wheel` builds from a copy of the sources."""
    if not UV.exists():
        pytest.skip("uv is not in this environment: run make setup")
    source = tmp_path_factory.mktemp("source")
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, source)
    for name in ("pipelines", "transforms", "models"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    run(["make", "wheel", "--old-file=setup", f"BIN={UV.parent}"], source)
    (path,) = (source / "dist").glob("*.whl")
    return path


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_quick_start_runs_from_the_wheel(version: str, wheel: Path, tmp_path: Path) -> None:
    python = next(interpreters(version), None)
    if python is None:
        pytest.skip(f"no Python {version} is here: .ci/test-pythons resolves the constraints for it, nothing was run")
    extras = re.findall(r"uv tool install .*\[([a-z,]+)\]", README)[0]
    run([str(UV), "venv", "--quiet", "--python", python, str(tmp_path / "env")], tmp_path)
    install = [str(UV), "pip", "install", "--quiet", "--python", str(tmp_path / "env" / "bin" / "python")]
    run([*install, "--constraint", str(ROOT / "constraints.txt"), f"{wheel}[{extras}]"], tmp_path)
    path = f"{tmp_path / 'env' / 'bin'}:/usr/bin:/bin"
    (tmp_path / "work").mkdir()
    shown = run(["python", "-c", "import pipelines; print(pipelines.__file__)"], tmp_path / "work", PATH=path)
    assert shown.startswith(str(tmp_path / "env"))
    script = re.findall(r"<!-- quick start -->\n```bash\n(.+?)```", README, re.S)[0]
    printed = run(["bash", "-euc", script], tmp_path / "work", PATH=path)
    assert "snapshot 1 of demo/table: catalog 131" in printed and "track-0000" in printed


def test_make_image_builds_what_the_page_says() -> None:
    shown = run(["make", "--dry-run", "image", "TARGET=dataflow", "IMAGE=REGISTRY/catalog-tagger:0.1.0"], ROOT)
    page = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    assert shown.strip() in page and "docker build" in shown
