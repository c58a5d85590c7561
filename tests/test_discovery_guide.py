"""The guide on finding music is run command by command on a table of known composition."""

from pathlib import Path

from tests.support.composed import composed_table
from tests.support.pages import commands, run, save_files, shape

GUIDE = (Path(__file__).parents[1] / "docs" / "guides" / "discovery.md").read_text(encoding="utf-8")


def test_the_guide_can_be_followed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    save_files(GUIDE, tmp_path)
    composed_table(Path(), 240)
    several = list(commands(GUIDE))
    assert {command.words[1] for command in several} == {"search", "playlist", "mix", "path", "recommend", "profile"}
    capsys.readouterr()
    for command in several:
        assert run(command) == command.exit_code, command.words
        printed = [shape(line) for line in capsys.readouterr().out.splitlines()]
        assert printed == [shape(line) for line in command.printed], command.words
    assert (tmp_path / "longer.xspf").read_text(encoding="utf-8").count("<track>") == 10
