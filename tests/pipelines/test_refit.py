"""`refit`: new heads from a published table, and a table tagged again without its audio."""

import dataclasses
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.bundles.fake import write_fake_bundle
from models.bundles.split_record import SPLIT_FILE, Sides, read_sides, to_bytes
from models.bundles.tagger_bundle import load_bundle
from models.bundles.trunk_bundle import BundleError, TrunkFile, load_trunks
from models.fitting.kept_split import keep_split
from pipelines.cli import main
from tests.support.world import World, ledger, make_world, read_table, tag
from transforms.features.spec import FeatureSpec
from transforms.splits.by_artist import SplitRatios
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import current_snapshot
from transforms.taxonomy.hierarchy import load_taxonomy

WIDER = """
categories:
  - {name: genre, kind: multiclass, tags: [genre/folk, genre/techno, genre/ambient, genre/gospel, genre/funk]}
  - {name: instrument, kind: multilabel, tags: [instrument/bass, instrument/drums, instrument/organ]}
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> tuple[World, str]:
    """A world whose catalog says when audio changes, and a table of it."""
    world = make_world(tmp_path_factory.mktemp("heads") / "world", tracks=24)
    rows = world.rows()
    pq.write_table(rows.append_column("source_version", pa.array(["1"] * rows.num_rows)), world.catalog)
    table = world.folder / "table"
    tag(world, table)
    return world, str(table)


def refit(world: World, table: str, output: str, *flags: str) -> int:
    command = ["refit", "--table", table, "--model", str(world.bundle), "--output", output]
    return main([*command, "--catalog", str(world.catalog), *flags])


def test_new_heads_tag_a_table_again_without_its_audio(told, tmp_path, capsys):
    world, table = told
    (tmp_path / "tags.yaml").write_text(WIDER)
    new = str(tmp_path / "new")
    assert refit(world, table, new, "--taxonomy", str(tmp_path / "tags.yaml"), "--unknown-tags=drop") == 0
    assert "tagger" in capsys.readouterr().out
    shutil.copytree(table, tmp_path / "table")
    gone = dataclasses.replace(world, folder=tmp_path / "no-audio")
    gone.folder.mkdir()
    shutil.copy(world.catalog, gone.catalog)
    shutil.copytree(new, gone.bundle)
    snapshot = tag(gone, tmp_path / "table", "--accept-changes")
    assert snapshot.run.counts["decoded"] == 0 and snapshot.run.counts["carried"] > 20
    tags = set(read_table(tmp_path / "table", snapshot, "track_tags")["tag"].to_pylist())
    assert tags == set(load_bundle(new).taxonomy.tag_ids)
    assert load_bundle(new).embedding_id == load_bundle(str(world.bundle)).embedding_id


@pytest.mark.parametrize("command", ["refit", "evaluate"])
def test_tags_that_the_taxonomy_does_not_have_stop_the_command(told, tmp_path, capsys, command):
    world, table = told
    rows = world.rows()
    tags = [["mood/unheard"] if number in (1, 3) else tags for number, tags in enumerate(rows["tags"].to_pylist())]
    changed = rows.set_column(rows.column_names.index("tags"), "tags", pa.array(tags, pa.list_(pa.string())))
    pq.write_table(changed, tmp_path / "catalog.parquet")
    words = [command, "--table", table, "--model", str(world.bundle), "--catalog", str(tmp_path / "catalog.parquet")]
    assert main([*words, "--output", str(tmp_path / "new")]) == 1
    said = capsys.readouterr().err
    assert "2 problems in the catalog" in said and not (tmp_path / "new").exists()
    for row in (2, 4):
        assert f"row {row}, column tags: tag 'mood/unheard' is not in the taxonomy" in said
    assert main([*words, "--output", str(tmp_path / "new"), "--unknown-tags=drop"]) == 0


def test_a_table_of_other_embeddings_is_refused(told, tmp_path, capsys):
    world, table = told
    other = dataclasses.replace(world, folder=tmp_path)
    taxonomy = load_taxonomy(str(world.folder / "taxonomy.yaml"))
    write_fake_bundle(str(other.bundle), taxonomy, FeatureSpec(patches_per_track=5))
    shutil.copy(world.catalog, other.catalog)
    assert refit(other, table, str(tmp_path / "new")) == 1
    assert "was tagged with" in capsys.readouterr().err


def test_the_split_is_kept_by_the_next_bundle(told, tmp_path):
    world, table = told
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    assert refit(world, table, first, "--precision-target", "0.8") == 0
    kept = dataclasses.replace(world, folder=tmp_path)
    shutil.copytree(first, kept.bundle)
    shutil.copy(world.catalog, kept.catalog)
    assert refit(kept, table, second) == 0
    assert read_sides(load_trunks(first)) == read_sides(load_trunks(second))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["refit"], "missing --table, --model, --output"),
        (["train", "--table", "t"], "unknown flag --table"),
        (["train"], "missing --dataset"),
        (["refit", "--table", "t", "--model", "m", "--output", "o"], "give one of them"),
        (
            ["refit", "--table=t", "--model=m", "--output=o", "--dataset=d", "--taxonomy=t"],
            "--taxonomy and --split-column need --catalog",
        ),
        (["train", "--dataset", "d", "--output", "o", "--precision-target", "much"], "give a share"),
        (["train", "--dataset", "d", "--output", "o", "--precision-target", "mood/calm=2"], "above 0 and up to 1"),
    ],
)
def test_flags_that_do_not_go_together(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_artists_keep_their_side_and_new_ones_get_their_own():
    sides = Sides(tracks={"a": "test"}, groups={"one": "test", "two": "validation"})
    ratios = SplitRatios(train=1.0, validation=0.0, test=0.0)
    assert sides.of("a", "one", "train", ratios) == ("test", True)
    assert sides.of("b", "two", "train", ratios) == ("validation", True)
    assert sides.of("c", "three", "test", ratios) == ("test", False)
    assert sides.of("c", "three", None, ratios) == ("train", False)


def test_what_the_split_kept_out_stays_out():
    rows = [("tied", "", "none"), ("a", "one", "train"), ("b", "two", "train"), ("c", "two", "test")]
    sides, ratios = Sides.of_rows(rows), SplitRatios()
    assert sides.of("a", "one", "none", ratios)[0] == sides.of("new", "new", "none", ratios)[0] == "none"
    assert sides.of("tied", "one", "train", ratios) == ("none", True)
    assert sides.of("d", "two", "train", ratios) == ("none", True), "its artist is on two sides"
    assert [sides.of(track, "two", None, ratios)[0] for track in "bc"] == ["train", "test"]


def test_official_none_and_audio_on_two_sides_are_left_out(told, tmp_path, capsys):
    world, table = told
    rows = ledger(Path(table), current_snapshot(table))
    copy, original = next((t, row["duplicate_of"]) for t, row in rows.items() if row["duplicate_of"])
    catalog = world.rows()
    names = catalog["track_id"].to_pylist()
    out = next(name for name in names if rows[name]["status"] == "tagged" and name not in (copy, original))
    words = {copy: "train", original: "test", out: "none"}
    sides = pa.array([words.get(name, ("train", "validation", "test")[i % 3]) for i, name in enumerate(names)])
    pq.write_table(catalog.append_column("side", sides), tmp_path / "catalog.parquet")
    flags = ["--catalog", str(tmp_path / "catalog.parquet"), "--split-column", "side"]
    assert refit(world, table, str(tmp_path / "new"), *flags) == 0
    assert "3 labelled tracks are left out by the split" in capsys.readouterr().out
    found = read_sides(load_trunks(str(tmp_path / "new"))).tracks
    assert {track for track, side in found.items() if side == "none"} == {copy, original, out}
    again = dataclasses.replace(world, folder=tmp_path)
    shutil.copytree(tmp_path / "new", again.bundle)
    assert refit(again, table, str(tmp_path / "next"), "--catalog", str(world.catalog)) == 0
    found = read_sides(load_trunks(str(tmp_path / "next"))).tracks
    assert {found[track] for track in (copy, original, out)} == {"none"}


def test_audio_that_a_trunk_was_trained_on_ties_without_labels(told):
    _, table = told
    snapshot = current_snapshot(table)
    copy, original = next((t, r["duplicate_of"]) for t, r in ledger(Path(table), snapshot).items() if r["duplicate_of"])
    labels, known = [(copy, "new", "test")], Sides(tracks={}, groups={})
    kept = keep_split(labels, known, [(original, "old", "train")], open_snapshot(table), SplitRatios())
    assert kept.sides == {copy: "none"} and not kept.new
    assert keep_split(labels, known, [], open_snapshot(table), SplitRatios()).sides == {copy: "test"}


def test_a_learned_trunk_without_its_split_is_refused(told):
    world, _ = told
    base = load_trunks(str(world.bundle))
    trunk = TrunkFile(name="own", digest="0", patch_dim=1, files={}, learned=True)
    with pytest.raises(BundleError, match=r"own.* are unknown"):
        read_sides(dataclasses.replace(base, trunks=(trunk,)))


def test_split_file_does_not_depend_on_order():
    rows = [("a", "one"), ("b", "two")]
    assert to_bytes({"train": rows, "test": []}) == to_bytes({"test": [], "train": rows[::-1]})
    assert SPLIT_FILE.endswith(".parquet")


def test_split_file_names_what_trunks_learned_from_before():
    earlier = [
        ("old", "one", "validation"),
        ("old", "one", "train"),
        ("moved", "two", "validation"),
        ("t", "x", "train"),
    ]
    data = to_bytes({"train": [("moved", "two")], "none": [("t", ""), ("tied", "")]}, earlier)
    found = {row["track_id"]: row["split"] for row in pq.read_table(pa.BufferReader(data)).to_pylist()}
    assert found == {"old": "train", "moved": "train", "t": "train", "tied": "none"}
    assert to_bytes({}, earlier) == to_bytes({}, earlier[::-1])
