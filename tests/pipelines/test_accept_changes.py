"""A run that would change the tags of a table says so before it starts, and needs `--accept-changes`."""

import dataclasses
import json
from pathlib import Path

import pytest

from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import load_bundle
from pipelines.cli import main
from pipelines.planning.job import require_accepted
from pipelines.terminal.errors import UsageError
from tests.support.fusion import statements
from tests.support.published import publish_table
from tests.support.world import World, tag, tag_code
from transforms.features.spec import FeatureSpec
from transforms.fusion.policy import Policy, policy_of
from transforms.fusion.settings import Fusion
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import snapshot_numbers
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.changes import table_changes
from transforms.taxonomy.hierarchy import Taxonomy

BASE = {
    "categories": [
        {"name": "genre", "kind": "multiclass", "tags": ["genre/high", "genre/low", "genre/flat"]},
        {"name": "mood", "kind": "multilabel", "tags": ["mood/calm", "mood/wild"]},
    ]
}
DROPPED = {"categories": [BASE["categories"][0], {**BASE["categories"][1], "tags": ["mood/calm"]}]}
ADDED = {"categories": [BASE["categories"][0], {**BASE["categories"][1], "tags": ["mood/calm", "mood/wild", "mood/x"]}]}
RENAMED = {
    "categories": [
        BASE["categories"][0],
        {**BASE["categories"][1], "tags": ["mood/calm", {"id": "mood/furious", "aliases": ["mood/wild"]}]},
    ]
}
REDEFINED = {
    "categories": [
        BASE["categories"][0],
        {**BASE["categories"][1], "tags": ["mood/calm", {"id": "mood/wild", "name": "Very wild"}]},
    ]
}
SPEC = FeatureSpec(patches_per_track=4)


def bundle(folder: Path, taxonomy: dict = BASE, spec: FeatureSpec = SPEC, **settings) -> str:
    write_fake_bundle(str(folder), Taxonomy.from_json(taxonomy), spec, **settings)
    return str(folder)


def changes(table: Path, model: str, publication: PublishedRows | None = None):
    return table_changes(open_snapshot(str(table)), load_bundle(model), publication or PublishedRows())


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of four tracks, two of them rejected, and its bundle."""
    folder = tmp_path_factory.mktemp("changes")
    publish_table(folder / "table", load_bundle(bundle(folder / "bundle")), 2)
    return folder / "table"


CASES = {
    "same": ({}, True, []),
    "heads": ({"head_seed": 1}, True, ["other heads"]),
    "added": ({"taxonomy": ADDED}, False, ["1 tag added (mood/x)"]),
    "dropped": ({"taxonomy": DROPPED}, False, ["1 tag dropped (mood/wild)"]),
    "renamed": ({"taxonomy": RENAMED}, False, ["1 tag renamed (mood/wild to mood/furious)"]),
    "redefined": (
        {"taxonomy": REDEFINED},
        False,
        ["1 tag with another category, kind, name or parents (mood/wild)"],
    ),
    "thresholds": (
        {"thresholds": [0.5, 0.5, 0.5, 0.7, 0.5]},
        False,
        ["1 tag with another threshold (mood/calm)"],
    ),
    "trunk": ({"seed": 1}, False, ["another trunk: all 4 tracks but rejected ones are read again"]),
    "features": (
        {"spec": FeatureSpec(patches_per_track=5)},
        False,
        ["other features: all 4 tracks are read again"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_must_be_accepted(published: Path, tmp_path: Path, case: str) -> None:
    settings, passes, sentences = CASES[case]
    found = changes(published, bundle(tmp_path / "bundle", **settings))
    assert found.sentences() == sentences and found.must_be_accepted is not passes
    assert json.loads(json.dumps(found.to_json()))["must_be_accepted"] is not passes
    require_accepted("table", "model", found, accepted=True)
    if passes:
        require_accepted("table", "model", found, accepted=False)
        return
    with pytest.raises(UsageError, match="Nothing was started: look at it with --plan, then give --accept-changes"):
        require_accepted("table", "model", found, accepted=False)


def test_publication_options_are_told(published: Path) -> None:
    found = changes(published, str(published.parent / "bundle"), PublishedRows(top_k=3))
    assert found.options == {"top_k": (None, 3)} and not found.must_be_accepted
    assert found.sentences() == ["--top-k was none and is 3"]


SCORED = PublishedRows(min_score=0.25, top_k=2)
FUSED = {"editors": {"mode": "blend", "trust": 0.8}, "partner": {"mode": "fill", "trust": 0.5}}
NO_TOP_K = "--top-k was 2 and is none"
RUNS_OVER_FUSED = {
    "the same": (FUSED, SCORED, [], ()),
    "no sources": (
        None,
        SCORED,
        ["no --fusion: 2 tracks would lose what sources say (editors, partner)"],
        ("--fusion",),
    ),
    "one source less": (
        {"partner": FUSED["partner"]},
        SCORED,
        ["1 source dropped (editors)"],
        ("--source editors",),
    ),
    "a further source": ({**FUSED, "labels": FUSED["editors"]}, SCORED, ["1 source added (labels)"], ()),
    "other rules": (
        {**FUSED, "editors": {"mode": "blend", "trust": 0.9}},
        SCORED,
        ["1 source with other rules (editors)"],
        (),
    ),
    "another order": (dict(reversed(FUSED.items())), SCORED, ["another order of sources"], ()),
    "no options": (
        FUSED,
        PublishedRows(),
        ["--min-score was 0.25 and is 0", NO_TOP_K],
        ("--min-score", "--top-k"),
    ),
    "other options": (FUSED, PublishedRows(min_score=0.5, top_k=2), ["--min-score was 0.25 and is 0.5"], ()),
    "neither": (
        None,
        PublishedRows(min_score=0.25),
        ["no --fusion: 2 tracks would lose what sources say (editors, partner)", NO_TOP_K],
        ("--fusion", "--top-k"),
    ),
}


def policy_of_run(sources: dict | None) -> Policy | None:
    return sources and policy_of({"sources": sources}, Taxonomy.from_json(BASE))


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose snapshot has sources and options, and its bundle."""
    folder = tmp_path_factory.mktemp("fused")
    model, taxonomy = load_bundle(bundle(folder / "bundle")), Taxonomy.from_json(BASE)
    fusion = Fusion(policy=policy_of_run(FUSED), taxonomy=taxonomy, tables=dict.fromkeys(FUSED, "said.csv"), shards=())
    said = statements({"editors": {"track-0000": {"mood/calm": 1.0}, "track-0001": {"mood/wild": 0.0}}})
    publish_table(folder / "table", model, 2, publication=SCORED, fusion=fusion, said=[said])
    return folder / "table"


@pytest.mark.parametrize("case", RUNS_OVER_FUSED)
def test_a_flag_that_is_left_out_must_be_accepted(fused: Path, case: str, caplog: pytest.LogCaptureFixture) -> None:
    sources, publication, sentences, left_out = RUNS_OVER_FUSED[case]
    snapshot, model = open_snapshot(str(fused)), load_bundle(str(fused.parent / "bundle"))
    found = table_changes(snapshot, model, publication, policy_of_run(sources))
    assert (found.sentences(), found.left_out, found.must_be_accepted) == (sentences, left_out, bool(left_out))
    assert json.loads(json.dumps(found.to_json()))["left_out"] == list(left_out)
    if left_out:
        with pytest.raises(UsageError, match=r"^this run differs from what snapshot 1 of table was made with") as error:
            require_accepted("table", "model", found, accepted=False)
        assert f"Nothing was started: give {' and '.join(left_out)} again, or look at it" in str(error.value)
    require_accepted("table", "model", found, accepted=True)
    assert [*sentences] == [one for one in sentences if one in caplog.text]


@pytest.fixture
def two(world: World, tmp_path: Path) -> tuple[World, World]:
    """The world, with a bundle of the small taxonomy, and with another one that has one tag less."""
    worlds = []
    for name, taxonomy in (("one", BASE), ("other", DROPPED)):
        folder = tmp_path / name
        bundle(folder / "bundle", taxonomy)
        worlds.append(dataclasses.replace(world, folder=folder))
    return worlds[0], worlds[1]


def test_a_run_that_is_not_accepted_starts_nothing(
    world: World, two: tuple[World, World], table: Path, capsys, caplog
) -> None:
    first, other = two
    flags = ["--catalog-root", str(world.folder)]
    tag(first, table, *flags, catalog=world.catalog)
    before = {path: path.read_bytes() for path in table.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert tag_code(other, table, *flags, "--quiet", catalog=world.catalog) == 2
    said = capsys.readouterr().err
    assert f"{other.bundle} differs from what snapshot 1 of {table} was made with: 1 tag dropped (mood/wild)" in said
    assert len(said.splitlines()) == 1
    assert {path: path.read_bytes() for path in table.rglob("*") if path.is_file()} == before
    assert tag_code(other, table, *flags, "--plan", catalog=world.catalog) == 0
    said = capsys.readouterr().out
    assert "changes to the table: 1 tag dropped (mood/wild)" in said and "a run needs --accept-changes" in said
    snapshot = tag(other, table, *flags, "--accept-changes", catalog=world.catalog)
    assert "differs from what snapshot 1 was made with: 1 tag dropped (mood/wild)" in caplog.text
    assert snapshot.run.counts["decoded"] == 0 and snapshot.run.plan["causes"]["taxonomy"] > 10
    assert tag_code(first, table, *flags, catalog=world.catalog) == 2
    assert snapshot_numbers(str(table)) == [1, 2]


def test_after_a_rollback_the_bad_bundle_does_not_come_back(
    world: World, two: tuple[World, World], table: Path, capsys
) -> None:
    first, other = two
    for one in (first, other):
        publish_table(table, load_bundle(str(one.bundle)), 2)
    assert main(["rollback", str(table), "1"]) == 0
    assert tag_code(other, table, "--catalog-root", str(world.folder), catalog=world.catalog) == 2
    assert "what snapshot 3 of" in capsys.readouterr().err
