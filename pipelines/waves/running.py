"""Runs one wave: a pipeline over a few numbers, whose results this process reads from scratch space."""

import gc
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.launch.allocators import trim_heap
from pipelines.launch.beam import new_pipeline, run_pipeline
from transforms.extraction.tally import EXTRACTED, EXTRACTION_REJECTS
from transforms.keep_elements import KeepElements, kept_elements
from transforms.storage.scratch import Scratch
from transforms.telemetry.counters import TRACKS_READ, TRACKS_REJECTED
from transforms.telemetry.phases import phase
from transforms.telemetry.work import WorkTotals

Results = Iterator[tuple[str, beam.PCollection[Any]]]
"""(name, collection) of each result of a wave."""


class WaveRunner:
    """Runs waves with one set of options, one after the other."""

    def __init__(self, options: PipelineOptions, scratch: Scratch) -> None:
        self._options, self._scratch = options, scratch

    def run(self, wave: list[int], build: Callable[[beam.PCollection[int]], Results]) -> None:
        """Runs the pipeline that `build` makes of the numbers.

        Raises:
          CommandFailed: the pipeline failed.
        """
        root = new_pipeline(self._options)
        for name, elements in build(root | "ListNumbers" >> beam.Create(wave)):
            _ = elements | f"Keep {name}" >> KeepElements(self._scratch, f"kept-{name}")
        run_pipeline(root)
        del root, elements
        gc.collect()  # a pipeline and its runner are in reference cycles
        trim_heap()

    def kept(self, name: str) -> Iterator[Any]:
        """Yields and removes the elements of a result, in any order."""
        return kept_elements(self._scratch, f"kept-{name}")


class WaveCounts:
    """What the waves of a phase have done: catalog rows of finished waves, and tracks that the current one extracted.

    Args:
      work: the measured work of the finished waves. Extraction in other processes is known only from it.
    """

    def __init__(self, work: WorkTotals) -> None:
        self._work = work
        self._rows: dict[int, int] = {}
        self._finished = self._current = 0
        self._before = self._wave_before = EXTRACTED.value
        self._rejected_before = EXTRACTION_REJECTS.value

    def add_group(self, number: int, rows: int) -> None:
        """Adds a group of the catalog."""
        self._rows[number] = rows

    def waves(self, name: str, waves: Iterable[list[int]], *, extracts: bool) -> Iterator[list[int]]:
        """The waves as they come, as one phase."""
        self._finished = self._current = 0
        total, further = sum(self._rows.values()), self._extraction if extracts else None
        with phase(name, total=total, unit="tracks", count=self._done, further=further):
            for wave in waves:
                self._current, self._wave_before = sum(self._rows[number] for number in wave), EXTRACTED.value
                yield wave
                self._finished, self._current = self._finished + self._current, 0

    def _done(self) -> int:
        return self._finished + min(self._current, EXTRACTED.value - self._wave_before)

    def _extraction(self) -> dict[str, int]:
        return {
            "extracted": max(EXTRACTED.value - self._before, self._work.total(TRACKS_READ)),
            "rejected": max(EXTRACTION_REJECTS.value - self._rejected_before, self._work.total(TRACKS_REJECTED)),
        }


def waves_of(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    """Yields lists of `size` numbers."""
    remaining = iter(numbers)
    while wave := list(itertools.islice(remaining, size)):
        yield wave
