"""`labels`: the report against counts by hand, and the taxonomy that it leaves."""

import json

import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from transforms.catalog.importers.published import import_mtg_jamendo
from transforms.splits import report as label_report
from transforms.taxonomy.hierarchy import load_taxonomy

TAXONOMY = """
categories:
  - name: mood
    kind: multilabel
    tags: [mood/soft, {id: mood/calm, parents: [mood/soft]}, mood/loud, mood/rare]
  - name: genre
    kind: multiclass
    tags: [genre/rock, genre/folk]
  - name: voice
    kind: binary
    tags: [{id: voice/vocal, any_of: [instrument/voice]}, {id: voice/instrumental, any_of: [other/instrumental]}]
"""
CATALOG = """track_id,uri,artist_id,tags,fold
1,1.mp3,a,mood/calm:0.5|genre/rock|instrument/voice,train
2,2.mp3,a,mood/soft|mood/loud|genre/rock|genre/folk,train
3,3.mp3,b,mood/loud:0|genre/folk|instrument/voice|other/instrumental,validation
4,4.mp3,c,mood/calm|mood/rare|genre/folk|strange/thing,test
5,5.mp3,,,none
"""


def labels(tmp_path, *flags, catalog=CATALOG):
    (tmp_path / "taxonomy.yaml").write_text(TAXONOMY)
    (tmp_path / "catalog.csv").write_text(catalog)
    words = ["--catalog", str(tmp_path / "catalog.csv"), "--taxonomy", str(tmp_path / "taxonomy.yaml")]
    return main(["labels", *words, "--output", str(tmp_path / "report"), "--split-column", "fold", *flags])


def rows(tmp_path, name="labels"):
    return pq.read_table(tmp_path / "report" / f"{name}.parquet").to_pylist()


def test_support_of_every_tag(tmp_path):
    assert labels(tmp_path) == 0
    found = {row["tag"]: row for row in rows(tmp_path)}
    counts = {
        tag: [row[n] for n in ("tracks", "known", "artists", "train", "validation", "test")]
        for tag, row in found.items()
    }
    assert counts == {
        "mood/soft": [3, 4, 2, 2, 0, 1],
        "mood/calm": [2, 4, 2, 1, 0, 1],
        "mood/loud": [1, 4, 1, 1, 0, 0],
        "mood/rare": [1, 4, 1, 0, 0, 1],
        "genre/rock": [1, 3, 1, 1, 0, 0],  # track 2 is in conflict
        "genre/folk": [2, 3, 2, 0, 1, 1],
        "voice/vocal": [1, 1, 1, 1, 0, 0],  # track 3 is in conflict
        "voice/instrumental": [0, 1, 0, 0, 0, 0],
    }  # fmt: skip
    assert found["mood/calm"]["mean_target"] == 0.75 and found["voice/instrumental"]["mean_target"] is None
    assert not any(row["dropped"] for row in found.values())


def test_conflicts_are_counted_and_listed(tmp_path, capsys):
    assert labels(tmp_path) == 0
    assert [(row["track_id"], row["category"], row["kind"], row["row"]) for row in rows(tmp_path, "conflicts")] == [
        ("2", "genre", "multiclass", 2),
        ("3", "voice", "binary", 3),
    ]
    assert rows(tmp_path, "conflicts")[0]["tags"] == "genre/folk|genre/rock|mood/loud|mood/soft"
    found = json.loads((tmp_path / "report" / "labels.json").read_text())
    assert {name: category["conflicts"] for name, category in found["categories"].items()} == {
        "mood": 0,
        "genre": 1,
        "voice": 1,
    }
    assert found["unknown_tags"] == {"strange/thing": 1}
    assert "genre: 2 tags, known for 3 tracks, 1 conflicts" in capsys.readouterr().out


def test_company_of_a_tag(tmp_path):
    assert labels(tmp_path) == 0
    found = {row["tag"]: row["together"] for row in rows(tmp_path)}
    assert [partner["tag"] for partner in found["mood/soft"]] == [
        "mood/loud",  # 1 of 3
        "mood/rare",
        "genre/rock",
        "voice/vocal",
        "genre/folk",  # 1 of 4
    ]
    folk = {partner["tag"]: partner for partner in found["genre/folk"]}
    # Folk and rare: together on track 4; genre and mood are both known for tracks 1, 3 and 4.
    assert folk["mood/rare"] == {
        "tag": "mood/rare",
        "tracks": 1,
        "jaccard": 0.5,
        "lift": pytest.approx(1 * 3 / (2 * 1)),
    }
    assert "mood/soft" not in {partner["tag"] for partner in found["mood/calm"]}  # carried together by definition


def test_tracks_taken_two_at_a_time_give_the_same(tmp_path, monkeypatch):
    assert labels(tmp_path) == 0
    whole = rows(tmp_path)
    monkeypatch.setattr(label_report, "_CHUNK", 2)
    assert labels(tmp_path) == 0
    assert rows(tmp_path) == whole


def test_rare_tags_are_dropped_and_the_reason_told(tmp_path, capsys):
    assert labels(tmp_path, "--min-artists", "2") == 0
    taxonomy = load_taxonomy(str(tmp_path / "report" / "taxonomy.yaml"))
    assert taxonomy.tag_ids == ("mood/soft", "mood/calm")
    reasons = {row["tag"]: row["dropped"] for row in rows(tmp_path) if row["dropped"]}
    assert reasons["mood/loud"] == "1 artists, fewer than 2" and "multiclass" in reasons["genre/folk"]
    assert set(reasons) == {"mood/loud", "mood/rare", "genre/rock", "genre/folk", "voice/vocal", "voice/instrumental"}
    text = (tmp_path / "report" / "labels.md").read_text()
    assert "| mood/rare | 1 artists, fewer than 2 |" in text
    assert "6 tags dropped" in capsys.readouterr().out


def test_the_report_does_not_depend_on_the_order_of_the_catalog(tmp_path):
    assert labels(tmp_path) == 0
    first = {name: (tmp_path / "report" / name).read_bytes() for name in ("labels.parquet", "labels.json")}
    head, *lines = CATALOG.splitlines(keepends=True)
    assert labels(tmp_path, catalog="".join([head, *lines[::-1]])) == 0
    assert first == {name: (tmp_path / "report" / name).read_bytes() for name in first}


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--min-artists", "0"), 2, "--min-artists=0: at least 1"),
        (("--min-artists", str(10**21)), 2, f"--min-artists={10**21}: at most 1000000"),
        (("--min-artists", "9"), 1, "no category has enough tags with 9 artists"),
        (("--split-column", "side"), 2, "the catalog's further columns are fold"),
        (("--split-column", "fold", "--catalog", "none.csv"), 1, "no such file"),
    ],
)
def test_mistakes_are_named(tmp_path, capsys, flags, code, message):
    assert labels(tmp_path, *flags) == code
    assert message in capsys.readouterr().err


def test_bad_rows_stop_it(tmp_path, capsys):
    assert labels(tmp_path, catalog=CATALOG.replace("none", "tomorrow")) == 1
    assert "1 problem in the catalog, nothing was reported" in capsys.readouterr().err


def test_a_taxonomy_that_no_tag_fits(tmp_path, capsys):
    assert labels(tmp_path, catalog="track_id,uri,tags,fold\n1,a,strange/x,train\n") == 1
    assert "no track has a tag of the taxonomy" in capsys.readouterr().err


def test_real_jamendo_has_50_artists_a_tag(meta, tmp_path):
    """Its makers kept tags that at least 50 artists carry; 51 drops those with exactly 50."""
    folder = meta / "mtg-jamendo"
    imported = import_mtg_jamendo([str(folder / "autotagging_reconstructed.tsv")])
    pq.write_table(imported.table(), tmp_path / "catalog.parquet")
    (tmp_path / "taxonomy.yaml").write_text(imported.taxonomy().to_yaml())
    words = ["--catalog", str(tmp_path / "catalog.parquet"), "--taxonomy", str(tmp_path / "taxonomy.yaml")]
    assert main(["labels", *words, "--output", str(tmp_path / "report"), "--min-artists", "51"]) == 0
    found = {row["tag"]: row for row in rows(tmp_path)}
    assert len(found) == 187 and min(row["artists"] for row in found.values()) == 50
    dropped = {tag for tag, row in found.items() if row["dropped"]}
    assert dropped == {tag for tag, row in found.items() if row["artists"] == 50} and dropped
    carried = [set(row["tags"]) for row in imported.rows.values()]
    for partner in found["genre/rock"]["together"]:
        assert partner["tracks"] == sum({"genre/rock", partner["tag"]} <= tags for tags in carried)
        either = sum(bool({"genre/rock", partner["tag"]} & tags) for tags in carried)
        assert partner["jaccard"] == pytest.approx(partner["tracks"] / either)
