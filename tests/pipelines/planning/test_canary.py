"""`tag --sample` and `tag --max-core-hours` from the command line, on real audio."""

import json
from collections import Counter
from pathlib import Path

import pytest

from pipelines.cli import main
from pipelines.jobs.tag import options as tag_options
from pipelines.jobs.tag import running
from pipelines.planning.canary import SampleSize, draw_sample
from tests.support.simulated import BUCKETS, SimulatedTable
from tests.support.tiny import SPEC, TAXONOMY
from tests.support.world import World, other_bundle, tag, tag_code
from transforms.formats.hashing import bucket_of
from transforms.table.reader import open_snapshot
from transforms.tagging.costs import UnitCosts

SECOND = UnitCosts(core_seconds={"plan": 0.0, "read": 1.0, "extract": 0.0, "embed": 0.0, "assemble": 0.0})
FIVE_TRACKS, FOUR_TRACKS = ("--max-core-hours", str(5 / 3600)), ("--max-core-hours", str(4 / 3600))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0.1%", SampleSize(0.001, None)),
        ("100%", SampleSize(1.0, None)),
        ("0.25", SampleSize(0.25, None)),
        ("1.0", SampleSize(1.0, None)),
        ("1", SampleSize(None, 1)),
        ("500", SampleSize(None, 500)),
    ],
)
def test_sizes_of_samples(text: str, size: SampleSize) -> None:
    assert SampleSize.parse(text) == size


@pytest.mark.parametrize("text", ["0", "0%", "101%", "-5", "1.5", "nan", "ten", "", "%", "inf"])
def test_wrong_sizes_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 0\.1% or 0\.001, or a number of tracks"):
        SampleSize.parse(text)


def test_every_bucket_gives_its_share_and_always_the_same_tracks(tmp_path: Path) -> None:
    from models.bundles.fake import write_fake_bundle

    write_fake_bundle(str(tmp_path / "bundle"), TAXONOMY, SPEC)
    ids = [f"t{i}" for i in range(60)]
    sizes = Counter(bucket_of(track, BUCKETS) for track in ids)
    table = SimulatedTable(tmp_path)

    def drawn(order: list[str], size: str) -> set[str]:
        sample = draw_sample(table.stages(dict.fromkeys(order, "1"), str(tmp_path / "bundle")), SampleSize.parse(size))
        found = {track for track in order if sample.mask(bucket_of(track, BUCKETS), [track])[0]}
        assert len(found) == sample.tracks
        return found

    tenth = drawn(ids, "10%")
    assert tenth == drawn(ids[::-1], "0.1") < drawn(ids, "50%") < drawn(ids, "100%") == set(ids)
    for bucket, count in sizes.items():
        assert sum(bucket_of(track, BUCKETS) == bucket for track in tenth) == -(-count // 10)
    seven = Counter(bucket_of(track, BUCKETS) for track in drawn(ids, "7"))
    assert seven.total() == 7 and all(abs(seven[bucket] - 7 * count / 60) < 1 for bucket, count in sizes.items())
    assert len(drawn([*ids, "t99"], "7") - drawn(ids, "7")) <= 1


def files_of(table: Path) -> dict[str, bytes]:
    """All files but part files and reports."""
    found = {str(path.relative_to(table)): path.read_bytes() for path in table.rglob("*") if path.is_file()}
    return {path: data for path, data in found.items() if path.split("/")[0] not in ("work", "reports")}


@pytest.fixture
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every track costs one second."""
    monkeypatch.setattr(tag_options, "costs_of_history", lambda *_: SECOND)


def test_a_sample_and_a_budget_of_a_new_trunk(
    world: World, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, one_second: None
) -> None:
    """Waves and one graph give the same rows; what a sample decodes is not decoded again."""
    table = tmp_path / "waves"
    first = tag(world, table, "--buckets", "2", *FIVE_TRACKS)
    with monkeypatch.context() as graph:
        graph.setattr(running, "is_local", lambda options: False)
        same = tag(world, tmp_path / "graph", "--buckets", "2", *FIVE_TRACKS)
    assert first.run.counts["deferred"] == first.run.counts["catalog"] - 5 == 11
    assert (first.run.run_id, first.run.content_hash) == (same.run.run_id, same.run.content_hash)

    other, before = other_bundle(world, tmp_path / "other"), files_of(table)
    flags = ("--catalog-root", str(world.folder), "--accept-changes")
    capsys.readouterr()
    assert tag_code(other, table, *flags, "--sample", "50%", "--json", catalog=world.catalog) == 0
    found = json.loads(capsys.readouterr().out)
    assert files_of(table) == before and not list((table / "work").glob("sample-*/*"))
    assert found["passed"] and not found["published"] and found["gates"]["conservation"]["value"] == 0
    sampled, tracks = found["counts"]["decoded"], found["comparison"]["tracks"]
    assert sampled == found["plan"]["happened"]["extract"] and found["counts"]["catalog"] == tracks["after"] < 16
    assert tracks["before"] == tracks["after"] and tracks["added"] == tracks["removed"] == 0
    summary = json.loads((table / found["report"]).with_name("run_summary.json").read_bytes())
    assert (summary["status"], summary["snapshot"], summary["comparison"]) == ("sampled", None, found["comparison"])
    assert "What a run over all tracks would change" in Path(found["report"]).read_text()

    mixed = tag(other, table, *flags, *FOUR_TRACKS, catalog=world.catalog).run
    happened = mixed.plan["happened"]
    assert happened["reuse"] == found["counts"]["tagged"] + found["counts"]["rejected"]
    assert happened["extract"] <= 4 and mixed.plan["expected"]["extract"] == happened["extract"]
    assert main(["verify", str(table)]) == 0
    snapshot = open_snapshot(str(table))
    artists = snapshot.scan("artist_tags", ["artist_id", "tracks"]).group_by("artist_id").aggregate([("tracks", "max")])
    assert sum(artists["tracks_max"].to_pylist()) == mixed.counts["tagged"] + mixed.counts["carried"]

    before = files_of(table)
    capsys.readouterr()
    refused = ("--sample", "100%", "--max-reject-ratio", "0")
    assert tag_code(other, table, *flags, *refused, catalog=world.catalog) == 3
    assert "would not be published: gate rejected" in capsys.readouterr().out
    assert files_of(table) == before
    last = tag(other, table, *flags, catalog=world.catalog).run
    assert last.plan["happened"]["extract"] == 0 and last.counts["decoded"] == 0 and not last.is_mixed


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--first", "true"), "--first says which tracks --max-core-hours extracts first"),
        (("--sample", "2%", "--max-core-hours", "1"), "--sample and --max-core-hours"),
        (("--sample", "200%"), "--sample=200%: give a share"),
        (("--sample", "99"), "the catalog has 16 tracks"),
        (("--sample", "2%", "--dry_run=True"), "--sample and --dry_run=True"),
        (("--max-core-hours", "1", "--plan"), "no earlier run measured read, extract, embed, assemble"),
        (("--max-core-hours", "1", "--first", "true"), "has no snapshot, and so no ledger"),
    ],
)
def test_flags_that_do_not_go_together(world: World, table: Path, capsys, flags: tuple[str, ...], words: str) -> None:
    assert tag_code(world, table, *flags) == 2
    assert words in capsys.readouterr().err
