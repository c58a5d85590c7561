"""Reads npz files of any origin: no pickle, and no array that claims more bytes than the file has."""

import io
import math
import tokenize
import zipfile

import numpy as np


def read_npz(data: bytes) -> dict[str, np.ndarray]:
    """All arrays of an npz file that was written without compression.

    Raises:
      ValueError: the bytes are no such file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                _check(archive, info, len(data))
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"not an npz file: {error}") from error


def _check(archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int) -> None:
    if info.file_size > size or info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"its array {info.filename[:60]!r} claims {info.file_size} bytes, the file has {size}")
    with archive.open(info) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
        except (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError) as error:
            # NumPy evaluates the header as Python: its messages show syntax trees.
            raise ValueError(f"its array {info.filename[:60]!r} has no header that can be read") from error
    if dtype.itemsize * math.prod(shape) > info.file_size:
        raise ValueError(f"its array {info.filename[:60]!r} claims the shape {str(shape)[:60]}, which is too large")
