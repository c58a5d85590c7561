"""Real metadata of published catalogs: all of their tracks become rows."""

import csv
from collections import Counter

import pytest

from transforms.catalog.importers.layout import CsvLayout
from transforms.catalog.importers.published import import_magnatagatune, import_mtg_jamendo
from transforms.catalog.importers.tabular import import_csv

SUBSETS = {"genre": (55_094, 87), "instrument": (24_976, 40), "moodtheme": (17_982, 56), "top50tags": (54_380, 50)}
"""Tracks and tags of MTG-Jamendo's official subsets, the same in all splits."""


def categories(result):
    return {category.name: len(category.tags) for category in result.taxonomy().categories}


@pytest.mark.parametrize(
    ("table", "tracks", "tags"),
    [
        ("autotagging_reconstructed", 55_525, {"genre": 87, "instrument": 41, "moodtheme": 59}),  # line feeds
        ("autotagging_instrument", 25_135, {"instrument": 41}),  # carriage returns and line feeds
        ("autotagging_moodtheme", 18_486, {"moodtheme": 59}),
    ],
)
def test_jamendo_tables(meta, table, tracks, tags):
    result = import_mtg_jamendo([str(meta / "mtg-jamendo" / f"{table}.tsv")])
    assert (len(result.rows), result.lost.kept) == (tracks, [])
    assert categories(result) == tags and all(row["tags"] for row in result.rows.values())


@pytest.mark.parametrize(
    ("number", "sides"),
    [
        (0, {"train": 32_859, "validation": 11_101, "test": 11_565}),
        (1, {"train": 33_007, "validation": 10_937, "test": 11_581}),
    ],
)
def test_jamendo_official_splits(meta, number, sides):
    folder = meta / "mtg-jamendo"
    prefix = str(folder / "splits" / f"split-{number}" / "autotagging")
    result = import_mtg_jamendo([str(folder / "autotagging_reconstructed.tsv")], prefix)
    assert Counter(row["split"] for row in result.rows.values()) == sides
    artists = {(row["artist_id"], row["split"]) for row in result.rows.values()}
    assert len(artists) == len({artist for artist, _ in artists}) == 3_565


@pytest.mark.parametrize(("number", "name"), [*((0, name) for name in SUBSETS), (1, "moodtheme")])
def test_jamendo_subsets_from_their_split_files_alone(meta, number, name):
    prefix = str(meta / "mtg-jamendo" / "splits" / f"split-{number}" / f"autotagging_{name}")
    result = import_mtg_jamendo([f"{prefix}-{side}.tsv" for side in ("train", "validation", "test")], prefix)
    tracks, tags = SUBSETS[name]
    assert (len(result.rows), len(result.taxonomy().tags), result.lost.kept) == (tracks, tags, [])
    assert set(Counter(row["split"] for row in result.rows.values())) == {"train", "validation", "test"}


def test_magnatagatune_clips_with_synonyms_joined(meta):
    table = str(meta / "magnatagatune" / "mtt_multilabel_9338.tsv")
    result = import_magnatagatune(table, top=None)
    assert (len(result.rows), categories(result)) == (9_335, {"tag": 132})
    assert [p.message.partition(":")[0] for p in result.lost.kept] == ["empty track_id"] * 3  # of 9,338 rows
    assert result.aliases["tag/singing"] == ("tag/singer",) and result.rows["2"]["artist"] == "American Bach Soloists"
    top = import_magnatagatune(table)
    counts = result.tag_counts()
    assert top.tag_counts() == {tag: counts[tag] for tag, _ in counts.most_common(50)}


def test_magnatagatune_as_it_was_published_gives_the_same(meta, tmp_path):
    with (meta / "magnatagatune" / "mtt_multilabel_9338.tsv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["clip_id"]]
    names = sorted({tag for row in rows for tag in row["tags"].split("|")})
    with (tmp_path / "annotations_final.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writerow(["clip_id", *names, "mp3_path"])
        for row in rows:
            carried = set(row["tags"].split("|"))
            writer.writerow([row["clip_id"], *(int(name in carried) for name in names), row["path"]])
    with (tmp_path / "clip_info_final.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["clip_id", "title", "artist", "album"], delimiter="\t", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    made = import_magnatagatune(str(tmp_path / "annotations_final.csv"), str(tmp_path / "clip_info_final.csv"))
    direct = import_magnatagatune(str(meta / "magnatagatune" / "mtt_multilabel_9338.tsv"))
    same = ["track_id", "uri", "artist", "title", "split", "tags"]
    assert made.table().select(same) == direct.table().select(same)


def test_magnatagatune_index_of_all_clips(meta):
    url = str(meta / "magnatagatune" / "musicnn-index" / "index_mtt.tsv")
    result = import_csv(url, CsvLayout(renamed={"track_id": "id", "uri": "path"}, names=["id", "path"]))
    assert (len(result.rows), result.lost.kept) == (25_863, [])


def test_freemusi_whose_files_were_copied(meta):
    """21,502 rows; 408 of them name a file that another row names too."""
    hosts = ("www.archive.org/download", "archive.org/download", "lastgasstation.files.wordpress.com")
    bases = [f"http://{host}/" for host in hosts]
    renamed = {"track_id": "trackurl", "uri": "trackurl", "artist": "trackartist", "album_id": "id"}
    layout = CsvLayout(
        renamed=renamed, lists=[("activity", "activity")], kinds={"activity": "multiclass"}, uri_bases=bases
    )
    result = import_csv(str(meta / "other" / "freemusi.cc" / "tracks.csv"), layout)
    assert (len(result.rows), result.joined, result.lost.kept) == (21_094, 408, [])
    assert not any("://" in row["uri"] for row in result.rows.values())


def test_incompetech(meta):
    lists = [("genre", "genre"), ("mood", "feel"), ("instrument", "instruments")]
    layout = CsvLayout(renamed={"track_id": "isrc", "uri": "{isrc}.mp3"}, lists=lists, separator=",")
    result = import_csv(str(meta / "other" / "incompetech" / "incompetech_songs.csv"), layout)
    assert (len(result.rows), result.lost.kept) == (1_432, [])
    assert categories(result) == {"genre": 24, "mood": 20, "instrument": 310}


def test_the_tutorials_labels_one_column_a_tag(meta):
    url = str(meta / "magnatagatune" / "ismir2018" / "ismir2018_tut_part_1_genres_labels_subset_w_clipid.csv")
    layout = CsvLayout(
        renamed={"track_id": "clip_id", "uri": "{clip_id}.mp3"}, wide=[("genre", ["*"])], kinds={"genre": "multiclass"}
    )
    result = import_csv(url, layout)
    assert (len(result.rows), categories(result), result.lost.kept) == (1_998, {"genre": 8}, [])
