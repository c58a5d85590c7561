"""Any table as a catalog: renamed columns, lists of tags, a column a tag."""

import pytest

from transforms.catalog.importers.layout import CsvLayout
from transforms.catalog.importers.tabular import import_csv, parse_pairs

SAME = {"track_id": "track_id", "uri": "uri"}


def imported(tmp_path, text, name="t.csv", **layout):
    path = tmp_path / name
    path.write_bytes(text.encode())
    return import_csv(str(path), CsvLayout(**{"renamed": SAME, **layout}))


def tags(result):
    return {key: row["tags"] for key, row in result.rows.items()}


def test_a_file_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "latin.csv").write_bytes("track_id,uri\n1,café.mp3\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.csv: 1 lines are not UTF-8: save .* --encoding"):
        import_csv(str(tmp_path / "latin.csv"), CsvLayout(renamed=SAME))


def test_columns_are_renamed_and_further_ones_carried(tmp_path):
    renamed = {"track_id": "clip", "uri": "path", "artist": "band"}
    result = imported(tmp_path, "clip,path,band,bpm,empty\n007,a.mp3,Anna,120,\n", renamed=renamed)
    assert result.table().drop_columns("tags").to_pylist() == [
        {"track_id": "007", "uri": "a.mp3", "artist": "Anna", "bpm": 120}
    ]


def test_lists_of_names_become_tags(tmp_path):
    text = 'track_id,uri,style,feel\n1,a,Hip Hop,"Calm, Very Calm,"\n2,b,,\n'
    result = imported(tmp_path, text, lists=[("genre", "style"), ("mood", "feel")], separator=",")
    assert tags(result) == {"1": {"genre/hip_hop": None, "mood/calm": None, "mood/very_calm": None}, "2": {}}
    assert result.table()["tags"].to_pylist()[1] is None


def test_ids_and_weights_are_taken_as_they_are(tmp_path):
    result = imported(tmp_path, "track_id,uri,labels\n1,a,mood/calm:0.5|genre---rock\n", tags=["labels"])
    assert tags(result) == {"1": {"mood/calm": 0.5, "genre/rock": None}}


def test_a_column_a_tag(tmp_path):
    text = "track_id,uri,no vocals,Drums\n1,a,1,0\n2,b,0.3,1.0\n3,c,0,0\n4,d,,\n"
    result = imported(tmp_path, text, wide=[("tag", ["*"])])
    assert tags(result) == {
        "1": {"tag/no_vocals": None},
        "2": {"tag/no_vocals": 0.3, "tag/drums": None},
        "3": {"tag/no_vocals": 0.0, "tag/drums": 0.0},
        "4": {},
    }
    assert result.table().column_names == ["track_id", "uri", "tags"]


def test_named_tag_columns_leave_the_others(tmp_path):
    result = imported(tmp_path, "track_id,uri,a,b\n1,x,1,1\n", wide=[("tag", ["a"])])
    assert tags(result) == {"1": {"tag/a": None}} and result.rows["1"]["b"] == 1


def test_tables_without_a_header(tmp_path):
    assert list(imported(tmp_path, "2\tf/a.mp3\n6\tf/b.mp3\n", names=["track_id", "uri"]).rows) == ["2", "6"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_byte_order_marks(tmp_path, end):
    result = imported(tmp_path, "\ufeff" + end.join(["track_id\turi", "1\ta,b.mp3", ""]), name="t.tsv")
    assert result.rows["1"]["uri"] == "a,b.mp3"


def test_bad_rows_are_left_out_and_named(tmp_path):
    text = "track_id,uri,t\n,a,\n2,http://x,\n3,c,calm\n4,d\n5,e,\n5,f,\n"
    result = imported(tmp_path, text, tags=["t"])
    assert list(result.rows) == ["3", "5"] and result.read == 6
    assert [p.row for p in result.lost.kept] == [1, 2, 4, 6]
    assert [(p.row, p.column) for p in result.values_left_out.kept] == [(3, "t")]
    assert "has two uris: 'e' in an earlier row" in result.lost.kept[-1].message


def test_weights_out_of_range_are_named(tmp_path):
    result = imported(tmp_path, "track_id,uri,a\n1,x,7\n2,y,yes\n", wide=[("tag", ["a"])])
    assert [p.message for p in result.values_left_out.kept] == [
        "weight '7' of tag 'tag/a': give a number from 0 to 1",
        "'yes' for tag 'tag/a': give 0, 1 or a weight in between",
    ]


def test_the_taxonomy_holds_what_was_found(tmp_path):
    text = "track_id,uri,style,voice\n1,a,Rock|Folk,yes\n2,b,Rock,no\n"
    result = imported(tmp_path, text, lists=[("genre", "style"), ("voice", "voice")], kinds={"voice": "multiclass"})
    taxonomy = result.taxonomy()
    assert taxonomy.tag_ids == ("genre/folk", "genre/rock", "voice/no", "voice/yes")
    assert [c.kind for c in taxonomy.categories] == ["multilabel", "multiclass"]


@pytest.mark.parametrize(
    ("text", "layout", "message"),
    [
        ("", {}, "the file is empty"),
        ("a,b\n", {}, "no column 'track_id': the columns are a, b"),
        ("track_id,uri\n", {"lists": [("genre", "style")]}, "no column 'style'"),
        ("track_id,uri\n", {"wide": [("genre", ["x"])]}, "no column 'x'"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, text, layout, message):
    with pytest.raises(ValueError, match=message):
        imported(tmp_path, text, **layout)


def test_no_tags_no_taxonomy(tmp_path):
    with pytest.raises(ValueError, match="no track carries a tag"):
        imported(tmp_path, "track_id,uri\n1,a\n").taxonomy()


def test_pairs_need_both_sides():
    assert parse_pairs(["a=b=c"], "--x") == [("a", "b=c")]
    with pytest.raises(ValueError, match="--x=a: write CATEGORY=COLUMN"):
        parse_pairs(["a"], "--x")


def test_columns_may_be_joined_and_read_twice(tmp_path):
    renamed = {"track_id": "{album}-{track}", "uri": "url", "album_id": "album"}
    text = "album,track,url\na, 1,https://h/m/a/1.mp3\n"
    (row,) = imported(tmp_path, text, renamed=renamed, uri_bases=["https://h/", "https://h/m"]).rows.values()
    assert (row["track_id"], row["uri"], row["album_id"]) == ("a-1", "a/1.mp3", "a")
    assert row["track"] == 1 and "album" not in row


def test_a_track_in_several_rows_is_one_track(tmp_path):
    result = imported(tmp_path, "track_id,uri,style\n1,a,Rock\n1,a,Pop\n", lists=[("genre", "style")])
    assert set(result.rows["1"]["tags"]) == {"genre/rock", "genre/pop"} and result.joined == 1


def test_columns_in_braces_must_exist(tmp_path):
    with pytest.raises(ValueError, match="no column 'disc': the columns are id, uri"):
        imported(tmp_path, "id,uri\n1,a\n", renamed={"track_id": "{id}-{disc}", "uri": "uri"})


def test_a_column_named_tags_is_read_or_its_faults_are_named(tmp_path):
    result = imported(tmp_path, "track_id,uri,tags\n1,a,mood/calm|rock\n")
    assert tags(result) == {"1": {"mood/calm": None}}
    assert [(p.column, p.message) for p in result.values_left_out.kept] == [
        ("tags", "tag 'rock': write category/slug, e.g. mood/calm")
    ]
    result = imported(tmp_path, "track_id,uri,tags\n1,a,Rock|Pop\n", lists=[("genre", "tags")])
    assert tags(result) == {"1": {"genre/rock": None, "genre/pop": None}}


def test_names_without_letters_are_left_out_and_named(tmp_path):
    result = imported(tmp_path, "track_id,uri,style\n1,a,Rock|???\n", lists=[("genre", "style")])
    assert tags(result) == {"1": {"genre/rock": None}} and result.values_left_out.counts == {"style": 1}


def test_two_columns_of_one_tag_give_the_larger_weight(tmp_path):
    result = imported(tmp_path, "track_id,uri,Hip Hop,hip-hop\n1,a,1,0\n", wide=[("genre", ["*"])])
    assert tags(result) == {"1": {"genre/hip_hop": None}}


def test_repeated_columns_and_wrong_categories_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"columns \['title'\] are repeated in the header"):
        imported(tmp_path, "track_id,uri,title,title\n1,a,b,c\n")
    with pytest.raises(ValueError, match="write category/slug"):
        imported(tmp_path, "track_id,uri,style\n1,a,b\n", lists=[("a/b", "style")])


def test_a_text_that_is_not_utf_8_costs_the_value(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"track_id,uri,title\n1,a,caf\xe9\n2,b,\xc3\xa9\n")
    result = import_csv(str(tmp_path / "t.csv"), CsvLayout(renamed=SAME))
    assert [row["title"] for row in result.rows.values()] == [None, "é"]
    assert result.values_left_out.counts == {"title": 1} and result.lost.count == 0
