"""A progress bar for local jobs, shown on a terminal."""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

import tqdm

from transforms.extraction.tally import EXTRACTED

INTERVAL_S = 0.2

Track = TypeVar("Track")


def shown_progress(tracks: Iterable[Track], what: str, total: int) -> Iterator[Track]:
    """The same tracks, which are counted on stderr while they are taken, if stderr is a terminal."""
    yield from tqdm.tqdm(tracks, total=total, unit=" tracks", desc=what, disable=None, leave=False)


@contextlib.contextmanager
def show_extraction(total: int | None) -> Iterator[None]:
    """Shows the number of extracted tracks on stderr while the block runs, if stderr is a terminal."""
    stop, before = threading.Event(), EXTRACTED.value
    with tqdm.tqdm(total=total, unit=" tracks", desc="extract", disable=None, leave=False) as bar:

        def follow() -> None:
            while not stop.wait(INTERVAL_S):
                bar.update(EXTRACTED.value - before - bar.n)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
