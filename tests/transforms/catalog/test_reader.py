"""Catalogs of every format: same rows out, every fault named with its row."""

import json
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms import storage
from transforms.catalog.problems import CatalogError
from transforms.catalog.reader import count_rows, default_root, list_shards, read_shard, repeated_ids
from transforms.schemas.catalog import CATALOG, FILE, ROW

ROWS = [
    {"track_id": "007", "uri": "a b.mp3", "artist_id": "x", "year": "1999", "tags": "mood/calm:0.5|genre---rock"},
    {"track_id": "8", "uri": "gs://bucket/é.mp3", "artist_id": "", "year": "", "tags": ""},
]


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def csv_text(rows, end="\n"):
    return end.join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + end


def read(url, **options):
    """All good rows as one table, and all problems."""
    shards = list_shards(url)
    batches, problems = [], []
    for shard in shards:
        for batch, found in read_shard(shard, **options):
            batches.append(batch)
            problems += found
    return pa.Table.from_batches(batches, shards[0].schema) if shards else None, problems


def messages(url, **options):
    return [(p.row, p.column, p.message) for p in read(url, **options)[1]]


def values(url, name):
    table, problems = read(url)
    assert problems == []
    return table.column(name).to_pylist()


def parquet(tmp_path, columns, name="c.parquet", **options):
    path = str(tmp_path / name)
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, **options)
    return path


def test_csv_keeps_leading_zeros_and_reads_weights(tmp_path):
    table, problems = read(write(tmp_path, "c.csv", csv_text(ROWS)))
    assert problems == []
    assert table.column("track_id").to_pylist() == ["007", "8"]
    assert table.column("year").to_pylist() == [1999, None]
    assert table.column("artist_id").to_pylist() == ["x", None]
    assert table.column("tags").to_pylist() == [
        [{"tag": "genre/rock", "weight": None}, {"tag": "mood/calm", "weight": 0.5}],
        None,
    ]


def test_the_three_formats_give_the_same_rows(tmp_path):
    objects = [
        {**ROWS[0], "year": 1999, "tags": [{"tag": "mood/calm", "weight": 0.5}, "genre/rock"]},
        {"track_id": 8, "uri": ROWS[1]["uri"]},
    ]
    lists = [[{"tag": "genre/rock", "weight": None}, {"tag": "mood/calm", "weight": 0.5}], None]
    columns = {"track_id": ["007", "8"], "uri": [r["uri"] for r in ROWS], "artist_id": ["x", None], "tags": lists}
    urls = [
        write(tmp_path, "c.csv", csv_text(ROWS)),
        write(tmp_path, "c.jsonl", "\n".join(map(json.dumps, objects))),
        parquet(tmp_path, {**columns, "year": pa.array([1999.0, float("nan")])}),
    ]
    first, *others = [read(url)[0].select([*CATALOG.names, ROW]) for url in urls]
    assert all(other.equals(first) for other in others)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_marks_and_line_ends_of_csv(tmp_path, end, mark):
    assert values(write(tmp_path, "c.csv", mark + csv_text(ROWS, end).encode()), "track_id") == ["007", "8"]


def test_byte_order_mark_of_json_lines(tmp_path):
    assert values(write(tmp_path, "c.jsonl", b'\xef\xbb\xbf{"track_id": "1", "uri": "a"}\r\n'), "track_id") == ["1"]


def test_quoted_fields_hold_newlines_commas_and_quotes(tmp_path):
    url = write(tmp_path, "c.csv", 'track_id,uri,title\n1,a.mp3,"two\nlines, ""quoted"""\n2,b.mp3,x,y\n')
    table, problems = read(url)
    assert table.column("title").to_pylist() == ['two\nlines, "quoted"']
    assert [(p.row, p.line) for p in problems] == [(2, 4)]


def test_tab_separated_catalogs(tmp_path):
    assert values(write(tmp_path, "c.tsv", "track_id\turi\n1\ta,b.mp3\n"), "uri") == ["a,b.mp3"]


@pytest.mark.parametrize("name", ["c.csv", "c.jsonl", "c.parquet"])
def test_a_catalog_without_rows_gives_no_rows(tmp_path, name):
    if name == "c.parquet":
        url = parquet(tmp_path, {"track_id": pa.array([], pa.string()), "uri": pa.array([], pa.string())})
    else:
        url = write(tmp_path, name, "track_id,uri\n" if name == "c.csv" else "")
    shards = list_shards(url)
    assert count_rows(shards) == sum(len(batch) for shard in shards for batch, _ in read_shard(shard)) == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.csv", "", "the file is empty"),
        ("c.parquet", "", "Parquet"),
        ("c.csv", "track_id,path\n", "no such column: the columns are track_id, path"),
        ("c.csv", "TRACK_ID,uri\n", "rename column 'TRACK_ID'"),
        ("c.csv", "track_id,uri,uri\n", "['uri'] are repeated"),
        ("c.csv", "track_id,uri,\n", "column 3 has no name"),
        ("c.csv", "track_id,uri,_row\n", "this name is taken"),
        ("c.csv", "track_id,uri,_said\n", "this name is taken"),
    ],
)
def test_files_that_cannot_be_a_catalog(tmp_path, name, content, message):
    url = write(tmp_path, name, content)
    with pytest.raises(CatalogError) as caught:
        list_shards(url)
    assert message in str(caught.value) and url in str(caught.value)


def test_parquet_columns_of_impossible_types_are_all_named(tmp_path):
    columns = {"track_id": pa.array([[1]]), "uri": pa.array([True]), "year": pa.array([{"a": 1}]), "tags": [1]}
    with pytest.raises(CatalogError) as caught:
        list_shards(parquet(tmp_path, columns))
    assert [p.column for p in caught.value.problems] == ["track_id", "uri", "year", "tags"]


def test_missing_catalogs_are_named(tmp_path):
    for url in (str(tmp_path / "none.csv"), str(tmp_path / "none"), str(tmp_path / "*.csv")):
        with pytest.raises(CatalogError, match=r"no such file|no catalog file here"):
            list_shards(url)


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        ({"track_id": ""}, "track_id", "empty track_id"),
        ({"track_id": "  "}, "track_id", "empty track_id"),
        ({"uri": ""}, "uri", "empty uri"),
        ({"uri": "https://x.org/a.mp3"}, "uri", "not read over https: copy it"),
        ({"uri": "s3://b/a.mp3"}, "uri", "unknown scheme 's3'"),
        ({"uri": "file:///a.mp3"}, "uri", "write the plain path"),
        ({"uri": "gs://bucket"}, "uri", "names no object"),
        ({"uri": "a\x00.mp3"}, "uri", "contains a NUL character"),
        ({"year": "19x9"}, "year", "'19x9' is not a year"),
        ({"year": "0"}, "year", "leave it empty"),
        ({"tags": "calm"}, "tags", "write category/slug"),
        ({"tags": "mood/calm:1.5"}, "tags", "weight '1.5' of tag 'mood/calm'"),
        ({"tags": "mood/calm:nan"}, "tags", "give a number from 0 to 1"),
        ({"tags": "mood/calm:0.1|mood/calm:0.2"}, "tags", "two weights"),
    ],
)
def test_a_bad_row_is_left_out_and_named(tmp_path, row, column, message):
    url = write(tmp_path, "c.csv", csv_text([ROWS[1], {**ROWS[0], **row}, {**ROWS[1], "track_id": "9"}]))
    table, problems = read(url)
    assert table.column("track_id").to_pylist() == ["8", "9"]
    assert [(p.file, p.row, p.line, p.column) for p in problems] == [(url, 2, 3, column)]
    assert message in problems[0].message


def test_every_problem_of_a_row_is_reported(tmp_path):
    bad = {"track_id": "", "uri": "http://x/y", "artist_id": "", "year": "soon", "tags": "calm|mood/a:2|mood/b"}
    found = messages(write(tmp_path, "c.csv", csv_text([bad])))
    assert [column for _, column, _ in found] == ["track_id", "uri", "year", "tags", "tags"]


@pytest.mark.parametrize(
    "uri", ["a/../b.mp3", "../a.mp3", "/abs/a.mp3", "./a.mp3", "-a.mp3", "a\nb.mp3", "gs://b/../x", "AC:/x.mp3"]
)
def test_uris_that_are_fine(tmp_path, uri):
    assert values(parquet(tmp_path, {"track_id": ["1"], "uri": [uri]}), "uri") == [uri]


def test_local_paths_do_not_fit_a_remote_root(tmp_path):
    (shard,) = list_shards(parquet(tmp_path, {"track_id": ["1", "2"], "uri": ["/a.mp3", "b.mp3"]}), "gs://bucket/audio")
    ((batch, problems),) = read_shard(shard)
    assert len(batch) == len(problems) == 1 and "gs:// catalog root" in problems[0].message


def test_any_well_formed_tag_is_read_without_a_taxonomy(tmp_path):
    assert messages(write(tmp_path, "c.csv", csv_text(ROWS))) == []


def test_json_values_of_wrong_types_are_named(tmp_path):
    lines = ['{"track_id": true, "uri": ["a"], "year": "x", "tags": 3}', "[1]", "{", '{"track_id": 1.0, "uri": "a"}']
    found = messages(write(tmp_path, "c.jsonl", "\n".join(lines)))
    assert [(row, column) for row, column, _ in found] == [
        (1, "track_id"),
        (1, "uri"),
        (1, "year"),
        (1, "tags"),
        (2, None),
        (3, None),
    ]


def test_an_unclosed_quote_costs_its_own_rows_only(tmp_path):
    url = write(tmp_path, "c.csv", 'track_id,uri\n1,a\n2,"b"x\n3,c\n')
    table, problems = read(url)
    assert table.column("track_id").to_pylist() == ["1", "3"]
    assert problems[0].row == 2 and "broken CSV" in problems[0].message


def test_text_that_is_not_utf8_is_named(tmp_path):
    url = write(tmp_path, "c.csv", b"track_id,uri,title,note\n1,a,\xff,x\n2,b,x,\xfe\n3,c,x,x\n")
    assert [(row, column) for row, column, _ in messages(url)] == [(1, "title"), (2, "note")]
    broken = pa.array([b"\xff", b"fine"]).view(pa.binary()).cast(pa.binary()).to_pylist()
    raw = pa.Array.from_buffers(pa.string(), 2, pa.array(broken, pa.binary()).buffers())
    url = parquet(tmp_path, {"track_id": ["1", "2"], "uri": ["a", "b"], "title": raw, "note": raw})
    assert [(row, column) for row, column, _ in messages(url)] == [(1, "title"), (1, "note")]


def test_further_columns_keep_one_type_in_all_shards(tmp_path):
    parquet(tmp_path, {"track_id": ["1", "2"], "uri": ["a", "b"], "bpm": [100, 120]}, "a.parquet", row_group_size=1)
    parquet(tmp_path, {"track_id": ["3"], "uri": ["c"], "bpm": [99.5], "mix": ["C"]}, "b.parquet")
    shards = list_shards(str(tmp_path))
    assert len(shards) == 3
    batches = [batch for shard in shards for batch, _ in read_shard(shard)]
    assert all(batch.schema.equals(shards[0].schema, check_metadata=True) for batch in batches)
    table = pa.Table.from_batches(batches)
    assert table.column("bpm").to_pylist() == [100.0, 120.0, 99.5]
    assert table.column("mix").to_pylist() == [None, None, "C"]


def test_json_keys_may_appear_late(tmp_path):
    lines = [f'{{"track_id": "{i}", "uri": "a"}}' for i in range(50)] + ['{"track_id": "x", "uri": "a", "late": [1]}']
    assert values(write(tmp_path, "c.jsonl", "\n".join(lines)), "late")[-1] == "[1]"


def test_not_a_number_is_null(tmp_path):
    url = parquet(tmp_path, {"track_id": ["1", "2"], "uri": ["a", "b"], "bpm": [1.5, float("nan")]})
    assert values(url, "bpm") == [1.5, None]
    assert values(write(tmp_path, "c.jsonl", '{"track_id": "1", "uri": "a", "year": NaN}'), "year") == [None]


def test_columns_that_tables_have_of_their_own_are_renamed(tmp_path):
    url = write(tmp_path, "c.csv", "track_id,uri,duration_s,Title,file\n1,a,3,x,y\n")
    names = list_shards(url)[0].schema.names
    assert set(names) - set(CATALOG.names) == {"catalog_duration_s", "catalog_Title", "file", FILE, ROW}
    assert values(url, "catalog_Title") == ["x"]


def test_types_that_no_column_can_hold_together(tmp_path):
    parquet(tmp_path, {"track_id": ["1"], "uri": ["a"], "x": [[1]]}, "a.parquet")
    parquet(tmp_path, {"track_id": ["2"], "uri": ["b"], "x": ["y"]}, "b.parquet")
    with pytest.raises(CatalogError, match="cast one"):
        list_shards(str(tmp_path))


def test_parquet_rows_are_numbered_over_row_groups(tmp_path):
    url = parquet(tmp_path, {"track_id": list("abcde"), "uri": list("vwxyz")}, row_group_size=2)
    assert values(url, ROW) == [1, 2, 3, 4, 5]
    assert count_rows(list_shards(url)) == 5


def test_dictionary_columns_and_integer_ids(tmp_path):
    uris = pa.array(["a", "a"]).dictionary_encode()
    url = parquet(tmp_path, {"track_id": [10, 11], "uri": uris, "style": uris})
    assert values(url, "track_id") == ["10", "11"]
    assert values(url, "style") == ["a", "a"]


def test_lists_of_one_length_become_lists(tmp_path):
    """A file without the column makes nulls, which a list of one length cannot hold in Parquet."""
    pairs = pa.array([[1, 2]], pa.list_(pa.int32(), 2))
    parquet(tmp_path, {"track_id": ["1"], "uri": ["a"], "pair": pairs}, "a.parquet")
    parquet(tmp_path, {"track_id": ["2"], "uri": ["b"]}, "b.parquet")
    assert values(str(tmp_path), "pair") == [[1, 2], None]
    assert list_shards(str(tmp_path))[0].schema.field("pair").type == pa.list_(pa.int32())


def test_small_batches_give_the_same_rows(tmp_path):
    url = write(tmp_path, "c.csv", csv_text([{**ROWS[0], "track_id": str(i)} for i in range(10)]))
    assert read(url, batch_rows=3)[0].equals(read(url)[0])


def test_folders_and_globs(tmp_path):
    for name in ("a.csv", "sub/b.csv", "_c.csv", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path, name, f"track_id,uri\n{name[0]},x\n")
    assert values(str(tmp_path), "track_id") == ["a", "s"]
    assert values(str(tmp_path / "*.csv"), "track_id") == ["a"]
    assert values(str(tmp_path / "**" / "*.csv"), "track_id") == ["a", "s"]
    assert values(str(tmp_path / "[ab].csv"), "track_id") == ["a"]


def test_links_among_the_files_of_a_folder_stay_in_it(tmp_path):
    for name in ("catalog/a.csv", "elsewhere/b.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path, name, f"track_id,uri\n{name[-5]},x\n")
    folder = tmp_path / "catalog"
    (folder / "c.csv").symlink_to("a.csv")
    assert values(str(folder), "track_id") == ["a", "a"]
    (folder / "d.csv").symlink_to("../elsewhere/b.csv")
    (folder / "e.csv").symlink_to("/proc/kmsg")
    for url in (str(folder), str(folder / "*.csv")):
        with pytest.raises(CatalogError, match=r"d\.csv: leads to .*b\.csv, outside of the catalog's folder") as error:
            list_shards(url)
        assert len(error.value.problems) == 2
    assert values(str(folder / "d.csv"), "track_id") == ["b"]


def test_relative_uris_start_from_the_catalogs_folder(tmp_path):
    assert default_root("gs://bucket/music/catalog.csv") == "gs://bucket/music"
    assert default_root("catalog.csv") == "."
    assert default_root("/data/c/*.csv") == "/data/c"
    assert default_root("/data/c") == "/data/c"
    assert storage.join("gs://bucket/music", "a b.mp3") == "gs://bucket/music/a b.mp3"
    assert storage.join("/data", "/abs.mp3") == "/abs.mp3"


def test_shards_travel_to_workers(tmp_path):
    shards = list_shards(write(tmp_path, "c.csv", csv_text(ROWS)))
    assert pickle.loads(pickle.dumps(shards)) == shards


def test_repeated_ids_name_the_first_row(tmp_path):
    url = write(tmp_path, "c.csv", "track_id,uri\n1,a\n01,b\n1,c\n1,d\n")
    found = repeated_ids(read(url)[0])
    assert [(p.row, p.column) for p in found] == [(3, "track_id"), (4, "track_id")]
    assert f"'1' is already used in {url}, row 1" in found[0].message


def test_whole_numbers_beyond_64_bits_are_text(tmp_path):
    lines = [f'{{"track_id": "{i}", "uri": "a", "isrc": {n}}}' for i, n in enumerate((1, 2**70))]
    assert values(write(tmp_path, "c.jsonl", "\n".join(lines)), "isrc") == ["1", str(2**70)]


@pytest.mark.parametrize("name", ["Parts [2024]", "a*b", "what?", "[x]", "{a,b}"])
def test_folders_that_exist_are_taken_literally(tmp_path, name):
    for folder in (tmp_path / name, tmp_path / "Parts 2", tmp_path / "ab", tmp_path / "x"):
        folder.mkdir()
        (folder / "1.csv").write_text(f"track_id,uri\n{folder.name},a.flac\n")
    folder = str(tmp_path / name)
    for url in (folder, f"{folder}/1.csv", f"{folder}/*.csv", f"{tmp_path}/{name}/[1]*"):
        (shard,) = list_shards(url)
        assert shard.file.url == f"{folder}/1.csv" and shard.root == folder


@pytest.mark.parametrize("glob", ["*.csv", "./*.csv", "sub/../*.csv"])
def test_globs_below_the_working_folder(tmp_path, monkeypatch, glob):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "1.csv").write_text("track_id,uri\na,a.flac\n")
    (shard,) = list_shards(glob)
    assert Path(shard.file.url).resolve() == tmp_path / "1.csv" and Path(shard.root).resolve() == tmp_path


@pytest.mark.parametrize("column", ["track_id", "title", "year", "tags"])
@pytest.mark.parametrize("kind", [pa.date64(), pa.timestamp("us", "Europe/Berlin")])
def test_a_date_beyond_the_calendar_in_a_known_column_is_text_or_that_rows_problem(tmp_path, column, kind):
    columns = {"track_id": ["a", "b"], "uri": ["a.mp3", "b.mp3"]}
    count = 2**62 if pa.types.is_timestamp(kind) else 86_400_000 * 10**7
    dates = pa.array([count, None], pa.int64()).cast(kind)
    rows, problems = read(parquet(tmp_path, pa.table(columns | {column: dates})))
    refused = (1, column) in [(problem.row, problem.column) for problem in problems]
    assert refused if column in ("year", "tags") else rows[column][0].as_py()[:4].isdigit()
