"""The floor plan: what each room may import, what a file at a root is, and what a process must not load.

A room is a folder of `pipelines`, `transforms` or `models`; the files at a root form one room. `docs/architecture.md`
explains the rooms.
"""

import ast
import importlib.metadata
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import imported_by

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipelines", "transforms", "models")

GROUND = "schemas storage formats"
PURE = (
    "audio features extraction taxonomy catalog splits dataset fusion table levels iceberg tagging aggregates "
    f"discovery publishing verification maintenance comparison telemetry embedded_tags transforms.reports {GROUND}"
)
WRITERS = "querying exporting"
MODELS = "embedding scoring bundles trunks beats texts fitting training evaluation"

MAY_IMPORT = {
    "transforms.audio": "",
    "transforms.schemas": "",
    "transforms.storage": "",
    "transforms.formats": "schemas storage",
    "transforms.telemetry": "",
    "transforms.reports": "",
    "transforms.features": "audio",
    "transforms.taxonomy": GROUND,
    "transforms.catalog": f"audio taxonomy {GROUND}",
    "transforms.extraction": "features audio schemas storage telemetry",
    "transforms.splits": "catalog taxonomy schemas",
    "transforms.fusion": f"catalog taxonomy {GROUND}",
    "transforms.dataset": f"splits catalog taxonomy extraction features audio transforms.reports {GROUND}",
    "transforms.table": GROUND,
    "transforms.levels": f"table {GROUND}",
    "transforms.tagging": f"levels fusion comparison table taxonomy extraction audio {GROUND}",
    "transforms.aggregates": f"tagging table taxonomy {GROUND}",
    "transforms.iceberg": f"table {GROUND}",
    "transforms.publishing": f"fusion iceberg table tagging audio {GROUND}",
    "transforms.verification": f"discovery publishing iceberg table taxonomy audio {GROUND}",
    "transforms.maintenance": (
        f"discovery verification publishing iceberg aggregates table tagging extraction audio {GROUND}"
    ),
    "transforms.discovery": f"catalog features taxonomy table {GROUND}",
    "transforms.embedded_tags": "audio",
    "transforms.comparison": f"features table {GROUND}",
    "transforms": PURE,
    "models.embedding": "features formats telemetry",
    "models.scoring": "taxonomy formats",
    "models.bundles": f"embedding scoring features taxonomy splits {GROUND}",
    "models.trunks": f"bundles embedding scoring features taxonomy telemetry {GROUND}",
    "models.beats": f"trunks bundles features telemetry {GROUND}",
    "models.texts": "bundles trunks formats",
    "models.fitting": f"bundles embedding scoring splits table telemetry {GROUND}",
    "models.training": f"trunks bundles embedding scoring dataset features telemetry {GROUND}",
    "models.evaluation": (
        "training fitting trunks bundles embedding scoring dataset splits fusion taxonomy table telemetry "
        f"transforms.reports {GROUND}"
    ),
    "models": f"{MODELS} {PURE}",
    "pipelines.terminal": "extraction storage formats telemetry",
    "pipelines.reports": f"terminal models.bundles models.scoring {PURE}",
    "pipelines.synthesis": "",
    "pipelines.inputs": f"terminal models {MODELS} {PURE}",
    "pipelines.launch": "terminal inputs storage telemetry",
    "pipelines.checks": f"terminal inputs {MODELS} {PURE}",
    "pipelines.querying": f"terminal inputs table comparison {GROUND}",
    "pipelines.exporting": f"terminal inputs querying table comparison embedded_tags audio {GROUND}",
    "pipelines.serving": f"terminal querying models.bundles models.trunks models.embedding models.texts {PURE}",
    "pipelines.waves": f"launch transforms {PURE}",
    "pipelines.planning": f"terminal inputs launch waves models.beats transforms {PURE}",
    "pipelines.jobs": (
        f"terminal reports synthesis inputs launch checks waves planning {WRITERS} transforms models {MODELS} {PURE}"
    ),
    "pipelines.reading": (
        "terminal reports inputs querying serving launch checks models.bundles models.trunks models.beats models.texts "
        f"{PURE}"
    ),
    "pipelines": f"terminal inputs launch jobs reading {PURE} models.bundles",
    "pipelines.demo": f"pipelines terminal {PURE}",
    "pipelines.docs": f"pipelines terminal models.bundles {PURE}",
}
"""Room -> rooms whose modules it may import, by their last names; a room may always import its own modules."""

NEVER = {
    "pipelines": set(),
    "transforms": {"tensorflow", "keras"},
    "models": {"apache_beam"},
}
PURE_NEVER = {"apache_beam", "tensorflow", "keras", "tfrecord"}
EVERYWHERE_NEVER = {"tests", "deploy", "benchmarks"}
SOUND = ("transforms.audio", "transforms.features", "transforms.extraction")
MOST_FILES = 16
"""Source files of a folder without its `__init__`. The three roots are excepted: one file a command or PTransform."""


def files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> set[str]:
    return {module_name(path) for path in files()}


def room(name: str) -> str:
    """The folder below a package that a module is in; the package itself for files at its root."""
    package, *rest = name.split(".")
    return f"{package}.{rest[0]}" if rest and (ROOT / package / rest[0]).is_dir() else package


def is_pure(name: str) -> bool:
    """Whether a module is in a folder of `transforms`, which knows neither Beam nor TensorFlow."""
    return room(name).startswith("transforms.")


def allowed(here: str) -> set[str]:
    """The rooms that a room may import, by their full names."""
    names = MAY_IMPORT[here].split()
    return {here} | {place for place in MAY_IMPORT if place in names or place.rpartition(".")[2] in names}


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
    known, here = modules(), module_name(path)
    for line, name in imports(path):
        where, top = f"{path.relative_to(ROOT)}:{line}: {name}", name.split(".")[0]
        assert top not in EVERYWHERE_NEVER | NEVER[here.split(".")[0]], where
        assert not (is_pure(here) and top in PURE_NEVER), where
        if top in PACKAGES:
            target = own_module(name, known)
            assert target in known, f"{where}: no such module"
            assert room(target) in allowed(room(here)), where


def test_no_module_imports_itself_through_others() -> None:
    known = modules()
    graph = {
        module_name(path): {own_module(name, known) for _, name in imports(path)} & known - {module_name(path)}
        for path in files()
    }
    while leaves := {name for name, targets in graph.items() if not targets & graph.keys()}:
        graph = {name: targets for name, targets in graph.items() if name not in leaves}
    assert graph == {}


def test_a_file_at_the_root_of_transforms_is_one_ptransform() -> None:
    for path in (ROOT / "transforms").glob("[!_]*.py"):
        public = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
        found = [node.name for node in public if any(_unsubscripted(base) == "beam.PTransform" for base in node.bases)]
        named = "".join(part.capitalize() for part in path.stem.split("_"))
        assert [name for name in found if not name.startswith("_")] == [named], path


def _unsubscripted(base: ast.expr) -> str:
    """`a.B` of `a.B[C, D]`."""
    return ast.unparse(base.value if isinstance(base, ast.Subscript) else base)


def test_a_file_at_the_root_of_pipelines_is_one_command() -> None:
    from pipelines.cli import COMMANDS

    names = {path.stem.strip("_") for path in (ROOT / "pipelines").glob("[!_]*.py")} - {"cli"}
    assert names == {name.replace("-", "_") for name in COMMANDS}


def test_folders_are_small_and_file_names_do_not_repeat_their_folder() -> None:
    folders = Counter(path.parent for path in files() if path.name != "__init__.py")
    roots = {ROOT / package for package in PACKAGES}
    assert {str(folder): count for folder, count in folders.items() if count > MOST_FILES and folder not in roots} == {}
    for path in files():
        folder = path.parent.name.rstrip("s")
        assert not path.stem.startswith(folder), path


INTERFACES = {
    "transforms/storage/": {"create", "delete", "exists", "list_files", "list_folder", "open_input", "read_bytes"}
    | {"upload", "write_bytes", "list_folders", "list_unfinished", "delete_empty_folder", "read_range"},
    "transforms/audio/containers/": {"claimed_samples", "counted_samples", "with_samples"},
    "pipelines/launch/": {"submit"},
    "pipelines/serving/": {"routes"},
    "pipelines/": {"Options", "build", "command", "main", "make_options", "run", "stages_of", "summary"},
    "transforms/extraction/child.py": {"main"},
    "transforms/features/rhythm/": {"MULTIPLES", "TABLE", "estimate", "inputs", "names"},
}
"""Where a name is one interface that several modules implement, and which names are."""


def public_names(path: Path) -> Iterator[str]:
    """What a module defines at its top without an underscore, but for what implements an interface."""
    place = str(path.relative_to(ROOT))
    shared = set().union(*(names for prefix, names in INTERFACES.items() if place.startswith(prefix)))
    for node in ast.parse(path.read_text("utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        names = {getattr(target, "id", getattr(target, "name", "_")) for target in targets}
        yield from (name for name in names - shared if not name.startswith("_"))


def test_no_public_name_has_two_meanings() -> None:
    places = defaultdict(list)
    for path in files():
        for name in public_names(path):
            places[name].append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


PRINTS = ("pipelines.terminal", "pipelines.demo", "pipelines.docs")


def test_text_reaches_the_terminal_through_one_room() -> None:
    """So that every text is printable. The demo and generators of documents and scripts print this project's words."""
    for path in set(files()) - {ROOT / "pipelines" / "completion.py"}:
        calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        if room(module_name(path)) not in PRINTS:
            named = {ast.unparse(call) for call in calls}
            assert not {"print", "click.echo", "sys.stdout.write", "sys.stderr.write"} & named, path


def test_no_other_installed_distribution_has_these_names() -> None:
    provided = importlib.metadata.packages_distributions()
    assert [set(provided.get(package, ["catalog-tagger"])) for package in PACKAGES] == [{"catalog-tagger"}] * 3


def test_the_check_itself_sees_imports_inside_functions(tmp_path: Path) -> None:
    source = "import a.b\ndef f():\n    from c.d import e, g\n    import h as i\n"
    (tmp_path / "x.py").write_text(source)
    assert [name for _, name in imports(tmp_path / "x.py")] == ["a.b", "c.d.e", "c.d.g", "h"]


def test_every_room_has_a_row() -> None:
    assert {room(name) for name in modules()} == set(MAY_IMPORT)


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
    """What the sandbox's children import, and more: every module about sound, but the one that reads storage."""
    names = [name for name in modules() if room(name) in SOUND and name != "transforms.extraction.chunk_extractor"]
    assert loaded_by(names) & (HEAVY | {"pyarrow"}) == set()


def test_records_load_no_heavy_library() -> None:
    # gs:// is served by two modules that are imported with the first gs:// URL; query engines by one.
    later = {"transforms.storage.gcs", "transforms.storage.gcs_client", "transforms.table.duckdb_views"}
    names = [name for name in modules() if is_pure(name) and name not in later]
    assert loaded_by(names) & HEAVY == set()


def test_scoring_needs_no_tensorflow() -> None:
    names = [
        "models.bundles.tagger_bundle",
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

    return sorted(f"pipelines.{entry.module}" for entry in COMMANDS.values())


def test_nothing_reads_audio_by_what_guesses_a_format_or_makes_samples_up() -> None:
    for path in files():
        calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        used = {name for _, name in imports(path)} | {ast.unparse(call) for call in calls}
        assert not {"audioread", "librosa.load", "librosa.stream", "soundfile.blocks"} & used, path
        if room(module_name(path)) in SOUND:
            assert not any(name.endswith(".blocks") for name in used), path
