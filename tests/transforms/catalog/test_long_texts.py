"""Limits of values and of text catalogs: each names the row and what to do, and batches stay small."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.catalog.limits import BATCH_BYTES, ID_CHARS, MOST_COLUMNS, MOST_TAGS, ROW_BYTES, TEXT_CHARS, URI_CHARS
from transforms.catalog.problems import CatalogError, Problem
from transforms.catalog.reader import count_rows, list_shards, read_shard

FINE = {"track_id": "1", "uri": "a"}


def write(folder: Path, kind: str, rows: list[dict[str, object]]) -> str:
    """The same rows in each format; all of them have the columns of the first."""
    path = folder / f"c.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "csv":
        lines = [",".join(rows[0]), *(",".join(f'"{row.get(name, "")}"' for name in rows[0]) for row in rows)]
        path.write_text("\n".join(lines))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def read(url: str) -> tuple[list[pa.RecordBatch], list[Problem]]:
    batches, problems = [], []
    for shard in list_shards(url):
        for batch, found in read_shard(shard):
            batches.append(batch)
            problems += found
    return batches, problems


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize(
    ("name", "most"),
    [("track_id", ID_CHARS), ("artist_id", ID_CHARS), ("uri", URI_CHARS), ("title", TEXT_CHARS), ("tags", 256)],
)
def test_a_text_of_the_most_characters_is_read_and_one_more_is_named(
    tmp_path: Path, kind: str, name: str, most: int
) -> None:
    longest = "genre/" + "x" * (most - 6)
    rows = [{**FINE, name: longest}, {"track_id": "2", "uri": "b", name: longest + "x"}]
    batches, problems = read(write(tmp_path, kind, rows))
    assert sum(map(len, batches)) == 1
    assert [(p.row, p.column) for p in problems] == [(2, name)]
    assert f"{most + 1} characters, at most {most} are read" in problems[0].message and len(problems[0].message) < 300


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_too_many_tags_and_too_large_rows_cost_their_row_alone(tmp_path: Path, kind: str) -> None:
    tags = "|".join(f"genre/{i}" for i in range(MOST_TAGS + 1))
    rows = [{**FINE, "tags": tags, "note": ""}, {**FINE, "tags": "", "note": "x" * (ROW_BYTES + 1)}, {**FINE}]
    batches, problems = read(write(tmp_path, kind, rows))
    assert [(p.row, p.column) for p in problems] == [(1, "tags"), (2, None)]
    assert f"at most {MOST_TAGS}" in problems[0].message and f"at most {ROW_BYTES}" in problems[1].message
    assert sum(map(len, batches)) == 1


@pytest.mark.parametrize("length", [5, 9, 4 << 20, 9 << 20])
@pytest.mark.parametrize("mark", ["x", '"', ",", '{"a":'])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_line_without_an_end_is_a_problem_of_its_row(tmp_path: Path, kind: str, mark: str, length: int) -> None:
    path = tmp_path / f"c.{kind}"
    header, row = ("track_id,uri\n", "1,a\n") if kind == "csv" else ("", '{"track_id": "1", "uri": "a"}\n')
    path.write_text(header + row + mark * (length // len(mark)) + "\n")
    try:
        shards = list_shards(str(path))
    except CatalogError as error:
        assert kind == "csv" and len(str(error)) < 1000
        return
    assert count_rows(shards) == 2
    batches, problems = read(str(path))
    assert sum(map(len, batches)) == 1 and [p.row for p in problems] == [2] and len(problems[0].message) < 300


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_too_many_columns_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(CatalogError, match=f"more than {MOST_COLUMNS} keys|at most {MOST_COLUMNS} are read"):
        list_shards(write(tmp_path, kind, [FINE | {f"c{i}": 1 for i in range(5000)}]))
    parts = [tmp_path / "parts" / f"{i}" for i in range(3)]
    for i, part in enumerate(parts):
        part.mkdir(parents=True)
        write(part, kind, [FINE | {f"c{i}-{j}": 1 for j in range(200)}])
    with pytest.raises(CatalogError, match="600 columns with those of earlier files"):
        list_shards(str(tmp_path / "parts"))


def test_deep_values_of_json_are_a_problem_of_their_row(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    deep = [f'{{"track_id": "{n}", "uri": "a", "x": {"[" * n}{"]" * n}}}\n' for n in (3, 31, 32, 900, 100_000)]
    path.write_text("".join(deep))
    batches, problems = read(str(path))
    assert sum(map(len, batches)) == 2 and [p.row for p in problems] == [3, 4, 5]
    assert all("more than 32 levels" in p.message for p in problems)


def test_wide_and_long_rows_come_in_small_batches(tmp_path: Path) -> None:
    wide = [{"track_id": str(i), "uri": "a"} | {f"c{j}": None for j in range(500)} for i in range(900)]
    long = [{"track_id": str(i), "uri": "a", "note": "x" * 50_000} for i in range(300)]
    for rows in (wide, long):
        batches, problems = read(write(tmp_path, "jsonl", rows))
        assert not problems and sum(map(len, batches)) == len(rows)
        assert len(batches) > 3 and all(batch.nbytes < BATCH_BYTES for batch in batches)
