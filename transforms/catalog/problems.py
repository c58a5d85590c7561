"""Problems of input files, with file, row and what to do. All problems are reported, not only the first."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Self

from transforms.storage import redact

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
      gate: name of the gate of `tag` that refuses the catalog for it; None for all other problems.
    """

    file: str
    row: int | None
    column: str | None
    message: str
    line: int | None = None
    gate: str | None = None

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
        # A name with a line end must not look like a further problem.
        return redact(f"{', '.join(parts)}: {self.message}").replace("\n", r"\n")


NO_FILE, NO_CATALOG = "no such file", "no catalog file here"
"""How the messages begin that say that there is no catalog."""

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

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the gates that refuse the catalog; empty if it has other problems too."""
        return gates_of(self.problems)


@dataclasses.dataclass(kw_only=True)
class ProblemTally:
    """Counts problems by column, and keeps the first ones.

    Attributes:
      counts: column, or None for problems of whole rows -> number of problems.
      kept: the first `MOST_PROBLEMS` problems of each column.
    """

    counts: Counter[str | None] = dataclasses.field(default_factory=Counter)
    kept: list[Problem] = dataclasses.field(default_factory=list)

    def add(self, problem: Problem) -> None:
        """Counts a problem."""
        self.counts[problem.column] += 1
        if self.counts[problem.column] <= MOST_PROBLEMS:
            self.kept.append(problem)

    @property
    def count(self) -> int:
        """Number of all problems."""
        return self.counts.total()

    def examples(self, column: str | None, most: int) -> list[Problem]:
        """The first problems of a column."""
        return [problem for problem in self.kept if problem.column == column][:most]


def gates_of(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Names of the gates of all these problems, sorted; empty if one of them has none."""
    found = {problem.gate for problem in problems}
    return () if None in found else tuple(sorted(gate for gate in found if gate is not None))


class FirstProblems:
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

    @property
    def is_missing(self) -> bool:
        """Whether there is no catalog in the place that was named."""
        return any(problem.message.startswith((NO_FILE, NO_CATALOG)) for problem in self.problems)

    def __reduce__(self) -> tuple[type[Self], tuple[Sequence[Problem]]]:
        return type(self), (self.problems,)
