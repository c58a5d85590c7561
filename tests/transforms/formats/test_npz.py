"""Arrays of any origin: as many bytes as the file has, and no pickle."""

import io
import zipfile

import numpy as np
import pytest

from transforms.formats.npz import read_npz


def saved(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_arrays_are_read_as_they_were_written() -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([], np.float32), "c": np.array(1)}
    found = read_npz(saved(**arrays))
    assert list(found) == list(arrays) and all(np.array_equal(found[name], array) for name, array in arrays.items())


def test_compressed_arrays_are_refused() -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.zeros(1 << 20))
    with pytest.raises(ValueError, match=r"claims \d+ bytes, the file has"):
        read_npz(buffer.getvalue())


def test_a_shape_that_exceeds_the_file_is_refused() -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 34, 4)})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", header.getvalue() + b"\0" * 64)
    with pytest.raises(ValueError, match="claims the shape"):
        read_npz(buffer.getvalue())


@pytest.mark.parametrize("data", [b"", b"PK", b"x" * 100, saved(a=np.arange(3))[:-30]])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not an npz file"):
        read_npz(data)


def test_objects_are_refused() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.array([{}], object))
    with pytest.raises(ValueError, match="pickle"):
        read_npz(buffer.getvalue())


@pytest.mark.parametrize(
    "header", [b"(" * 3000 + b"\n", b"{'descr': [('a','<f8')]*9, 'x': 1}\n", b"\xff\xfe\n", b"", b"'\n"]
)
def test_headers_that_are_no_description_are_refused_in_plain_words(header: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mean.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(ValueError, match=r"'mean\.npy' has no header that can be read"):
        read_npz(buffer.getvalue())
