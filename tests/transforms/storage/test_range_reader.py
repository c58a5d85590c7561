"""The range reader is a file, whatever is read and sought in it."""

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.storage import range_reader as ranges
from transforms.storage.range_reader import RangeReader

DATA = bytes(n * n % 251 for n in range(5000))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 3000)),
        st.tuples(st.just("seek"), st.integers(0, 6000)),
        st.tuples(st.just("back"), st.integers(0, 5000)),
    ),
    max_size=20,
)


class Source:
    """Counts what is fetched of DATA."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data, self.fetched = data, []

    def __call__(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(self.data)
        self.fetched.append((start, end))
        return self.data[start:end]


@given(STEPS, st.integers(1, 600), st.booleans())
def test_reads_as_a_file(steps: list[tuple[str, int]], ahead: int, buffered: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "MIN_FETCH_BYTES", ahead)
        raw = RangeReader(Source(), len(DATA))
        reader, oracle = io.BufferedReader(raw, 64) if buffered else raw, io.BytesIO(DATA)
        for step, n in steps:
            if step == "read":
                assert reader.read(n) == oracle.read(n)
            elif step == "seek":
                assert reader.seek(n) == oracle.seek(n)
            else:
                assert reader.seek(-n, os.SEEK_END) == oracle.seek(-n, os.SEEK_END)
            assert reader.tell() == oracle.tell()


def test_fetches_double_while_reading_in_sequence() -> None:
    source = Source(bytes(4 << 20))
    reader = RangeReader(source, 4 << 20)
    while reader.read(10_000):
        pass
    sizes = [end - start for start, end in source.fetched]
    assert sizes[:3] == [256 << 10, 512 << 10, 1 << 20]
    assert sum(sizes) == 4 << 20


def test_a_large_read_is_one_fetch() -> None:
    source = Source(bytes(3 << 20))
    assert len(RangeReader(source, 3 << 20).read(2 << 20)) == 2 << 20
    assert source.fetched == [(0, 2 << 20)]


def test_short_answer_is_an_error() -> None:
    with pytest.raises(EOFError, match="got 1 of 100"):
        RangeReader(lambda start, end: b"x", 100).read(10)


def test_seek_before_the_start() -> None:
    with pytest.raises(ValueError, match="before the start"):
        RangeReader(Source(), 10).seek(-1)
