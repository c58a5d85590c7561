"""`tag --also`: what is extracted once is embedded by several bundles, each for a table of its own."""

import pytest

from models.bundles.tagger_bundle import load_bundle
from pipelines.cli import main
from tests.support.world import World, other_bundle, tag, tag_code, tag_other
from transforms.table.versions import open_table


@pytest.fixture
def other(world, tmp_path) -> World:
    return other_bundle(world, tmp_path)


@pytest.mark.long
def test_the_second_table_is_filled_without_decoding(world, other, tmp_path):
    first = tag(world, tmp_path / "one", "--also", str(other.bundle), str(tmp_path / "two"))
    assert not list((tmp_path / "two").glob("snapshots/*")), "the second table is published by its own run"
    second = tag_other(world, other, tmp_path / "two")
    assert first.run.counts["decoded"] > 10 and second.run.counts["decoded"] == 0
    assert second.run.counts["reused"] > 10 and second.run.counts["tagged"] == first.run.counts["tagged"]
    assert first.run.content_hash == tag(world, tmp_path / "one-alone").run.content_hash
    assert second.run.content_hash == tag_other(world, other, tmp_path / "two-alone").run.content_hash


def test_other_features_are_refused_naming_both(world, tmp_path, capsys):
    other = other_bundle(world, tmp_path, patches=5)
    assert tag_code(world, tmp_path / "one", "--also", str(other.bundle), str(tmp_path / "two")) == 2
    said = capsys.readouterr().err
    assert all(load_bundle(str(one.bundle)).feature_id in said for one in (world, other))
    assert not (tmp_path / "one" / "work").exists()


def test_a_table_of_other_buckets_is_refused(world, other, tmp_path, capsys):
    open_table(str(tmp_path / "two"), 3)
    assert tag_code(world, tmp_path / "one", "--also", str(other.bundle), str(tmp_path / "two")) == 2
    assert "has 3 buckets" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["one", "two"])
def test_a_table_gets_the_same_embeddings_once(world, other, tmp_path, capsys, place):
    model = world.bundle if place == "one" else other.bundle
    words = ["--also", str(other.bundle), str(tmp_path / "two"), "--also", str(model), f"{tmp_path / place}/"]
    assert tag_code(world, tmp_path / "one", *words) == 2
    assert f"{tmp_path / place}/: that table already gets these embeddings" in capsys.readouterr().err
    assert not (tmp_path / "one" / "work").exists()


def test_two_words_are_needed(capsys):
    assert main(["tag", "--catalog", "c", "--model", "m", "--table", "t", "--also", "bundle"]) == 2
    assert "--also" in capsys.readouterr().err
