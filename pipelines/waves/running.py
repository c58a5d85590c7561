"""Runs one wave: a pipeline over a few numbers, whose results this process reads from scratch space."""

import gc
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Self

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from pipelines.launch.allocators import trim_heap
from pipelines.launch.beam import new_pipeline, run_pipeline
from transforms.extraction.tally import EMBEDDED, EXTRACTED, EXTRACTION_REJECTS, SETTLED
from transforms.keep_elements import KeepElements, kept_elements
from transforms.storage.scratch import Scratch
from transforms.telemetry.counters import EMBED_TRACKS, TRACKS_READ, TRACKS_REJECTED
from transforms.telemetry.kept_work import note_kept_work
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
        if self._options.view_as(DirectOptions).direct_running_mode == "multi_processing":
            note_kept_work()  # other processes write it, and do not tell before the end of the wave
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
    """What the waves of a phase have done: catalog rows of finished waves, and of the current one tracks that it
    extracted, and those that need no extraction.

    Args:
      work: the measured work of the finished waves. Extraction in other processes is known only from it.
    """

    def __init__(self, work: WorkTotals) -> None:
        self._work = work
        self._rows: dict[int, int] = {}
        self._finished = self._current = self._total = 0
        self._before = _Tallies.now()
        self._wave_before = self._before
        self._extracted_before = 0

    def add_group(self, number: int, rows: int) -> None:
        """Adds a group of the catalog."""
        self._rows[number] = rows

    def waves(self, name: str, waves: Iterable[list[int]], *, extracts: bool) -> Iterator[list[int]]:
        """The waves as they come, as one phase."""
        self._finished = self._current = 0
        self._total = sum(self._rows.values())
        with phase(
            name,
            total=self._total,
            unit="tracks",
            count=self._done,
            further=self._extraction if extracts else None,
            remaining=self._remaining if extracts else None,
            last_step="embedding and writing" if extracts else "",
        ):
            for wave in waves:
                self._wave_before, self._extracted_before = _Tallies.now(), self._extracted()
                self._current = sum(self._rows[number] for number in wave)
                yield wave
                self._finished, self._current = self._finished + self._current, 0

    def _done(self) -> int:
        wave = _Tallies.now() - self._wave_before
        return self._finished + min(self._current, wave.extracted + wave.settled)

    def _extracted(self) -> int:
        return max((_Tallies.now() - self._before).extracted, self._work.total(TRACKS_READ))

    def _remaining(self) -> tuple[float, float]:
        """Tracks that were extracted, and those that will be, if later waves have as many as those until now."""
        extracted, settled = self._extracted(), (_Tallies.now() - self._wave_before).settled
        planned = self._finished + self._current
        needed = self._extracted_before + max(self._current - settled, 0)
        later = (self._total - planned) * needed / planned if planned else 0.0
        return extracted, max(needed - extracted, 0) + later

    def _extraction(self) -> dict[str, int]:
        now = _Tallies.now() - self._before
        found = {
            "extracted": self._extracted(),
            "rejected": max(now.rejected, self._work.total(TRACKS_REJECTED)),
            "embedded": max(now.embedded, self._work.total(EMBED_TRACKS)),
        }
        return found if found["embedded"] else {name: count for name, count in found.items() if name != "embedded"}


class _Tallies(NamedTuple):
    """The tallies of this process."""

    extracted: int
    rejected: int
    settled: int
    embedded: int

    @classmethod
    def now(cls) -> Self:
        return cls(EXTRACTED.value, EXTRACTION_REJECTS.value, SETTLED.value, EMBEDDED.value)

    def __sub__(self, other: "_Tallies") -> "_Tallies":
        return _Tallies(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))


def waves_of(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    """Yields lists of `size` numbers."""
    remaining = iter(numbers)
    while wave := list(itertools.islice(remaining, size)):
        yield wave
