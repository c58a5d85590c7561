"""Runs one wave: a pipeline over a few numbers, whose results this process reads from scratch space."""

import gc
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.launch.allocators import trim_heap
from pipelines.launch.beam import new_pipeline, run_pipeline
from transforms.keep_elements import KeepElements, kept_elements
from transforms.storage.scratch import Scratch

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


def waves_of(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    """Yields lists of `size` numbers."""
    remaining = iter(numbers)
    while wave := list(itertools.islice(remaining, size)):
        yield wave
