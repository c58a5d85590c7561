"""`split` on catalogs: whole artists, equal audio together, old tracks where they were."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from transforms.catalog.importers.published import import_mtg_jamendo
from transforms.catalog.reader import list_shards
from transforms.splits.by_artist import SPLITS, SplitRatios, split_of
from transforms.splits.stratified import report
from transforms.splits.survey import read_labels

TAXONOMY = """
categories:
  - name: mood
    kind: multilabel
    tags: [mood/soft, {id: mood/calm, parents: [mood/soft]}, mood/loud]
"""
MOODS = ("mood/calm", "mood/loud", "mood/soft|other/x", "")


def catalog(tmp_path, rows, name="catalog.csv"):
    (tmp_path / "taxonomy.yaml").write_text(TAXONOMY)
    with (tmp_path / name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["track_id", "uri", "artist_id", "tags", "sha256"])
        writer.writerows(rows)
    return tmp_path / name


def rows(artists=60, per_artist=3, first=0):
    return [
        [f"{a:03d}-{i}", f"{a}/{i}.mp3", f"a{a}", MOODS[a % 4], f"{a}-{i}"]
        for a in range(first, first + artists)
        for i in range(per_artist)
    ]


def split(tmp_path, source, output, *flags):
    command = ["split", "--catalog", str(source), "--taxonomy", str(tmp_path / "taxonomy.yaml")]
    return main([*command, "--split-ratios", "0.6,0.2,0.2", "--output", str(tmp_path / output), *flags])


def sides(path):
    table = pq.read_table(path)
    return dict(zip(table["track_id"].to_pylist(), table["split"].to_pylist(), strict=True))


def test_artists_stay_whole_and_shares_come_out(tmp_path, capsys):
    source = catalog(tmp_path, rows())
    assert split(tmp_path, source, "s.parquet", "--report", str(tmp_path / "r.json")) == 0
    found = sides(tmp_path / "s.parquet")
    assert all(len({found[f"{a:03d}-{i}"] for i in range(3)}) == 1 for a in range(60))
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["tracks"] == {"train": 108, "validation": 36, "test": 36, "none": 0}
    assert report["groups_on_several_sides"] == 0 and report["worst_deviation"] <= 0.02
    assert report["tags"]["mood/soft"] == {
        "tracks": 90,
        "groups": 30,
        "deviation": {side: pytest.approx(0, abs=0.02) for side in SPLITS},
    }
    assert "0 artists on several sides" in capsys.readouterr().out


def test_the_catalog_comes_out_whole(tmp_path):
    source = catalog(tmp_path, rows(artists=5))
    assert split(tmp_path, source, "s.parquet") == 0
    table = pq.read_table(tmp_path / "s.parquet")
    assert table["uri"].to_pylist() == [row[1] for row in rows(artists=5)]
    assert table.column_names[-2:] == ["sha256", "split"] and table["artist_id"][0].as_py() == "a0"


def test_the_order_of_the_catalog_does_not_matter(tmp_path):
    assert split(tmp_path, catalog(tmp_path, rows()), "a.parquet") == 0
    assert split(tmp_path, catalog(tmp_path, rows()[::-1]), "b.parquet") == 0
    assert sides(tmp_path / "a.parquet") == sides(tmp_path / "b.parquet")


def test_nobody_moves_when_the_catalog_grows(tmp_path):
    assert split(tmp_path, catalog(tmp_path, rows()), "old.parquet") == 0
    more = [*rows(first=60, artists=6), ["new", "n.mp3", "a0", "mood/calm", "n"], *rows()]
    flags = ("--previous", str(tmp_path / "old.parquet"))
    assert split(tmp_path, catalog(tmp_path, more), "new.parquet", *flags) == 0
    old, new = sides(tmp_path / "old.parquet"), sides(tmp_path / "new.parquet")
    assert old.items() <= new.items() and new["new"] == old["000-0"]
    assert {new[f"{a:03d}-0"] for a in range(60, 66)} <= set(SPLITS)


def test_equal_audio_stays_together(tmp_path):
    found = rows()
    for a in range(0, 60, 2):  # the next artist has a track with the same bytes
        found[3 * (a + 1)][4] = found[3 * a][4]
    flags = ("--bytes-column", "sha256")
    assert split(tmp_path, catalog(tmp_path, found), "s.parquet", *flags) == 0
    result = sides(tmp_path / "s.parquet")
    assert all(result[f"{a:03d}-0"] == result[f"{a + 1:03d}-0"] for a in range(0, 60, 2))


def test_a_new_track_tied_to_two_sides_stays_out(tmp_path):
    assert split(tmp_path, catalog(tmp_path, rows()), "old.parquet") == 0
    old = sides(tmp_path / "old.parquet")
    first = "000"
    other = next(f"{a:03d}" for a in range(60) if old[f"{a:03d}-0"] != old[f"{first}-0"])
    tied = [
        ["x", "x.mp3", f"a{int(first)}", "mood/calm", "same"],
        ["y", "y.mp3", f"a{int(other)}", "mood/calm", "same"],
    ]
    flags = ("--previous", str(tmp_path / "old.parquet"), "--bytes-column", "sha256")
    assert split(tmp_path, catalog(tmp_path, [*rows(), *tied]), "new.parquet", *flags) == 0
    new = sides(tmp_path / "new.parquet")
    assert (new["x"], new["y"]) == ("none", "none") and old.items() <= new.items()


def test_tracks_of_artists_tied_to_two_sides_stay_with_their_artist(tmp_path, capsys):
    assert split(tmp_path, catalog(tmp_path, rows()), "old.parquet") == 0
    old = sides(tmp_path / "old.parquet")
    a, b = 0, next(a for a in range(60) if old[f"{a:03d}-0"] != old["000-0"])
    more = [
        [f"{name}-{i}", f"{name}-{i}.mp3", f"a{artist}", "mood/calm", digest]
        for name, artist in (("a", a), ("b", b), ("newcomer", 99))
        for i, digest in enumerate(("same", f"{name} itself", ""))
    ]
    flags = ("--previous", str(tmp_path / "old.parquet"), "--bytes-column", "sha256")
    capsys.readouterr()
    assert split(tmp_path, catalog(tmp_path, [*rows(), *more]), "new.parquet", *flags) == 0
    new = sides(tmp_path / "new.parquet")
    assert old.items() <= new.items() and {new[f"{name}-0"] for name in ("a", "b", "newcomer")} == {"none"}
    assert new["a-1"] == new["a-2"] == old["000-0"] and new["b-1"] == new["b-2"] == old[f"{b:03d}-0"]
    assert new["newcomer-1"] == new["newcomer-2"] != "none"
    assert "none 3 tracks; 0 artists on several sides" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--column", "sha256"), 2, "the catalog already has this column"),
        (("--bytes-column", "md5"), 2, "the columns are track_id"),
        (("--split-ratios", "1"), 2, "give train,validation,test"),
        (("--output", "x.csv"), 2, "use a name that ends in .parquet"),
        (("--catalog", "none.csv"), 1, "no such file"),
    ],
)
def test_mistakes_are_named(tmp_path, capsys, flags, code, message):
    assert split(tmp_path, catalog(tmp_path, rows(artists=2)), "s.parquet", *flags) == code
    assert message in capsys.readouterr().err


def test_what_is_wrong_with_an_earlier_split_is_named(tmp_path, capsys):
    source = catalog(tmp_path, rows(artists=2))
    assert split(tmp_path, source, "s.parquet", "--previous", str(source)) == 2
    assert "no column 'split'" in capsys.readouterr().err
    (tmp_path / "old.csv").write_text("track_id,uri,side\n1,a,left\n")
    flags = ("--previous", str(tmp_path / "old.csv"), "--column", "side")
    assert split(tmp_path, source, "s.parquet", *flags) == 1
    assert "row 1, column side: 'left' is not a side" in capsys.readouterr().err


def test_binary_tags_by_rule_are_even_too(tmp_path):
    said = ("sound/voice", "sound/piano", "sound/piano", "sound/piano")
    source = catalog(tmp_path, [[*row[:3], said[a % 4], ""] for a in range(40) for row in rows(1, 2, a)])
    (tmp_path / "taxonomy.yaml").write_text(
        "categories: [{name: voice, kind: binary, tags: "
        "[{id: voice/vocal, any_of: [sound/voice]}, {id: voice/instrumental, any_of: [sound/piano]}]}]"
    )
    assert split(tmp_path, source, "s.parquet", "--report", str(tmp_path / "r.json")) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["tags"]["voice/vocal"]["tracks"] == 20 and report["worst_deviation"] <= 0.011


def test_bad_rows_stop_it_and_outputs_are_not_replaced(tmp_path, capsys):
    bad = catalog(tmp_path, [["", "x", "a", "", ""], ["1", "http://x", "a", "", ""]])
    assert split(tmp_path, bad, "s.parquet") == 1
    assert "2 problems" in capsys.readouterr().err and not (tmp_path / "s.parquet").exists()
    (tmp_path / "s.parquet").write_bytes(b"mine")
    assert split(tmp_path, catalog(tmp_path, rows(artists=2)), "s.parquet") == 1
    assert (tmp_path / "s.parquet").read_bytes() == b"mine"


@pytest.mark.long
def test_real_jamendo_is_more_even_than_its_official_split(meta, tmp_path):
    folder = meta / "mtg-jamendo"
    tables = [str(folder / "autotagging_reconstructed.tsv")]
    imported = import_mtg_jamendo(tables, str(folder / "splits" / "split-0" / "autotagging"))
    table = imported.table().rename_columns({"split": "official"})
    pq.write_table(table, tmp_path / "all.parquet")
    pq.write_table(table.filter(_nine_of_ten(table)), tmp_path / "most.parquet")
    (tmp_path / "taxonomy.yaml").write_text(imported.taxonomy().to_yaml())
    assert split(tmp_path, tmp_path / "most.parquet", "old.parquet") == 0
    flags = ("--previous", str(tmp_path / "old.parquet"), "--report", str(tmp_path / "r.json"))
    assert split(tmp_path, tmp_path / "all.parquet", "new.parquet", *flags) == 0
    old, new = sides(tmp_path / "old.parquet"), sides(tmp_path / "new.parquet")
    assert old.items() <= new.items() and len(new) == 55_525
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["groups_on_several_sides"] == 0 and found["tracks"]["none"] == 0
    assert found["mean_deviation"] < found["hash_split"]["mean_deviation"] / 4
    ratios, taxonomy = SplitRatios.parse("0.6,0.2,0.2"), imported.taxonomy()
    shards = list_shards(str(tmp_path / "all.parquet"))
    catalog = read_labels(shards, taxonomy, lambda row: split_of(row, ratios, "official"))
    official = report(catalog, catalog.sides, taxonomy, ratios)
    assert official["groups_on_several_sides"] == 0
    assert found["mean_deviation"] < official["mean_deviation"] / 4
    assert found["worst_deviation"] < official["worst_deviation"] / 2


def _nine_of_ten(table):
    return [hash_ % 10 != 0 for hash_ in (int(track[-4:]) for track in table["track_id"].to_pylist())]
