"""Problems of input files, with file, row and what to do. All problems are reported, not only the first."""

import dataclasses
from collections.abc import Sequence
from typing import Self

_MOST_CHARS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem in a catalog.

    Attributes:
      file: URL of the file.
      row: data row in that file, from 1 without the header of a CSV; None if the problem concerns the whole file.
      column: name of the column; None if the problem concerns the whole row.
      message: the problem and what to do.
      line: line of the text file on which the row ends, from 1; None for Parquet.
    """

    file: str
    row: int | None
    column: str | None
    message: str
    line: int | None = None

    def __post_init__(self) -> None:
        # Many problems are kept in memory, and their texts can come from the catalog.
        if len(self.message) > _MOST_CHARS:
            object.__setattr__(self, "message", f"{self.message[: _MOST_CHARS - 3]}...")

    def __str__(self) -> str:
        parts = [self.file]
        if self.row is not None:
            parts.append(f"row {self.row}" + (f" (line {self.line})" if self.line is not None else ""))
        if self.column is not None:
            parts.append(f"column {self.column}")
        return f"{', '.join(parts)}: {self.message}"


MOST_PROBLEMS = 1000
"""Most problems of a catalog that are listed. All of them are counted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProblemSample:
    """The number of problems of a catalog, and some of the problems, by file and row."""

    count: int
    problems: tuple[Problem, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The problems as a user reads them."""
        return tuple(map(str, self.problems))


class CatalogError(ValueError):
    """A catalog that cannot be read: files are missing, have no known format, or lack required columns.

    Attributes:
      problems: all problems.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type[Self], tuple[Sequence[Problem]]]:
        return type(self), (self.problems,)
