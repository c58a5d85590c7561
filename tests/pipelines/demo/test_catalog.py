import shlex
from collections import Counter
from pathlib import Path

import pytest

from pipelines.cli import main as cli
from pipelines.demo import __main__ as demo
from pipelines.jobs.synthesize import synthesize
from pipelines.terminal.errors import CommandFailed, UsageError
from tests.support.published import fake_bundle, publish_table
from transforms.table.reader import open_snapshot


def scores(roc_auc, pr_auc):
    return {"roc_auc": roc_auc, "pr_auc": pr_auc}


METRICS = {
    "macro": {"tagger": {"test": scores(0.9, 0.8)}, "prevalence": {"test": scores(0.5, None)}},
    "categories": {
        "tagger": {"test": {"mood": scores(0.91234, 0.7)}},
        "prevalence": {"test": {"mood": scores(0.5, 0.2)}},
    },
    "tracks": {"train": 3, "validation": 2, "test": 1},
}


def test_metrics_stand_beside_the_baselines():
    names, rows = demo.metric_rows(METRICS, "roc_auc")
    assert names == ["category", "tagger", "prevalence"]
    assert rows == [["mood", 0.912, 0.5], ["all tags", 0.9, 0.5]]
    assert demo.metric_rows(METRICS, "pr_auc")[1] == [["mood", 0.7, 0.2], ["all tags", 0.8, None]]


def test_the_table_says_how_few_tracks_it_rests_on(capsys):
    demo.print_metrics(METRICS)
    out = capsys.readouterr().out
    assert "1 test tracks are too few" in out and "at least as good as all baselines in 1 of 1 categories" in out


@pytest.mark.parametrize("catalog, taxonomy", [("my.parquet", None), (None, "my.yaml")])
def test_an_own_catalog_needs_its_taxonomy(catalog, taxonomy):
    with pytest.raises(UsageError, match=r"CATALOG=my\.parquet TAXONOMY=my\.yaml"):
        demo.own_sources(catalog, taxonomy)


def test_a_taxonomy_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"TAXONOMY=nowhere\.yaml"):
        demo.own_sources("my.parquet", "nowhere.yaml")


def test_own_catalogs_have_folders_of_their_own(tmp_path):
    taxonomy = tmp_path / "t.yaml"
    taxonomy.touch()
    folders = {demo.own_sources(catalog, str(taxonomy))[2] for catalog in ("a/music.csv", "b/music.csv")}
    assert len(folders) == 2 and all(folder.parent == demo.DEMO_FOLDER for folder in folders)


def test_the_invented_catalog_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "DEMO_FOLDER", tmp_path)
    made = []
    monkeypatch.setattr(demo, "command", lambda *words: made.append(words) or (tmp_path / "taxonomy.yaml").touch())
    assert demo.invented_sources() == demo.invented_sources()
    assert [words[0] for words in made] == ["synthesize"]


def test_a_failing_command_ends_the_demo_with_its_code(capfd):
    with pytest.raises(CommandFailed, match="`catalog-tagger describe` ended with exit code 1") as caught:
        demo.command("describe", "nowhere")
    assert caught.value.code == 1 and "$ catalog-tagger describe nowhere" in capfd.readouterr().out


def test_a_second_run_that_changed_something_is_noticed(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 6)
    publish_table(tmp_path / "table", bundle, 9)
    with pytest.raises(CommandFailed, match="the second run decoded tracks or changed the content"):
        demo.check_second_run(str(tmp_path / "table"))


@pytest.mark.parametrize("heading, sql", demo.QUESTIONS)
def test_every_question_has_an_answer(tmp_path, capsys, heading, sql):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 12)
    assert cli(["query", str(tmp_path / "table"), sql, "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 1


def test_the_demo_finds_tracks_of_the_tag_that_most_have(tmp_path):
    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 12)
    tag, track = demo.best_known(str(tmp_path / "table"))
    rows = [row for row in open_snapshot(str(tmp_path / "table")).scan("track_tags").to_pylist() if row["is_positive"]]
    tracks = Counter(row["tag"] for row in rows)
    assert tracks[tag] == max(tracks.values())
    assert track in {row["track_id"] for row in rows if row["tag"] == tag}


def test_the_makefile_runs_this_module():
    makefile = (Path(__file__).parents[3] / "Makefile").read_text()
    assert "-m pipelines.demo" in makefile and "--catalog '$(CATALOG)'" in makefile and "--taxonomy" in makefile


@pytest.mark.parametrize("word", ["plain", "two words", "it's SQL = 'x'", 'a "b" $c', "a\\b", ""])
def test_commands_are_shown_as_a_shell_reads_them(word):
    assert shlex.split(demo.as_typed(word)) == [word]


@pytest.mark.long
def test_the_whole_story_twice(tmp_path, monkeypatch, capfd):
    synthesize(tmp_path / "music", tracks=24, duration_s=3)
    monkeypatch.setattr(demo, "DEMO_FOLDER", tmp_path / "demo")
    argv = ["--catalog", str(tmp_path / "music" / "catalog.parquet")]
    argv += ["--taxonomy", str(tmp_path / "music" / "taxonomy.yaml")]
    assert demo.main(argv) == 0
    assert "The second run decoded 0 tracks and published the same content: snapshots 1 and 2" in capfd.readouterr().out
    assert demo.main(argv) == 0
    out = capfd.readouterr().out
    assert (
        "is already finished" in out
        and "already exists: training is not repeated" in out
        and "snapshots 3 and 4" in out
    )
