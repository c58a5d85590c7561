"""Questions to other machines, each with a limit of time."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeVar

from transforms import storage

_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


def answer_in_time(ask: Callable[[], _Answer], seconds: float) -> _Answer:
    """Asks in a thread that is left behind if it takes too long: the look-up of a name has no limit of its own.

    Raises:
      TimeoutError: there was no answer in time.
    """
    answer: Future[_Answer] = Future()

    def run() -> None:
        try:
            with storage.limited():
                answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result(timeout=seconds)


def answers_in_time(
    questions: Iterable[_Asked], ask: Callable[[_Asked], _Answer], *, seconds: float, threads: int
) -> dict[_Asked, _Answer]:
    """The answers that arrive in time, asked in several threads. Questions that fail or take too long have none."""
    todo: SimpleQueue[_Asked] = SimpleQueue()
    answered: SimpleQueue[tuple[_Asked, _Answer] | None] = SimpleQueue()
    open_questions = 0
    for question in questions:
        todo.put(question)
        open_questions += 1

    def run() -> None:
        while True:
            try:
                question = todo.get_nowait()
            except Empty:
                return
            try:
                with storage.limited():
                    answered.put((question, ask(question)))
            except Exception:  # noqa: BLE001 - no answer
                answered.put(None)

    for _ in range(min(threads, open_questions)):
        threading.Thread(target=run, daemon=True).start()
    found: dict[_Asked, _Answer] = {}
    deadline = time.monotonic() + seconds
    while open_questions:
        try:
            entry = answered.get(timeout=max(deadline - time.monotonic(), 0))
        except Empty:
            break
        open_questions -= 1
        if entry is not None:
            found[entry[0]] = entry[1]
    return found
