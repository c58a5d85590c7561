"""`make demo CATALOG=a folder`: tags without labels, from ready-made networks."""

from pathlib import Path

import pytest

from pipelines.cli import main as cli
from pipelines.demo import __main__ as demo
from pipelines.demo import folder as folder_demo
from pipelines.terminal.errors import CommandFailed, UsageError
from tests.models.trunks.test_musicnn import WHEELS, with_package
from tests.support.published import fake_bundle, publish_table
from tests.support.synth import encode, music


def told(tmp_path, monkeypatch, *models: str) -> list[tuple[str, ...]]:
    """The commands that a folder's demo runs where these taggers are there already."""
    monkeypatch.setattr(folder_demo, "find_package", lambda given, work: Path("the.whl"))
    for name in models:
        fake_bundle(tmp_path / "models" / name)
    commands = []
    folder_demo.tell_folder("music", None, tmp_path / "music-1", lambda *words: commands.append(words))
    return commands


def test_both_taggers_tag_the_imported_folder(tmp_path, monkeypatch):
    commands = told(tmp_path, monkeypatch)
    assert [words[:2] for words in commands[:2]] == [("import", "folder"), ("import-model", "musicnn")]
    tags = [words for words in commands if words[0] == "tag"]
    assert [Path(words[words.index("--model") + 1]).name for words in tags] == list(folder_demo.TAGGERS)
    assert {words[words.index("--catalog") + 1] for words in tags} == {commands[0][-1]}


def test_the_first_run_embeds_for_the_others_too(tmp_path, monkeypatch):
    first, second = (words for words in told(tmp_path, monkeypatch) if words[0] == "tag")
    place = first.index("--also")
    assert first[place + 1] == second[second.index("--model") + 1]
    assert first[place + 2] == second[second.index("--table") + 1] and "--also" not in second


def test_taggers_are_made_once(tmp_path, monkeypatch):
    commands = told(tmp_path, monkeypatch, *folder_demo.TAGGERS)
    assert not [words for words in commands if words[:2] == ("import-model", "musicnn")]


@pytest.mark.parametrize("heading, sql", [*folder_demo.FOLDER_QUESTIONS, folder_demo.REJECTED])
def test_every_question_has_an_answer(tmp_path, capsys, heading, sql):
    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 12)
    assert cli(["query", str(tmp_path / "table"), sql, "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 1


def test_a_package_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"MUSICNN=nowhere\.whl"):
        folder_demo.find_package("nowhere.whl", tmp_path)


def test_without_a_network_the_mend_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_demo, "WHEELS", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(CommandFailed, match="give it as make demo"):
        folder_demo.find_package(None, tmp_path)


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--catalog", ".", "--taxonomy", "t.yaml"], "leave TAXONOMY out"),
        (["--package", "the.whl"], "is for a folder of music"),
    ],
)
def test_flags_that_do_not_fit(capsys, flags, message):
    assert demo.main(flags) == 2
    assert message in capsys.readouterr().err


@with_package
@pytest.mark.long
def test_a_folder_of_music_is_tagged(tmp_path, monkeypatch, capfd):
    (tmp_path / "music" / "more").mkdir(parents=True)
    (tmp_path / "music" / "one.flac").write_bytes(encode(music(4.0), format="FLAC"))
    (tmp_path / "music" / "more" / "two.wav").write_bytes(encode(music(6.0)))
    monkeypatch.setattr(demo, "DEMO_FOLDER", tmp_path / "demo")
    assert demo.main(["--catalog", str(tmp_path / "music"), "--package", str(WHEELS)]) == 0
    out = capfd.readouterr().out
    assert "decoded 0, reused 2" in out
    assert "its four highest tags (musicnn-mtt)" in out and "genre/" in out and ": 2 tracks" in out
