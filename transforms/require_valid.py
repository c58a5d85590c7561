"""RequireValid: delays elements until the whole catalog is checked, and drops all of them if it has problems."""

from typing import Any

import apache_beam as beam

from transforms.catalog.problems import Problem


class RequireValid(beam.PTransform[beam.PCollection[Any], beam.PCollection[Any]]):
    """Returns its input, or nothing if `problems` is not empty. The job's last step reports the problems."""

    def __init__(self, problems: beam.PCollection[Problem]) -> None:
        super().__init__()
        self._problems = problems

    def expand(self, elements: beam.PCollection[Any]) -> beam.PCollection[Any]:
        """Counts the problems as a side input, which is a barrier: no audio is read before the last row is checked."""
        count = self._problems | "CountProblems" >> beam.combiners.Count.Globally()
        kept: beam.PCollection[Any] = elements | "KeepIfValid" >> beam.Filter(
            lambda _, problems: problems == 0, beam.pvalue.AsSingleton(count)
        )
        return kept
