"""Folders of catalog files: none is passed over in silence because it is compressed or was not copied to the end."""

import gzip
from pathlib import Path

import pytest

from transforms.catalog.files import CATALOG_SUFFIXES, find_files
from transforms.catalog.problems import CatalogError

PACKED = ("gz", "bz2", "xz", "zst", "lz4", "zip", "7z", "GZ", "snappy")
UNFINISHED = ("part", "partial", "tmp", "crdownload", "filepart")


@pytest.mark.parametrize("suffix", CATALOG_SUFFIXES)
@pytest.mark.parametrize("ending", [*PACKED, *UNFINISHED])
def test_a_file_that_would_be_passed_over_is_named(tmp_path: Path, suffix: str, ending: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"track_id": "a", "uri": "a.wav"}\n')
    (tmp_path / f"b{suffix}.{ending}").write_bytes(gzip.compress(b"x"))
    said = "unpack it" if ending in PACKED else "is not finished"
    for url in (str(tmp_path), f"{tmp_path}/*", str(tmp_path / f"b{suffix}.{ending}")):
        with pytest.raises(CatalogError, match=said) as refused:
            find_files(url)
        assert [problem.file for problem in refused.value.problems] == [str(tmp_path / f"b{suffix}.{ending}")]
    assert find_files(f"{tmp_path}/*.jsonl") == [(str(tmp_path / "a.jsonl"), "jsonl")]


@pytest.mark.parametrize(
    "name", ["_SUCCESS", "README.md", "b.csv.md5", ".b.parquet.tmp", "_b.csv.gz", "cover.zip", "x.tmp"]
)
def test_other_files_are_still_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text("track_id,uri\na,a.wav\n")
    (tmp_path / name).write_text("x")
    assert find_files(str(tmp_path)) == [(str(tmp_path / "a.csv"), "csv")]
