"""Commands on click: what goes to Beam, what completion sees, old spellings after flags of the program."""

import os
import subprocess
import sys

import pytest

from pipelines import tag
from pipelines.cli import main

BEAM = ["--runner", "FlinkRunner", "--experiments=a", "--flink_master", "host:8081", "--experiments", "b"]


@pytest.mark.parametrize("cut", [0, 2, 3, 5, 7])
def test_flags_of_beam_arrive_unchanged_wherever_they_are(cut: int) -> None:
    words = [*BEAM[:cut], "--catalog", "c", "--model=m", *BEAM[cut:], "--table", "t", "--json"]
    context = tag.command.make_context("tag", words)
    assert context.args == BEAM
    assert [context.params[name] for name in ("catalog", "model", "table", "format")] == ["c", "m", "t", "json"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("ta", {"tag", "taxonomy"}),
        ("tag --mo", {"--model"}),
        ("tag --model m --min", {"--min-score"}),
        ("import f", {"folder", "fma"}),
        ("import folder --ou", {"--output"}),
        ("sql table --engine b", {"bigquery"}),
        ("--log-level w", {"warning"}),
    ],
)
def test_completion_offers_commands_flags_and_choices(words: str, offered: set[str]) -> None:
    line = f"catalog-tagger {words}"
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words.split())), "_CATALOG_TAGGER_COMPLETE": "bash_complete"}
    shown = subprocess.run(
        [sys.executable, "-m", "pipelines.cli"], env={**os.environ, **asked}, capture_output=True, text=True
    )
    assert {row.partition(",")[2] for row in shown.stdout.splitlines()} == offered, shown.stderr


def test_an_old_spelling_is_found_after_flags_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quiet", "--log-level", "error", "train", "--heads-only", "--table", "my table"]) == 2
    new = "catalog-tagger --quiet --log-level error refit --table 'my table'"
    assert capsys.readouterr().err == f"catalog-tagger: this is now: {new}\n"
