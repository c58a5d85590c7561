"""A lost race is not a gate: `tag` plans again on the new snapshot, and gives up with an exit code of its own."""

import pytest

from pipelines.cli import main
from pipelines.terminal.answer import Answer
from tests.support.world import make_world, tag, tag_code
from transforms.publishing import commit
from transforms.table.snapshots import current_snapshot


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("race"), 8)


@pytest.fixture
def overtaken(world, monkeypatch):
    """Before the first publication of a table, another run is published there; `rounds` times."""

    def arrange(table, rounds):
        left = [rounds]
        publish = commit.publish

        def late(root, run, limits, override):
            if left[0]:
                left[0] -= 1
                other = world.folder / f"other-{left[0]}.csv"
                other.write_text(f"track_id,uri\nother-{left[0]},audio/none.flac\n")
                with monkeypatch.context() as patch:
                    patch.setattr("pipelines.jobs.publish.publish", publish)
                    words = ["--catalog", str(other), "--catalog-root", str(world.folder), "--table", str(table)]
                    words += ["--model", str(world.bundle), "--max-reject-ratio", "1", "--max-removed-ratio", "1"]
                    assert main(["tag", *words]) == 0
            return publish(root, run, limits, override)

        monkeypatch.setattr("pipelines.jobs.publish.publish", late)

    return arrange


def test_the_loser_plans_again_and_publishes(world, tmp_path, overtaken, monkeypatch):
    monkeypatch.setattr("pipelines.jobs.tag.running.LONGEST_PAUSE_S", 0.0)
    alone = tag(world, tmp_path / "alone")
    overtaken(tmp_path / "table", 1)
    snapshot = tag(world, tmp_path / "table", "--max-removed-ratio", "1")
    assert snapshot.number == 2 and snapshot.run.content_hash == alone.run.content_hash
    assert snapshot.run.counts["decoded"] == 0  # the part files of the first attempt were found
    assert not list((tmp_path / "table" / "launches").iterdir())


@pytest.mark.long
def test_without_a_deadline_the_loser_gives_up_and_keeps_its_work(world, tmp_path, overtaken, capsys):
    overtaken(tmp_path / "table", 1)
    assert tag_code(world, tmp_path / "table", "--publish-deadline", "0") == 4
    assert "snapshot 1 is already published" in capsys.readouterr().err
    assert current_snapshot(str(tmp_path / "table")).number == 1
    assert main(["publish", str(tmp_path / "table")]) == 1
    assert "no finished run to publish" in capsys.readouterr().err
    assert tag(world, tmp_path / "table", "--max-removed-ratio", "1").run.counts["decoded"] == 0


def test_publish_names_an_overtaken_run_once(world, tmp_path, capsys, monkeypatch):
    table = tmp_path / "table"
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.jobs.tag.running._finish", lambda *_: Answer(text="not published", document={}))
        assert tag_code(world, table) == 0
    other = tmp_path / "other.csv"
    other.write_text("track_id,uri\nother,none.flac\n")
    assert tag_code(world, table, "--max-reject-ratio", "1", catalog=other) == 0
    capsys.readouterr()
    assert [main(["publish", str(table)]) for _ in range(2)] == [4, 1]
    assert "no finished run to publish" in capsys.readouterr().err
