"""`gates.yaml`: its limits hold unless a flag says otherwise, and mistakes are told with the file's name."""

import textwrap
from pathlib import Path

import pytest

from pipelines.inputs.catalog import gate_limits
from pipelines.inputs.flags import Arguments
from pipelines.terminal.errors import UsageError
from transforms.publishing import gates_file
from transforms.publishing.gates import GATE_BY_NAME, GateLimits
from transforms.publishing.gates_file import GatesFile, read_gates_file
from transforms.table.versions import TableError


def write(folder: Path, text: str) -> str:
    (folder / "gates.yaml").write_text(text)
    return str(folder)


def test_a_table_without_a_file_has_the_defaults(tmp_path: Path) -> None:
    assert read_gates_file(str(tmp_path)) == GatesFile(limits={}, require_blessed=False)
    assert gate_limits(Arguments(), read_gates_file(str(tmp_path))) == GateLimits()


def test_the_example_of_the_module_is_valid(tmp_path: Path) -> None:
    example = (gates_file.__doc__ or "").partition("\n\n")[2]
    found = read_gates_file(write(tmp_path, textwrap.dedent(example)))
    assert found == GatesFile(limits={"removed": 0.05, "drift_scores_unchanged": 0.1}, require_blessed=True)


def test_flags_go_before_the_file_and_the_file_before_the_defaults(tmp_path: Path) -> None:
    file = read_gates_file(
        write(tmp_path, "version: 1\nlimits: {removed: 0.05, rejected: 0.3, drift_scores: 1, more_rejected: 0.5}")
    )
    args = Arguments(
        gate=("drift_scores=2", "unavailable=0.01"),
        max_reject_ratio=0.4,
        max_unavailable_ratio=None,
        max_removed_ratio=None,
    )
    limits = gate_limits(args, file)
    used = {name: gate.limit(limits) for name, gate in GATE_BY_NAME.items()}
    expected = {"rejected": 0.4, "removed": 0.05, "unavailable": 0.01, "drift_scores": 2, "more_rejected": 0.5}
    assert used == {name: gate.default for name, gate in GATE_BY_NAME.items()} | expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"a NoneType instead of an object"),
        ("limits: {}", r"version None, but this program reads version: 1"),
        ("version: 2", r"version 2, but"),
        ("version: true", r"version True, but"),
        ("version: 1\nlimit: {removed: 0.1}", r"unknown key 'limit': keys are version, limits, require_blessed"),
        ("version: 1\nlimits: [removed]", r"limits: a list instead of names"),
        ("version: 1\nlimits: {remove: 0.1}", r"no gate 'remove': did you mean removed\?"),
        ("version: 1\nlimits: {xyz: 0.1}", r"no gate 'xyz': gates are removed, "),
        ("version: 1\nlimits: {conservation: 1}", r"gate conservation has the fixed limit 0"),
        ("version: 1\nlimits: {removed: 1.5}", r"gate removed: 1.5 is not a number from 0 to 1"),
        ("version: 1\nlimits: {removed: -1}", r"gate removed: -1 is not"),
        ("version: 1\nlimits: {removed: yes}", r"gate removed: True is not"),
        ("version: 1\nlimits: {drift_scores: .inf}", r"gate drift_scores: inf is not a number from 0"),
        ("version: 1\nlimits: {drift_scores: .nan}", r"gate drift_scores: nan is not"),
        ("version: 1\nrequire_blessed: 1", r"require_blessed: 1 is not true or false"),
        ("version: 1\nversion: 1", r"key 'version' is repeated"),
        ("version: [", r"gates.yaml: while parsing"),
    ],
)
def test_mistakes_are_told_with_the_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TableError, match=rf"(?s)^{tmp_path}/gates.yaml: .*{said}|{said}"):
        read_gates_file(write(tmp_path, text))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"gate": ("removed",)}, r"--gate 'removed': give NAME=LIMIT"),
        ({"gate": ("files=1",)}, r"--gate 'files=1': gate files has the fixed limit 0"),
        ({"gate": ("removed=much",)}, r"'much' is not a number"),
        ({"gate": ("removed=0.1",), "max_removed_ratio": 0.2}, r"--gate removed and --max-removed-ratio set the same"),
    ],
)
def test_flags_are_checked(flags: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        gate_limits(Arguments(**flags), None)


ALIASES = "a0: &a0 [1]\n" + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(8))
RUBBISH = {
    "aliases": ALIASES,
    "name": f"version: 1\nlimits: {{{'x' * 100_000}: 1}}",
    "key": f"version: 1\n{'x' * 100_000}: 1",
    "limit": f"version: 1\nlimits: {{removed: {'x' * 100_000}}}",
    "version": f"version: {'x' * 100_000}",
    "nan": "version: 1\nlimits: {removed: .nan}",
    "infinity": "version: 1\nlimits: {removed: .inf}",
    "digits": f"version: 1\nlimits: {{removed: {'9' * 10_000}}}",
    "list": "version: 1\nlimits: []",
    "false": "version: 1\nlimits: false",
    "number": "version: 1\nlimits: {1: 1}",
    "twice": "version: 1\nlimits: {removed: 0.1, removed: 1}",
    "object": "version: 1\nlimits: !!python/object/apply:os.system [true]",
    "deep": "[" * 10_000,
    "nul": "version: 1\0",
}


@pytest.mark.parametrize("text", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_is_one_short_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(TableError) as refused:
        read_gates_file(write(tmp_path, text))
    said = str(refused.value)
    assert said.startswith(str(tmp_path)) and "\n" not in said and len(said) < 800


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "gates.yaml").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(TableError, match="at most"):
        read_gates_file(str(tmp_path))
