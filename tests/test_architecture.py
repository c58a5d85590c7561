"""Imports point inwards, in every module and in every function; heavy libraries come only when they are used."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import imported_by

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipelines", "transforms", "models")
LAYERS = ("pipelines", "models", "pure", "transforms")
"""`pure`: the folders of `transforms`."""

MAY_IMPORT = {
    "pipelines": {"pipelines", "models", "transforms", "pure"},
    "transforms": {"transforms", "pure"},
    "models": {"models", "pure"},
    "pure": {"pure"},
}
SOUND = ("audio", "features", "extraction")
NEVER = {
    "pipelines": set(),
    "transforms": {"tensorflow", "keras"},
    "models": {"apache_beam"},
    "pure": {"apache_beam", "tensorflow", "keras", "tfrecord"},
}
EVERYWHERE_NEVER = {"tests", "deploy", "benchmarks"}


def files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> set[str]:
    return {module_name(path) for path in files()}


def layer(name: str) -> str:
    top, *rest = name.split(".")
    return "pure" if top == "transforms" and rest and (ROOT / top / rest[0]).is_dir() else top


def is_sound(name: str) -> bool:
    return layer(name) == "pure" and name.split(".")[1] in SOUND


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, full name) of everything that a file imports, at its top or anywhere inside."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: imports are absolute"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def own_module(name: str, known: set[str]) -> str:
    """The module of `module.attribute`, or the name itself where it is a module."""
    return name if name in known else name.rpartition(".")[0]


@pytest.mark.parametrize("path", files(), ids=module_name)
def test_imports_point_inwards(path: Path) -> None:
    known, here = modules(), layer(module_name(path))
    for line, name in imports(path):
        where, top = f"{path.relative_to(ROOT)}:{line}: {name}", name.split(".")[0]
        assert top not in EVERYWHERE_NEVER, where
        assert top not in NEVER[here], where
        if top in PACKAGES:
            target = own_module(name, known)
            assert target in known, f"{where}: no such module"
            assert layer(target) in MAY_IMPORT[here], where


def test_the_check_itself_sees_imports_inside_functions(tmp_path: Path) -> None:
    source = "import a.b\ndef f():\n    from c.d import e, g\n    import h as i\n"
    (tmp_path / "x.py").write_text(source)
    assert [name for _, name in imports(tmp_path / "x.py")] == ["a.b", "c.d.e", "c.d.g", "h"]


def test_layers_and_packages_are_all_there() -> None:
    assert {layer(name) for name in modules()} == set(LAYERS)


def loaded_by(names: list[str]) -> set[str]:
    """Everything in memory after a fresh process has imported the modules."""
    return imported_by("import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)", *names)


HEAVY = {
    "apache_beam",
    "duckdb",
    "google.cloud.storage",
    "keras",
    "librosa",
    "numba",
    "pandas",
    "polars",
    "sklearn",
    "tensorflow",
}


def test_extraction_loads_no_heavy_library() -> None:
    """What the sandbox's children import, and more: every module about sound."""
    names = [name for name in modules() if is_sound(name) and name != "transforms.extraction.chunk_extractor"]
    assert loaded_by(names) & (HEAVY | {"pyarrow"}) == set()


def test_records_load_no_heavy_library() -> None:
    # gs:// is served by two modules that are imported with the first gs:// URL; query engines by one.
    later = {"transforms.storage.gcs", "transforms.storage.gcs_client", "transforms.table.duckdb_views"}
    names = [name for name in modules() if layer(name) == "pure" and name not in later]
    assert loaded_by(names) & HEAVY == set()


def test_scoring_needs_no_tensorflow() -> None:
    names = [
        "models.bundles.bundle",
        "models.trunks.loading",
        "models.scoring.heads",
        "models.embedding.pooling",
        "models.bundles.fake",
    ]
    assert loaded_by(names) & HEAVY == set()


def test_help_needs_hardly_anything() -> None:
    assert loaded_by(["pipelines.cli", *_commands()]) & (HEAVY | {"pyarrow", "numpy", "scipy"}) == set()


def _commands() -> list[str]:
    from pipelines.cli import COMMANDS

    return sorted(module for module, _ in COMMANDS.values())


def test_nothing_reads_audio_by_what_guesses_a_format_or_makes_samples_up() -> None:
    for path in files():
        calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        used = {name for _, name in imports(path)} | {ast.unparse(call) for call in calls}
        assert not {"audioread", "librosa.load", "librosa.stream", "soundfile.blocks"} & used, path
        if is_sound(module_name(path)):
            assert not any(name.endswith(".blocks") for name in used), path
