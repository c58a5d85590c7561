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
from tests.support.published import publish_table
from tests.support.world import World, tag, tag_code
from transforms.features.spec import FeatureSpec
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
    assert found.sentences() == ["top_k None becomes 3"]


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
