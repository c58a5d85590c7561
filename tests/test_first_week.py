"""The page `docs/guides/first-week.md` is run command by command, with counts and exit codes of the page."""

import re
from pathlib import Path

import pytest

from tests.support.pages import commands, run, save_files, shape

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "first-week.md"
MEASURED = re.compile(r"drift_|correlation|roc_auc|content hash|read again|budget of")
"""Lines whose numbers depend on the arithmetic of a machine: they are compared without their numbers."""


@pytest.mark.long
def test_the_first_week_happens_as_the_page_says(tmp_path, monkeypatch, capfd):
    page = PAGE.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    save_files(page, tmp_path)
    missing = []
    for command in commands(page):
        code, (out, err) = run(command), capfd.readouterr()
        assert code == command.exit_code, f"{command.words}: {err}"
        printed = [" ".join(line.split()) for line in (out + err).splitlines()]
        shapes = [shape(line) for line in printed]
        for line in command.printed:
            found = shape(line) in shapes if MEASURED.search(line) else " ".join(line.split()) in printed
            missing += [] if found else [(command.words, line, printed)]
    assert not missing
