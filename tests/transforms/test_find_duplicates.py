"""Tracks of the same bytes, across buckets."""

import pyarrow as pa

from transforms.find_duplicates import duplicates


def _pairs(*rows: tuple[str, str, int]) -> list[tuple[str, str, int]]:
    names = ("track_id", "source_sha256", "bucket")
    table = pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})
    found = duplicates(table).to_pylist()
    return sorted((row["track_id"], row["duplicate_of"], row["bucket"]) for row in found)


def test_the_smallest_id_is_the_first_and_keeps_its_peace() -> None:
    assert _pairs(("c", "x", 0), ("a", "x", 1), ("b", "x", 0), ("d", "y", 0)) == [("b", "a", 0), ("c", "a", 0)]


def test_no_duplicates_no_rows() -> None:
    assert _pairs(("a", "x", 0), ("b", "y", 0)) == []
