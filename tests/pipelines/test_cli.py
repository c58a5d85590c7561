"""The command line: quick help, clear refusals, exit codes."""

import re
import subprocess
import sys

import pytest

from pipelines.cli import COMMANDS, main
from tests.support.processes import imported_by


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_names_every_command() -> None:
    shown = _run("from pipelines.cli import main; main(['--help'])")
    assert all(re.search(rf"^    {name}\s", shown, re.M) for name in COMMANDS)
    assert "Exit codes: 0 done" in shown


def test_help_imports_nothing_heavy() -> None:
    heavy = {"apache_beam", "tensorflow", "librosa", "pyarrow", "numpy", "duckdb", "google.cloud.storage"}
    assert not imported_by("from pipelines.cli import main; main(['--help'])") & heavy


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"catalog-tagger {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["tga"], ["unknown command 'tga'", "did you mean tag?"]),
        (["tag", "--modle", "x"], ["--modle", "did you mean --model?"]),
        (["tag", "--runer=FlinkRunner"], ["--runer", "did you mean --runner?"]),
        (["tag", "--catalog", "c"], ["missing --model, --table"]),
        (["query", "table", "SELECT 1", "--fromat", "csv"], ["--fromat", "did you mean --format?"]),
        (["describe", "table", "--runner=FlinkRunner"], ["unknown flag --runner"]),
        (["import", "folder", "music", "--outptu", "c"], ["--outptu", "did you mean --output?"]),
        (["import", "folder", "music"], ["missing --output"]),
        (["import", "foldr", "music"], ["invalid choice: 'foldr'"]),
        (["tag", "--max-reject-ratio", "much"], ["--max-reject-ratio", "much"]),
        ([], ["COMMAND"]),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_right(argv: list[str], words: list[str], capsys) -> None:
    assert main(argv) == 2
    message = capsys.readouterr().err
    assert all(word in message for word in words) and "Traceback" not in message
