"""Problems of input files, with file, row and what to do. All problems are reported, not only the first."""

import dataclasses
from collections.abc import Sequence
from typing import Self


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


class ProblemTally:
    """Counts the problems of a catalog, and keeps the first `MOST_PROBLEMS` of them."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[Problem] = []

    def add(self, problems: Sequence[Problem]) -> None:
        """Counts further problems."""
        self._count += len(problems)
        self._first += problems[: MOST_PROBLEMS - len(self._first)]

    def sample(self) -> ProblemSample:
        """The number of problems so far, and those that were kept, by file and row."""
        return ProblemSample(count=self._count, problems=by_place(self._first))


def by_place(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """The problems in the order of file and row."""
    return tuple(sorted(problems, key=lambda problem: (problem.file, problem.row or 0)))


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
