"""Published datasets: their own files become catalogs, all of their tracks."""

from collections import Counter

import pytest

from transforms.catalog.importers.published import SYNONYMS, import_fma, import_magnatagatune, import_mtg_jamendo
from transforms.taxonomy.tag_ids import slug

HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text.encode())
    return str(path)


def jamendo_row(number, *tags, end="\n"):
    fields = (f"track_{number:07d}", "artist_1", "album_1", f"{number % 100:02d}/{number}.mp3", "100.5", *tags)
    return "\t".join(fields) + end


def test_jamendo_keeps_every_tag_of_a_row(tmp_path):
    tags = ("genre---rock", "instrument---voice", "mood/theme---calm")
    url = write(tmp_path, "a.tsv", HEADER + jamendo_row(214, *tags, end="\r\n") + jamendo_row(215))
    result = import_mtg_jamendo([url])
    assert result.rows["track_0000214"]["tags"] == dict.fromkeys(["genre/rock", "instrument/voice", "moodtheme/calm"])
    assert result.rows["track_0000215"]["tags"] == {}
    assert result.table()["duration"].to_pylist() == ["100.5"] * 2


def test_jamendo_tables_are_joined(tmp_path):
    one = write(tmp_path, "a.tsv", HEADER + jamendo_row(1, "genre---rock"))
    two = write(tmp_path, "b.tsv", HEADER + jamendo_row(1, "instrument---voice") + jamendo_row(2, "instrument---bass"))
    result = import_mtg_jamendo([one, two])
    assert [set(row["tags"]) for row in result.rows.values()] == [
        {"genre/rock", "instrument/voice"},
        {"instrument/bass"},
    ]


def test_jamendo_official_splits(tmp_path):
    url = write(tmp_path, "a.tsv", HEADER + "".join(jamendo_row(i, "genre---rock") for i in range(4)))
    for split, number in (("validation", 1), ("test", 2)):
        write(tmp_path, f"s-{split}.tsv", HEADER + jamendo_row(number, "genre---rock"))
    prefix = str(tmp_path / "s")
    assert import_mtg_jamendo([url], prefix).table()["split"].to_pylist() == ["train", "validation", "test", "train"]
    write(tmp_path, "s-train.tsv", HEADER + jamendo_row(0, "genre---rock"))
    assert import_mtg_jamendo([url], prefix).table()["split"].to_pylist() == ["train", "validation", "test", "none"]


def test_a_track_in_two_splits_is_an_error(tmp_path):
    url = write(tmp_path, "a.tsv", HEADER + jamendo_row(1))
    for split in ("validation", "test"):
        write(tmp_path, f"s-{split}.tsv", HEADER + jamendo_row(1))
    with pytest.raises(ValueError, match="track_0000001 is in validation, too"):
        import_mtg_jamendo([url], str(tmp_path / "s"))


def test_other_tables_are_no_jamendo(tmp_path):
    with pytest.raises(ValueError, match="MTG-Jamendo's are"):
        import_mtg_jamendo([write(tmp_path, "a.tsv", "id\tpath\n1\ta\n")])


MAGNA = '"clip_id"\t"female"\t"woman"\t"beats"\t"no vocals"\t"harp"\t"mp3_path"\n'


def magna_row(clip, values, folder="f"):
    return f'"{clip}"\t' + "\t".join(f'"{v}"' for v in values) + f'\t"{folder}/{clip}.mp3"\n'


def test_magnatagatune_joins_synonyms_and_keeps_the_top(tmp_path):
    rows = magna_row(2, "10000") + magna_row(3, "01110") + magna_row(4, "00001") + magna_row(5, "00000")
    result = import_magnatagatune(write(tmp_path, "annotations.csv", MAGNA + rows), top=2)
    assert {key: set(row["tags"]) for key, row in result.rows.items()} == {
        "2": {"tag/female_vocal"},
        "3": {"tag/female_vocal", "tag/beat"},
        "4": set(),
        "5": set(),
    }
    taxonomy = result.taxonomy()
    assert taxonomy.resolve("tag/woman") == taxonomy.resolve("tag/female") == "tag/female_vocal"


def test_magnatagatune_may_keep_its_names(tmp_path):
    url = write(tmp_path, "annotations.csv", MAGNA + magna_row(2, "11000"))
    assert set(import_magnatagatune(url, merge=False, top=None).rows["2"]["tags"]) == {"tag/female", "tag/woman"}


def test_magnatagatune_splits_by_folder_and_knows_its_artists(tmp_path):
    rows = "".join(magna_row(i, "10000", folder) for i, folder in enumerate("0bcdf", 1))
    info = "clip_id\ttrack_number\ttitle\tartist\talbum\n1\t1\tSong, one\tAnna\tSea\n99\t1\tx\ty\tz\n"
    url = write(tmp_path, "annotations.csv", MAGNA + rows)
    result = import_magnatagatune(url, write(tmp_path, "clip_info.csv", info))
    assert [row["split"] for row in result.rows.values()] == ["train", "train", "validation", "test", "test"]
    assert (result.rows["1"]["artist"], result.rows["1"]["title"]) == ("Anna", "Song, one")


def test_no_name_is_a_synonym_of_two_tags():
    names = Counter(slug(name) for names in SYNONYMS.values() for name in names)
    assert max(names.values()) == 1 and not set(names) & set(SYNONYMS)


FMA_TRACKS = (
    ",album,album,album,artist,artist,set,set,track,track,track,track,track\n"
    ",date_released,id,title,id,name,split,subset,duration,genre_top,genres,language_code,title\n"
    "track_id,,,,,,,,,,,,\n"
    '2,2009-01-05 00:00:00,1,"AWOL, A Way",1,AWOL,training,small,168,Hip-Hop,[21],en,Food\n'
    '134,,1,AWOL,1,AWOL,test,large,207,,"[12, 25]",en,Street\n'
    "5000,,2,X,2,Y,validation,full,1,Rock,[],,Z\n"
    "5001,,2,X,2,Y,validation,small,1,Rock,[99],,Z\n"
)
FMA_GENRES = "genre_id,#tracks,parent,title,top_level\n21,1,0,Hip-Hop,21\n12,1,0,Rock,12\n25,1,12,Punk,12\n"


def test_fma_has_genres_parents_splits_and_paths(tmp_path):
    result = import_fma(write(tmp_path, "tracks.csv", FMA_TRACKS), write(tmp_path, "genres.csv", FMA_GENRES))
    rows = {row["track_id"]: row for row in result.table().to_pylist()}
    assert (rows["2"]["uri"], rows["2"]["year"], rows["2"]["artist"]) == ("000/000002.mp3", 2009, "AWOL")
    assert rows["5000"]["uri"] == "005/005000.mp3"
    assert [rows[key]["split"] for key in ("2", "134", "5000")] == ["train", "test", "validation"]
    assert [tag["tag"] for tag in rows["134"]["tags"]] == ["genre/punk", "genre/rock"]
    assert [tag["tag"] for tag in rows["2"]["tags"]] == ["genre/hip_hop", "top_genre/hip_hop"]
    assert [(p.row, p.column) for p in result.values_left_out.kept] == [(5, "genres")] and rows["5001"]["tags"] is None
    taxonomy = result.taxonomy()
    assert taxonomy.tags[taxonomy.index["genre/punk"]].parents == ("genre/rock",)
    assert taxonomy.tags[taxonomy.index["genre/hip_hop"]].name == "Hip-Hop"
    assert {c.name: c.kind for c in taxonomy.categories} == {"genre": "multilabel", "top_genre": "multiclass"}


def test_fma_subsets_hold_the_smaller_ones(tmp_path):
    urls = write(tmp_path, "tracks.csv", FMA_TRACKS), write(tmp_path, "genres.csv", FMA_GENRES)
    assert set(import_fma(*urls, "small").rows) == {"2", "5001"}
    assert set(import_fma(*urls, "large").rows) == {"2", "134", "5001"}
    with pytest.raises(ValueError, match="subset 'tiny': choose small"):
        import_fma(*urls, "tiny")


def test_broken_rows_of_lookup_tables_are_named(tmp_path):
    url = write(tmp_path, "annotations.csv", MAGNA + magna_row(1, "10000") + magna_row(2, "10000"))
    info = 'clip_id\ttitle\tartist\talbum\n1\t"x\ty\n2\tSong\tAnna\tSea\n'
    result = import_magnatagatune(url, write(tmp_path, "clip_info.csv", info))
    assert result.rows["2"]["title"] == "Song" and "title" not in result.rows["1"]
    assert result.values_left_out.counts == {"clip_info": 1} and result.lost.count == 0
    genres = write(tmp_path, "genres.csv", FMA_GENRES + "26,1\n")
    with pytest.raises(ValueError, match=r"genres.csv, row 4 \(line 5\): 2 fields, the header has 5"):
        import_fma(write(tmp_path, "tracks.csv", FMA_TRACKS), genres)


def test_fma_tracks_without_a_number_are_lost_and_named(tmp_path):
    tracks = write(tmp_path, "tracks.csv", FMA_TRACKS + "x2,,1,A,1,A,test,small,1,,[],en,T\n")
    result = import_fma(tracks, write(tmp_path, "genres.csv", FMA_GENRES))
    assert [p.message for p in result.lost.kept] == ["'x2' is not the number of a track"]


def test_jamendo_rows_with_too_few_fields_are_lost_and_wrong_tags_left_out(tmp_path):
    text = HEADER + jamendo_row(1, "rock", "genre---pop") + "track_2\tartist\n"
    result = import_mtg_jamendo([write(tmp_path, "a.tsv", text)])
    assert result.rows["track_0000001"]["tags"] == {"genre/pop": None}
    assert result.values_left_out.counts == {"TAGS": 1} and [p.row for p in result.lost.kept] == [2]
