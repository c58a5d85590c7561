"""Rows that are read by ranges: the same as the mapped ones, with few requests and bounded memory."""

from pathlib import Path

import numpy as np
import pytest

from transforms import storage
from transforms.discovery.index import rows
from transforms.discovery.index.rows import BLOCK_ROWS, RangedRows, local_rows


@pytest.fixture
def url(tmp_path: Path) -> str:
    values = np.random.default_rng(0).normal(size=(20 * BLOCK_ROWS + 7, 5)).astype(np.float16)
    (tmp_path / "0-000000.vectors").write_bytes(values.tobytes())
    return str(tmp_path / "0-000000.vectors")


def test_ranges_and_mapped_files_have_the_same_rows(url: str) -> None:
    mapped = local_rows(url, 5)
    ranged = RangedRows(url, len(mapped), 5)
    places = np.random.default_rng(1).integers(0, len(mapped), 300)
    assert len(ranged) == len(mapped) == 20 * BLOCK_ROWS + 7
    for own in (places, places[:0], np.array([len(mapped) - 1, 0]), slice(100, 900), slice(5_000, 6_000), slice(None)):
        assert np.array_equal(ranged[own], mapped[own])


def test_blocks_in_a_row_are_one_request_and_stay(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, read = [], storage.read_range
    monkeypatch.setattr(storage, "read_range", lambda *given: asked.append(given[1:]) or read(*given))
    ranged, width = RangedRows(url, 20 * BLOCK_ROWS + 7, 5), 10
    _ = ranged[np.array([0, BLOCK_ROWS, 3 * BLOCK_ROWS])]
    assert asked == [(0, 2 * BLOCK_ROWS * width), (3 * BLOCK_ROWS * width, 4 * BLOCK_ROWS * width)]
    _ = ranged[np.array([1, 3 * BLOCK_ROWS + 4])]
    assert len(asked) == 2
    monkeypatch.setattr(rows, "_KEPT_BLOCKS", 2)
    _ = ranged[np.array([4 * BLOCK_ROWS])]
    _ = ranged[np.array([3 * BLOCK_ROWS])]
    assert len(asked) == 3
    _ = ranged[np.array([1])]
    assert len(asked) == 4


def test_a_file_that_is_too_short_is_named(url: str) -> None:
    with pytest.raises(storage.Unavailable, match=r"0-000000\.vectors: 70 bytes came instead of"):
        RangedRows(url, 21 * BLOCK_ROWS, 5)[np.array([20 * BLOCK_ROWS])]
