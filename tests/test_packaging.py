"""What a user installs: three packages, one command, everything declared that is imported."""

import ast
import functools
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipelines", "transforms", "models")
BUILT_FROM = ("setup.py", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built without a network from a copy of the sources."""
    source = tmp_path_factory.mktemp("source")
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, source)
    for name in (*PACKAGES, "tests", "deploy", "benchmarks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import setuptools.build_meta as b; b.build_wheel('dist')"
    built = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(dist_info(wheel, "METADATA"))


def dist_info(wheel: zipfile.ZipFile, name: str) -> str:
    (found,) = (item for item in wheel.namelist() if item.endswith(f".dist-info/{name}"))
    return wheel.read(found).decode()


def requirements(metadata: Message) -> list[Requirement]:
    return [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]


def extras_of(metadata: Message) -> set[str]:
    return set(metadata.get_all("Provides-Extra", []))


def test_declared_tables_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    declared = {path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.yaml")}
    assert declared and declared <= set(wheel.namelist())


def test_three_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_every_module_and_data_file_is_shipped(wheel: zipfile.ZipFile) -> None:
    """Also what is no Python: a file that the code reads must reach the workers."""
    there = {str(p.relative_to(ROOT)) for name in PACKAGES for p in (ROOT / name).rglob("*") if p.is_file()}
    there = {name for name in there if "__pycache__" not in name}
    assert there == {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_type_checkers_read_the_annotations(wheel: zipfile.ZipFile) -> None:
    assert {f"{name}/py.typed" for name in PACKAGES} <= set(wheel.namelist())


def test_console_script(wheel: zipfile.ZipFile) -> None:
    assert dist_info(wheel, "entry_points.txt").split("\n")[:2] == [
        "[console_scripts]",
        "catalog-tagger = pipelines.cli:main",
    ]


def test_the_unpacked_wheel_runs(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = "import pipelines.cli as c, sys; print(c.__file__); sys.exit(c.main(['--help']))"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(str(tmp_path))
    assert "prepare" in shown.stdout and "Exit codes" in shown.stdout


def test_licence(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert (metadata["License-Expression"] or metadata["License"]) == "Apache-2.0"
    assert "Apache License" in dist_info(wheel, "licenses/LICENSE")


def test_python_versions_agree(metadata: Message) -> None:
    versions = SpecifierSet(metadata["Requires-Python"])
    assert [minor for minor in range(8, 20) if f"3.{minor}.0" in versions] == [11, 12, 13]
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert tools["ruff"]["target-version"] == "py311"
    assert tools["mypy"]["python_version"] == "3.11"


def test_types_are_checked_everywhere() -> None:
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert (mypy["files"], mypy["strict"]) == (list(PACKAGES), True)


def third_party_imports() -> dict[str, str]:
    """Full name of everything imported from elsewhere -> a file that does."""
    found = {}
    for path in (p for name in PACKAGES for p in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                if name.split(".")[0] not in sys.stdlib_module_names and name.split(".")[0] not in PACKAGES:
                    found[name] = str(path.relative_to(ROOT))
    return found


@functools.cache
def owners() -> dict[str, str]:
    """Path of every installed module, without suffix -> the distribution that brought it."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = canonicalize_name(distribution.metadata["Name"])
        # The text of RECORD: `distribution.files` makes an object of each of TensorFlow's 20,000 lines.
        for line in (distribution.read_text("RECORD") or "").splitlines():
            path = line.split(",")[0]
            if path.endswith((".py", ".so")):
                found.setdefault(path.split(".")[0].removesuffix("/__init__"), name)
    return found


def distribution_of(name: str) -> str | None:
    """The distribution that brings the longest installed part of a dotted name; None where it is not installed."""
    parts = name.split(".")
    stems = ("/".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((owners()[stem] for stem in stems if stem in owners()), None)


ALIASES = {"tensorflow-cpu": "tensorflow"}


def test_every_import_is_declared(metadata: Message) -> None:
    declared = {ALIASES.get(n, n) for n in (canonicalize_name(r.name) for r in requirements(metadata))}
    for name, file in third_party_imports().items():
        owner = distribution_of(name)
        if owner is None:
            assert name.split(".")[0] in declared, f"{file} imports {name}, which is neither declared nor installed"
        else:
            assert ALIASES.get(owner, owner) in declared, f"{file} imports {name} of {owner}, which is not declared"


def test_nothing_is_required_that_is_never_imported(metadata: Message) -> None:
    used = {distribution_of(name) for name in third_party_imports()}
    required = {canonicalize_name(r.name) for r in requirements(metadata) if "extra" not in str(r.marker)}
    assert required <= used


def test_requirements_have_bounds(metadata: Message) -> None:
    """Without a lower bound one conflicting pin makes a resolver walk back years."""
    for requirement in requirements(metadata):
        if "extra" not in str(requirement.marker):
            operators = {spec.operator for spec in requirement.specifier}
            assert {">=", "<"} <= operators, requirement


def test_constraints_fit_the_requirements(metadata: Message) -> None:
    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            pin = Requirement(line)
            pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    for requirement in requirements(metadata):
        if 'extra == "gpu"' in str(requirement.marker):
            continue  # CUDA's packages are resolved where there is a GPU
        pinned = pins.get(canonicalize_name(requirement.name), [])
        assert pinned, f"{requirement.name} is not pinned: run make constraints"
        for pin in pinned:
            (version,) = (spec.version for spec in pin.specifier)
            assert requirement.specifier.contains(version), f"{pin} does not satisfy {requirement}"


def texts_that_name_extras() -> list[Path]:
    folders = [ROOT / "docs", ROOT / "deploy", *(ROOT / name for name in PACKAGES)]
    found = [path for folder in folders for path in folder.rglob("*") if path.suffix in {".md", ".py", ".sh"}]
    return [*found, ROOT / "deploy" / "Dockerfile", ROOT / "Makefile", *ROOT.glob("*.md")]


def test_extras_that_are_named_exist(metadata: Message) -> None:
    pattern = re.compile(r"catalog-tagger\[([a-z, ]+)\]|EXTRAS ?:?= ?([a-z,]+)|'\.\[([a-z,]+)\]")
    for path in texts_that_name_extras():
        for groups in pattern.findall(path.read_text(encoding="utf-8")):
            named = {name.strip() for name in "".join(groups).split(",")}
            assert named <= extras_of(metadata), f"{path.relative_to(ROOT)} names {named - extras_of(metadata)}"
