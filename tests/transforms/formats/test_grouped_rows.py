"""A shuffle on disk: every row comes back once, in its group, in order."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.formats import grouped_rows
from transforms.formats.grouped_rows import GroupedRows, GroupWriter
from transforms.storage.scratch import open_scratch

BATCHES = st.lists(st.lists(st.tuples(st.integers(0, 4), st.text(max_size=3)), max_size=6), max_size=6)


@pytest.mark.parametrize("limit", [("BUFFERED_ROWS", 1), ("BUFFERED_ROWS", 5), ("BUFFERED_BYTES", 1), None])
@given(batches=BATCHES)
def test_rows_are_grouped_in_order(limit: tuple[str, int] | None, batches: list[list[tuple[int, str]]]) -> None:
    with open_scratch() as scratch, pytest.MonkeyPatch.context() as patch:
        if limit:
            patch.setattr(grouped_rows, *limit)
        groups = GroupedRows(scratch, "rows")
        with GroupWriter(groups) as writer:
            for batch in batches:
                texts = pa.table({"text": pa.array([text for _, text in batch], pa.string())})
                writer.add(texts, np.array([number for number, _ in batch], np.int64))
        rows = [row for batch in batches for row in batch]
        assert groups.numbers() == sorted({number for number, _ in rows})
        for number in range(5):
            wanted = [text for other, text in rows if other == number]
            assert not wanted or groups.group(number)["text"].to_pylist() == wanted
            pieces = [text for piece in groups.pieces(number) for text in piece["text"].to_pylist()]
            assert pieces == wanted
            groups.remove(number)
        assert groups.numbers() == []
