"""Tables of sources: every row has one outcome, in each format."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.fusion import TAXONOMY, policy
from transforms.catalog.problems import CatalogError
from transforms.fusion.source_files import STATEMENTS, list_source, read_statements
from transforms.fusion.tally import RowTally, add_tallies

RULES = policy(x={"mode": "blend", "categories": {"live": {"mode": "ignore"}}})


def read(url: Path | str) -> tuple[list[dict], RowTally]:
    found = [part for shard in list_source("x", str(url)) for part in read_statements(shard, RULES, TAXONOMY)]
    rows = pa.concat_tables([STATEMENTS.empty_table(), *(rows for rows, _ in found)])
    return rows.to_pylist(), add_tallies(tally for _, tally in found)


def counts(tally: RowTally) -> dict[str, int]:
    return {name: n for name, n in tally.of_source("x").items() if name != "examples" and n}


CELLS = [
    ("a", "mood/happy", "0.75", None),
    ("a", "mood/peaceful", "", None),
    ("b", "mood---sad", "1", None),
    ("b", "mood/none", "1", "unknown_tag"),
    ("b", "live/live", "1", "ignored"),
    ("b", "happy", "1", "invalid"),
    ("", "mood/happy", "1", "invalid"),
    ("  ", "mood/happy", "1", "invalid"),
    ("b", "", "1", "invalid"),
    ("b", "mood/happy", "1.01", "invalid"),
    ("b", "mood/happy", "-0.1", "invalid"),
    ("b", "mood/happy", "nan", "invalid"),
    ("b", "mood/happy", "inf", "invalid"),
    ("b", "mood/happy", "much", "invalid"),
    ("x" * 2000, "mood/happy", "1", "invalid"),
]
GOOD = [("a", "mood/happy", 0.75), ("a", "mood/calm", 1), ("b", "mood/sad", 1)]
LOST = {"unknown_tag": 1, "ignored": 1, "invalid": 10}


@pytest.mark.parametrize("numbers", [False, True], ids=["texts", "with-text-weights"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_rows_of_every_format(tmp_path: Path, kind: str, numbers: bool) -> None:
    """Without the weight that is no number, columns are read in one piece; with it, one by one."""
    cells = [row for row in CELLS if numbers or row[2] != "much"]
    url = tmp_path / f"source.{kind}"
    names = ["track_id", "further", "tag", "weight"]
    if kind in ("csv", "tsv"):
        separator = "," if kind == "csv" else "\t"
        lines = [separator.join(names), *(separator.join((row[0], "?", *row[1:3])) for row in cells)]
        url.write_text("\n".join(lines) + "\n")
    elif kind == "jsonl":
        rows = [{"track_id": k, "tag": t, "weight": None if w == "" else w} for k, t, w, _ in cells]
        url.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        columns = list(zip(*cells, strict=True))
        weights = [None if w == "" else w for w in columns[2]]
        values = pa.array(weights) if numbers else pa.array([None if w is None else float(w) for w in weights])
        pq.write_table(pa.table({"track_id": columns[0], "tag": columns[1], "weight": values}), url)
    rows, tally = read(url)
    assert [(row["key"], row["tag"], row["weight"]) for row in rows] == GOOD
    assert counts(tally) == {**LOST, "invalid": 9 + numbers, "rows": len(cells) - len(GOOD)}
    examples = tally.of_source("x")["examples"]
    assert any("mood/none" in text and "source." in text for text in examples["unknown_tag"])
    assert len(examples["invalid"]) == 5, "of many, the first are kept"


def test_weights_are_1_without_the_column_and_whole_numbers_are_ids(tmp_path: Path) -> None:
    pq.write_table(pa.table({"artist_id": [7, 8, None], "tag": ["mood/sad"] * 3}), tmp_path / "s.parquet")
    rows, tally = read(tmp_path / "s.parquet")
    assert [(row["key"], row["weight"]) for row in rows] == [("7", 1), ("8", 1)]
    assert counts(tally) == {"rows": 1, "invalid": 1}
    assert [shard.key for shard in list_source("x", str(tmp_path / "s.parquet"))] == ["artist_id"]


@pytest.mark.parametrize("weight", [pa.array([True]), pa.array([{"a": 1}])], ids=["bool", "struct"])
def test_weights_of_other_types_are_invalid(tmp_path: Path, weight: pa.Array) -> None:
    pq.write_table(pa.table({"track_id": ["a"], "tag": ["mood/sad"], "weight": weight}), tmp_path / "s.parquet")
    assert counts(read(tmp_path / "s.parquet")[1]) == {"rows": 1, "invalid": 1}


def test_broken_lines_of_a_csv_are_counted(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes(b"track_id,tag\na,mood/sad\nb,mood/sad,1,2\nc\n\xff,mood/sad\nd,mood/sad\n")
    rows, tally = read(tmp_path / "s.csv")
    assert [row["key"] for row in rows] == ["a", "d"] and counts(tally) == {"rows": 3, "invalid": 3}


def test_a_folder_and_row_groups_are_shards(tmp_path: Path) -> None:
    for place in range(2):
        ids = [f"{place}-{i}" for i in range(5)]
        pq.write_table(
            pa.table({"track_id": ids, "tag": ["mood/sad"] * 5}), tmp_path / f"{place}.parquet", row_group_size=2
        )
    assert len(list_source("x", str(tmp_path))) == 6
    rows, tally = read(tmp_path)
    assert len({row["key"] for row in rows}) == 10 and counts(tally) == {}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"s.csv": "track_id,mood\na,1\n"},
            "a source needs a column `tag`, and one of track_id, artist_id or album_id",
        ),
        ({"s.csv": "artist_id,album_id,tag\na,b,mood/sad\n"}, "a source needs a column `tag`, and one of"),
        ({"s.csv": ""}, "the file is empty"),
        ({}, "no catalog file here"),
        (
            {"a.csv": "track_id,tag\n", "b.csv": "artist_id,tag\n"},
            "different keys (artist_id, track_id): give two sources",
        ),
    ],
)
def test_tables_that_are_no_source(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(CatalogError) as raised:
        list_source("x", str(tmp_path))
    assert message in str(raised.value)


def test_a_file_that_changed_is_refused(tmp_path: Path) -> None:
    url = tmp_path / "s.csv"
    url.write_text("track_id,tag\na,mood/sad\n")
    shards = list_source("x", str(url))
    url.write_text("track_id,tag\na,mood/sad\nb,mood/sad\n")
    with pytest.raises(CatalogError, match="2 rows were read, but 1 were counted at first"):
        list(read_statements(shards[0], RULES, TAXONOMY))
