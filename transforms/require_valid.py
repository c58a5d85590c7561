"""RequireValid: holds elements back until the whole catalog is checked, and drops them all if it has problems."""

import apache_beam as beam


class RequireValid(beam.PTransform):
    """Elements in, the same out; none if `problems` is not empty. The problems are reported by the job's last step."""

    def __init__(self, problems: beam.PCollection) -> None:
        super().__init__()
        self._problems = problems

    def expand(self, elements: beam.PCollection) -> beam.PCollection:
        """A side input is a barrier: no audio is read before the last row is checked."""
        count = self._problems | "CountProblems" >> beam.combiners.Count.Globally()
        return elements | "KeepIfValid" >> beam.Filter(lambda _, found: found == 0, beam.pvalue.AsSingleton(count))
