"""What a job needs of this machine: Python, packages, memory, cores, the sandbox, the clock."""

import contextlib
import datetime
import importlib
import os
import sys
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pipelines.checks.control_group import room
from pipelines.checks.finding import Finding
from pipelines.checks.limits import GIB, limit_findings
from pipelines.terminal.command import PROGRAM
from transforms.audio.limits import Limits
from transforms.extraction.child_process import ChildLost, ChildProcess, SandboxError
from transforms.extraction.confinement import IN_FORCE, SECCOMP, is_weak
from transforms.extraction.sandbox import EXTRACTOR
from transforms.features.spec import FeatureSpec

MEMORY_PER_CORE = 3 * GIB // 4
"""Memory that `tag` needs for each core: a child that decodes, and its share of a batch."""

LEAST_MEMORY = GIB
_COMPILED = ("av", "numpy", "pyarrow", "scipy.signal", "soundfile", "soxr")
_EXTRAS = (
    ("tensorflow", "tensorflow", "`train` needs it, and bundles without an ONNX file"),
    ("onnx", "onnxruntime", "`tag` is slower without it"),
    ("text", "tokenizers", "`import-model text` and `search --sounds-like` need it"),
    ("report", "matplotlib", "the plots of `evaluate` need it"),
    ("query", "duckdb", "`query` needs it"),
    ("serve", "fastapi", "`serve` needs it"),
    ("xlsx", "XlsxWriter", "`query --output` needs it for .xlsx"),
)
"""Extras that users install, a distribution that each brings, and what needs it."""
_EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def machine_findings(*, allow_weak_sandbox: bool) -> list[Finding]:
    """The findings about this machine. One decoding child process is started and ended."""
    findings = [_python(), _packages(), _libraries(), extras_finding(), _memory(), *limit_findings(), _clock()]
    return [*findings, *sandbox_findings(allow_weak=allow_weak_sandbox)]


def _python() -> Finding:
    wanted = SpecifierSet(metadata(PROGRAM)["Requires-Python"] or "")
    found = ".".join(map(str, sys.version_info[:3]))
    if found in wanted:
        return Finding(name="Python", state="ok", text=found)
    return Finding(name="Python", state="failed", text=f"{found} is not {wanted}", remedy="install another Python")


def _packages() -> Finding:
    wrong = []
    for text in requires(PROGRAM) or ():
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(needed.name)
        except PackageNotFoundError:
            wrong.append(f"{needed.name} is missing")
            continue
        if not needed.specifier.contains(found, prereleases=True):
            wrong.append(f"{needed.name} {found} is not {needed.specifier}")
    if wrong:
        remedy = "install catalog-tagger again in a new environment"
        return Finding(name="packages", state="failed", text=", ".join(wrong), remedy=remedy)
    return Finding(name="packages", state="ok", text=f"{PROGRAM} {version(PROGRAM)} and all that it requires")


def _libraries() -> Finding:
    broken = []
    for name in _COMPILED:
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as error:
            broken.append(f"{name} ({error})")
    if broken:
        remedy = "install the system libraries that the messages name"
        return Finding(name="libraries", state="failed", text=f"cannot be loaded: {', '.join(broken)}", remedy=remedy)
    return Finding(name="libraries", state="ok", text=", ".join(_COMPILED))


def extras_finding() -> Finding:
    """Which extras are missing, with what they are for."""
    missing = [each for each in _EXTRAS if not _is_installed(each[1])]
    if missing:
        text = ", ".join(f"{name} is not installed ({why})" for _, name, why in missing)
        remedy = f"pip install '{PROGRAM}[{','.join(extra for extra, _, _ in missing)}]' if you need it"
        return Finding(name="extras", state="warning", text=text, remedy=remedy)
    return Finding(name="extras", state="ok", text=", ".join(name for _, name, _ in _EXTRAS))


def _is_installed(distribution: str) -> bool:
    """Whether a distribution is here; of TensorFlow, the one without support for GPUs does too."""
    if distribution == "tensorflow" and _is_installed("tensorflow-cpu"):
        return True
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _memory() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = room("memory")
    found = _machine_memory() if allowed is None else min(_machine_memory(), allowed)
    wanted = max(LEAST_MEMORY, cores * MEMORY_PER_CORE)
    text = f"{found / GIB:.1f} GiB for {cores} cores"
    if found < LEAST_MEMORY:
        return Finding(name="memory", state="failed", text=text, remedy=f"give it {LEAST_MEMORY / GIB:g} GiB or more")
    if found < wanted:
        remedy = f"use fewer threads (--direct_num_workers), or give it {wanted / GIB:.1f} GiB"
        return Finding(name="memory", state="warning", text=text, remedy=remedy)
    return Finding(name="memory", state="ok", text=text)


def _machine_memory() -> int:
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _clock() -> Finding:
    now = datetime.datetime.now(datetime.UTC)
    if now < _EPOCH:
        text = f"it is {now:%Y-%m-%d %H:%M} UTC here"
        return Finding(name="clock", state="failed", text=text, remedy="set the clock")
    return Finding(name="clock", state="ok", text=f"{now:%Y-%m-%d %H:%M:%S} UTC")


def sandbox_findings(*, allow_weak: bool) -> list[Finding]:
    """One finding for each measure that confines decoders, as a child process of this machine reports them."""
    try:
        child = ChildProcess(FeatureSpec(), Limits(allow_weak_sandbox=True), EXTRACTOR)
    except (SandboxError, ChildLost, OSError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        text = " ".join(lines[-1].split())[-300:]  # of a traceback, its end
        return [Finding(name="sandbox", state="failed", text=text, remedy="decoders need child processes")]
    try:
        return [_measure(name, state, allow_weak) for name, state in child.confinement.items()]
    finally:
        child.close()


def _measure(name: str, state: str, allow_weak: bool) -> Finding:
    if state == IN_FORCE:
        return Finding(name=f"sandbox, {name}", state="ok", text=state)
    if is_weak({SECCOMP: state}) and name == SECCOMP and not allow_weak:
        remedy = "install libseccomp 2.5 or later, or accept it with --allow-weak-sandbox"
        return Finding(name=f"sandbox, {name}", state="failed", text=state, remedy=remedy)
    return Finding(name=f"sandbox, {name}", state="warning", text=state)
