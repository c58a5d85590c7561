"""Small files that decode to gigabytes: refused in one line, in a process that has no gigabyte."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.bounded import run_bounded

IMPORTS = "import json\nfrom pathlib import Path\nfrom transforms.catalog.problems import CatalogError\n"
IMPORTS += "from transforms.catalog.reader import list_shards, read_shard"
READ = """
found = {}
for path in sys.argv[1:]:
    rows, largest, problems = 0, 0, []
    try:
        for shard in list_shards(path):
            for batch, faults in read_shard(shard):
                rows, largest = rows + len(batch), max(largest, batch.nbytes)
                problems += map(str, faults[:3])
    except CatalogError as error:
        problems += map(str, error.problems)
    found[Path(path).name] = [rows, largest, problems[:5], max(map(len, problems), default=0)]
print(json.dumps(found))
"""
MEGABYTES = 600
"""Memory beyond that of the imported libraries."""


def read_all(paths: list[Path]) -> dict[str, tuple[int, int, list[str], int]]:
    """Rows, bytes of the largest batch, first problems and length of the longest problem of each catalog."""
    found: dict[str, tuple[int, int, list[str], int]] = json.loads(
        run_bounded(READ, *map(str, paths), megabytes=MEGABYTES, imports=IMPORTS)
    )
    return found


def entries(size: int, count: int, rows: int) -> pa.DictionaryArray:
    """Texts that repeat `count` long entries."""
    texts = pa.array([f"{i:06d}" + "x" * (size - 6) for i in range(count)])
    return pa.DictionaryArray.from_arrays(pa.array([i % count for i in range(rows)], pa.int32()), texts)


def catalog(path: Path, rows: int, columns: dict[str, pa.Array], **options: object) -> Path:
    ids = pa.array([f"track-{i}" for i in range(rows)])
    options = {"compression": "zstd", "dictionary_pagesize_limit": 1 << 28, **options}
    pq.write_table(pa.table({"track_id": ids, "uri": ids, **columns}), path, **options)
    return path


def deep_schema(path: Path, levels: int) -> Path:
    """A footer with one column below so many groups, and no rows."""
    group, leaf = b"\x35\x00\x18\x01g\x15\x02\x00", b"\x15\x02\x25\x00\x18\x01x\x00"
    elements = [b"\x48\x01s\x15\x02\x00", *[group] * levels, leaf]
    count, number = len(elements), b""
    while count > 127:
        number, count = number + bytes([count & 127 | 128]), count >> 7
    listed = b"\xfc" + number + bytes([count]) + b"".join(elements)
    footer = b"\x15\x02\x19" + listed + b"\x16\x00\x19\x0c\x00"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int, list[str], int]]:
    folder = tmp_path_factory.mktemp("large")
    plain = {"use_dictionary": False}
    many_tags = pa.array([["mood/calm"], ["mood/calm"] * 400_000, ["mood/calm"]])
    few = entries(1 << 20, 16, 3000)
    paths = [
        catalog(folder / "title.parquet", 1, {"title": pa.array(["x" * (150 << 20)])}, **plain),
        catalog(folder / "entries.parquet", 3000, {"title": few}),
        catalog(folder / "further.parquet", 3000, {"note": entries(1 << 21, 8, 3000)}),
        catalog(folder / "nested.parquet", 3, {"tags": many_tags}),
        catalog(folder / "long.parquet", 10_000, {"title": entries(60_000, 16, 10_000)}),
        catalog(
            folder / "prefix.parquet",
            1000,
            {"title": pa.array(["y" * 60_000] * 1000)},
            use_dictionary=False,
            column_encoding={"title": "DELTA_BYTE_ARRAY"},
        ),
        catalog(folder / "wide.parquet", 1, {f"c{i}": pa.array([1]) for i in range(1000)}),
        catalog(folder / "names.parquet", 1, {"n" * 100_000: pa.array([1])}),
        deep_schema(folder / "deep.parquet", 9000),
        folder / "rows.parquet",
        catalog(folder / "fine.parquet", 3, {"title": pa.array(["a", "b", "c"])}),
    ]
    same = pa.DictionaryArray.from_arrays(pa.array([0] * 2_000_000, pa.int32()), pa.array(["a"]))
    pq.write_table(pa.table({"track_id": same, "uri": same}), folder / "rows.parquet", compression="zstd")
    return read_all(paths)


def test_an_ordinary_catalog_is_read_under_the_same_limit(parquet) -> None:
    assert parquet["fine.parquet"][0] == 3 and parquet["fine.parquet"][2] == []


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [
        ("title", 0, "column title: a page of 157286"),
        ("entries", 0, "row 1: the row has 1048"),
        ("further", 0, "row 1: the row has 2097"),
        ("nested", 2, "row 2: the row has "),
        ("long", None, "bytes decode to more than"),
        ("wide", 0, "1002 columns, at most 512 are read"),
        ("names", 0, "has a name of 100000 characters, at most 1024"),
        ("deep", 0, "columns nested in more than 32 levels"),
        ("rows", 0, "2000000 rows in "),
    ],
)
def test_small_parquet_files_that_would_fill_the_memory(parquet, name: str, rows: int | None, words: str) -> None:
    found, largest, problems, longest = parquet[f"{name}.parquet"]
    assert rows in (None, found) and largest < 20 << 20
    assert words in problems[0] and f"{name}.parquet" in problems[0]
    assert longest < 1000


def test_long_values_that_are_allowed_come_in_small_batches(parquet) -> None:
    rows, largest, problems, _ = parquet["prefix.parquet"]
    assert (rows, problems) == (1000, []) and largest < 20 << 20
