"""The road of `tag`: which modules a real run enters, in the order of their first function call.

The run is `tag` on a small synthetic catalog, traced in a process of its own and in its sandbox children. It also works
on other commits of this repository, since it knows no module but the command line and the helpers of the tests.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("pipelines", "transforms", "models")

_TRACE = '''
import inspect, os, sys, threading, time
root, log = {root!r} + "/", os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
seen = set()
def entered(frame, event, argument):
    """Notes the first call into each file; module and class bodies are no functions."""
    code = frame.f_code
    if code.co_filename not in seen and code.co_flags & inspect.CO_OPTIMIZED:
        seen.add(code.co_filename)
        if code.co_filename.startswith(root):
            os.write(log, f"{{time.time_ns()}} {{code.co_filename}}\\n".encode())
threading.settrace(entered)
sys.settrace(entered)
'''

_CHILD = """#!{python} -P
import runpy, sys
{trace}
assert sys.argv[1:3] == ["-P", "-m"], sys.argv
module = sys.argv[3]
sys.argv[:] = [module, *sys.argv[4:]]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""Stands in for the interpreter of sandbox children, so that they are traced too."""

_TAG = """
import importlib.util, pathlib, sys
from pipelines.cli import main
support = "tests.support.world" if importlib.util.find_spec("tests.support") else "tests.world"
helpers = importlib.import_module(support)
folder = pathlib.Path({folder!r})
world = helpers.make_world(folder / "world")
sys.executable = str(folder / "child")
line = ["tag", "--catalog", world.catalog, "--catalog-root", world.folder, "--model", world.bundle]
line += ["--table", folder / "table", "--max-reject-ratio", "0.9", "--direct_num_workers=1"]
{trace}
code = main([str(word) for word in line])
sys.settrace(None)
sys.exit(code)
"""


class Road(NamedTuple):
    """The modules that a run of `tag` enters, in order, and the room of each."""

    modules: tuple[str, ...]
    rooms: tuple[str, ...]

    @property
    def changes(self) -> int:
        """How often the next module is in another room."""
        return sum(here != there for here, there in zip(self.rooms, self.rooms[1:], strict=False))


def trace_tag(root: Path) -> Road:
    """Runs `tag` of the checkout at `root` on a small catalog.

    Raises:
      CalledProcessError: the run failed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder, log = Path(temporary), Path(temporary, "entered")
        trace = _TRACE.format(root=str(root), log=str(log))
        child = folder / "child"
        child.write_text(_CHILD.format(python=sys.executable, trace=trace), encoding="utf-8")
        child.chmod(0o755)
        code = _TAG.format(folder=str(folder), trace=trace)
        environment = {**os.environ, "PYTHONPATH": str(root)}  # this checkout, whichever one is installed
        subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
        lines = sorted(line.split(" ", 1) for line in log.read_text(encoding="utf-8").splitlines())
    paths = list(dict.fromkeys(Path(path) for _, path in lines))
    own = [path for path in paths if path.relative_to(root).parts[0] in PACKAGES]
    return Road(tuple(module_name(path, root) for path in own), tuple(room(path, root) for path in own))


def module_name(path: Path, root: Path) -> str:
    """Dotted name of a source file."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def room(path: Path, root: Path) -> str:
    """The folder below a package that a source file is in; the package itself for a file at its root.

    >>> room(Path("/x/transforms/audio/decoders/opening.py"), Path("/x")), room(Path("/x/pipelines/tag.py"), Path("/x"))
    ('transforms.audio', 'pipelines')
    """
    return ".".join(path.parent.relative_to(root).parts[:2])


def road_page(road: Road) -> str:
    """`docs/reference/road-of-tag.md`."""
    lines = [
        "# The road of tag",
        "",
        "`make docs` generates this page from a run of `tag` on a small synthetic catalog with one worker",
        "thread. It lists the modules whose functions the run calls, in the order of their first call, from",
        "the command line to the commit, including the child processes that decode. Order within a step",
        "may differ between two runs.",
        "",
        f"{len(road.modules)} modules in {len(set(road.rooms))} rooms; the room changes {road.changes} times.",
        "",
        "| | module | room |",
        "|---:|---|---|",
        *(f"| {n} | `{name}` | `{where}` |" for n, (name, where) in enumerate(zip(*road, strict=True), 1)),
    ]
    return "\n".join(lines) + "\n"
