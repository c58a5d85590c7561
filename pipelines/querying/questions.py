"""Typical questions with their SQL, from the file `questions.sql` beside this module."""

import dataclasses
import functools
import re
from importlib import resources

from pipelines.terminal.errors import UsageError

_QUESTION = re.compile(
    r"^-- (?P<number>\d+)\. (?P<text>[^?.\n]+[?.])(?P<remarks>.*\n(?:--.*\n)*)(?P<sql>[^;]+;)", re.MULTILINE
)


@dataclasses.dataclass(frozen=True)
class Question:
    """A question, and the SQL that answers it.

    Attributes:
      number: its number in the file, from 1.
      question: the question in words.
      remarks: what else the file says about it; "" if nothing.
      sql: one statement.
    """

    number: int
    question: str
    remarks: str
    sql: str


@functools.cache
def questions() -> tuple[Question, ...]:
    """All questions, in the order of the file."""
    text = resources.files(__package__).joinpath("questions.sql").read_text(encoding="utf-8")
    return tuple(
        Question(int(found["number"]), found["text"], _plain(found["remarks"]), found["sql"])
        for found in _QUESTION.finditer(text)
    )


def _plain(comment: str) -> str:
    return " ".join(comment.replace("\n--", " ").split())


def chosen_question(wanted: str) -> Question:
    """The question with a number, or the only one with some words in it.

    Raises:
      UsageError: there is none, or several have these words.
    """
    words = wanted.casefold().split()
    if wanted.strip().isdigit():
        found = [one for one in questions() if one.number == int(wanted)]
    else:
        found = [one for one in questions() if all(word in one.question.casefold() for word in words)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"--question={wanted}: there is none; --questions lists all {len(questions())}")
    several = "; ".join(f"{one.number}. {one.question}" for one in found)
    raise UsageError(f"--question={wanted}: {len(found)} questions have these words, give a number: {several}")
