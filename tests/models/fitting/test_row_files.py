"""Rows on disk."""

import gc
from pathlib import Path

import numpy as np
import pytest

from models.embedding.pooling import Pooling, pool
from models.fitting.labelled import LabelledRows
from models.fitting.row_files import EMBEDDING_TYPE, LabelledFiles, RowFile
from tests.support.tiny import example


def test_rows_are_those_that_were_appended():
    file = RowFile(3, np.float32)
    file.append(np.arange(6.0).reshape(2, 3))
    file.append([[7, 8, 9]])
    file.append(np.zeros((0, 3)))
    file.append(np.array([1.5, 2.5, 3.5]))
    rows = file.mapped()
    assert rows.dtype == np.float32 and type(rows) is np.ndarray
    np.testing.assert_array_equal(rows, [[0, 1, 2], [3, 4, 5], [7, 8, 9], [1.5, 2.5, 3.5]])
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 0


def test_no_rows_make_an_empty_array():
    assert RowFile(3, np.uint8).mapped().shape == (0, 3)


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match="reshape"):
        RowFile(3, np.uint8).append(np.zeros((2, 4)))


def test_a_file_goes_with_the_last_array_that_maps_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    file = RowFile(2, np.float32)
    file.append(np.ones((5, 2)))
    part = file.mapped()[1:3]
    del file
    gc.collect()
    assert part.sum() == 4 and not any(tmp_path.iterdir())
    assert str(tmp_path) in _mapped_files()
    del part
    gc.collect()
    assert str(tmp_path) not in _mapped_files()


def _mapped_files() -> str:
    return Path("/proc/self/maps").read_text(encoding="utf-8")


def test_labelled_rows_hold_embeddings_in_full():
    tracks = [example(n) for n in range(4)]
    pooled = [pool(np.ones((len(t.patches), 2), np.float32) / 3, t.patches, Pooling(), "db") for t in tracks]
    files = LabelledFiles(len(pooled[0]), 8)
    for track, embedding in zip(tracks, pooled, strict=True):
        files.append(embedding, track.targets, track.mask)
    rows = files.labelled(tuple("abcd"))
    assert isinstance(rows, LabelledRows) and len(rows) == 4 and rows.embeddings.dtype == EMBEDDING_TYPE
    np.testing.assert_array_equal(rows.embeddings, np.stack(pooled))
    np.testing.assert_array_equal(rows.targets[2], tracks[2].targets)
    np.testing.assert_array_equal(rows.mask[2], tracks[2].mask)
    assert rows.groups == ("a", "b", "c", "d")
