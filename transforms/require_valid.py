"""RequireValid: holds elements back until the whole catalog is checked, and drops them all if it has problems."""

from typing import Any

import apache_beam as beam

from transforms.catalog.problems import Problem


class RequireValid(beam.PTransform[beam.PCollection[Any], beam.PCollection[Any]]):
    """Elements in, the same out; none if `problems` is not empty. The problems are reported by the job's last step."""

    def __init__(self, problems: beam.PCollection[Problem]) -> None:
        super().__init__()
        self._problems = problems

    def expand(self, elements: beam.PCollection[Any]) -> beam.PCollection[Any]:
        """A side input is a barrier: no audio is read before the last row is checked."""
        count = self._problems | "CountProblems" >> beam.combiners.Count.Globally()
        kept: beam.PCollection[Any] = elements | "KeepIfValid" >> beam.Filter(
            lambda _, found: found == 0, beam.pvalue.AsSingleton(count)
        )
        return kept
