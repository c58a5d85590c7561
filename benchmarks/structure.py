"""Counts of the code's structure, for this checkout or for several next to each other.

python -m benchmarks.structure [--root PATH ...] prints them as a Markdown table; --road prints the road of `tag` alone.
"""

import argparse
import ast
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.road import PACKAGES, Road, module_name, road_page, room, trace_tag

MANY_FILES = 16
"""Source files of a folder that are many."""


class Module(NamedTuple):
    """A parsed source file; `lines` are all lines of the file."""

    name: str
    room: str
    lines: int
    tree: ast.Module


def read_modules(root: Path) -> list[Module]:
    """All source files of the three packages of a checkout."""
    paths = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return [
        Module(module_name(path, root), room(path, root), len(text.splitlines()), ast.parse(text))
        for path, text in zip(paths, texts, strict=True)
    ]


def import_graph(modules: list[Module]) -> dict[str, set[str]]:
    """Module -> modules that it imports, at its top or inside functions."""
    known = {module.name for module in modules}
    graph: dict[str, set[str]] = {name: set() for name in known}
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            found = {name if name in known else name.rpartition(".")[0] for name in names}
            graph[module.name] |= found & known - {module.name}
    return graph


def room_graph(modules: list[Module]) -> dict[str, set[str]]:
    """Room -> other rooms that its modules import."""
    places = {module.name: module.room for module in modules}
    rooms: dict[str, set[str]] = defaultdict(set)
    for name, targets in import_graph(modules).items():
        rooms[places[name]] |= {places[target] for target in targets} - {places[name]}
    return dict(rooms)


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other.

    >>> circles({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    [['b', 'c']]
    """
    reached = {name: _reached(graph, name) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - seen
        seen |= new
        waiting += new
    return seen


def names_in_several_modules(modules: list[Module]) -> list[str]:
    """Public names that more than one module defines at its top."""
    places = Counter(name for module in modules for name in _public_names(module.tree))
    return sorted(name for name, count in places.items() if count > 1)


def _public_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        names |= {getattr(target, "id", getattr(target, "name", "_")) for target in targets}
    return {name for name in names if not name.startswith("_")}


def counts(root: Path, road: Road) -> dict[str, str]:
    """What is counted, and the figure of a checkout."""
    modules = read_modules(root)
    nodes = [node for module in modules for node in ast.walk(module.tree)]
    functions = [
        (node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes if isinstance(node, ast.FunctionDef)
    ]
    files = [module.lines for module in modules]
    folders = files_per_folder(root)
    below = {name: count for name, count in folders.items() if name not in PACKAGES}
    return {
        "source files": str(len(modules)),
        "lines": f"{sum(files):,}",
        "lines of a file: median, most": f"{statistics.median(files):.0f}, {max(files)}",
        "folders": str(len(folders)),
        "files of the fullest folder below a package": str(max(below.values())),
        f"folders below a package with over {MANY_FILES} files": str(sum(n > MANY_FILES for n in below.values())),
        "import circles of modules": str(len(circles(import_graph(modules)))),
        "import circles of rooms": str(len(circles(room_graph(modules)))),
        "classes": str(sum(isinstance(node, ast.ClassDef) for node in nodes)),
        "functions and methods": str(len(functions)),
        "lines of a function: median, most": f"{statistics.median(functions):.0f}, {max(functions)}",
        "public names in several modules": str(len(names_in_several_modules(modules))),
        "modules that `tag` enters": str(len(road.modules)),
        "rooms that they are in": str(len(set(road.rooms))),
        "changes of room on the road": str(road.changes),
    }


def files_per_folder(root: Path) -> dict[str, int]:
    """Folder -> its source files without `__init__.py`."""
    paths = (path for package in PACKAGES for path in (root / package).rglob("*.py") if path.name != "__init__.py")
    return dict(sorted(Counter(str(path.parent.relative_to(root)) for path in paths).items()))


def main() -> None:
    """Prints the table, or the road."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, action="append", help="a checkout (default: this one); may be repeated")
    parser.add_argument("--road", action="store_true", help="print the road of `tag` of the first checkout alone")
    args = parser.parse_args()
    roots = [root.resolve() for root in args.root or [Path(__file__).parents[1]]]
    if args.road:
        print(road_page(trace_tag(roots[0])), end="")
        return
    found = [counts(root, trace_tag(root)) for root in roots]
    print_table("", [root.name for root in roots], {name: [figures[name] for figures in found] for name in found[0]})
    folders = [files_per_folder(root) for root in roots]
    names = sorted({name for counted in folders for name in counted})
    rows = {name: [str(counted.get(name, "")) for counted in folders] for name in names}
    print_table("source files of a folder", [root.name for root in roots], rows)


def print_table(title: str, columns: list[str], rows: Mapping[str, list[str]]) -> None:
    """A Markdown table with one column a checkout."""
    print(f"| {title} | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")
    print()


if __name__ == "__main__":
    main()
