"""Rows on disk. They are appended as they arrive and read back memory-mapped, so that memory is only a few rows."""

import tempfile
from typing import IO

import numpy as np
import numpy.typing as npt

from models.fitting.labelled import LabelledRows

EMBEDDING_TYPE = np.float16
"""Type of stored embeddings. It is lossless: pooling rounds to this precision, and tables have the same."""


class RowFile:
    """Rows of one width and type in an unnamed temporary file. It is deleted with the last array that maps it."""

    def __init__(self, width: int, dtype: npt.DTypeLike) -> None:
        self._width, self._dtype = width, np.dtype(dtype)
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="catalog-tagger-rows-")  # noqa: SIM115, the mapping needs it
        self._rows = 0

    def append(self, rows: npt.ArrayLike) -> None:
        """Adds rows [n, width]; values are converted to the file's type."""
        values = np.ascontiguousarray(rows, self._dtype).reshape(-1, self._width)
        self._file.write(values.data)
        self._rows += len(values)

    def mapped(self) -> np.ndarray:
        """All rows so far, read-only: [n, width]."""
        if not self._rows:
            return np.zeros((0, self._width), self._dtype)
        self._file.flush()
        return np.asarray(np.memmap(self._file, self._dtype, "r", shape=(self._rows, self._width)))


class LabelledFiles:
    """Labelled rows on disk: embeddings of `dim` values, and targets and mask of `tags` values."""

    def __init__(self, dim: int, tags: int) -> None:
        self._embeddings = RowFile(dim, EMBEDDING_TYPE)
        self._targets, self._mask = RowFile(tags, np.float32), RowFile(tags, np.uint8)

    def append(self, embeddings: npt.ArrayLike, targets: npt.ArrayLike, mask: npt.ArrayLike) -> None:
        """Adds rows: embeddings [n, dim], targets and mask [n, tags]."""
        self._embeddings.append(embeddings)
        self._targets.append(targets)
        self._mask.append(mask)

    def labelled(self, groups: tuple[str, ...]) -> LabelledRows:
        """All rows so far, read-only, with the group of each row."""
        return LabelledRows(
            embeddings=self._embeddings.mapped(),
            targets=self._targets.mapped(),
            mask=self._mask.mapped(),
            groups=groups,
        )
