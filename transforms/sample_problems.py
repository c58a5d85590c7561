"""SampleProblems: counts the problems of a catalog, and sorts a sample of them."""

import apache_beam as beam

from transforms.catalog.problems import MOST_PROBLEMS, Problem, ProblemSample, by_place


class SampleProblems(beam.PTransform[beam.PCollection[Problem], beam.PCollection[ProblemSample]]):
    """Takes `Problem`s, returns one `ProblemSample`, also if there is no problem."""

    def expand(self, problems: beam.PCollection[Problem]) -> beam.PCollection[ProblemSample]:
        """Counts all problems, and keeps a sample that fits in the memory of one worker."""
        few = problems | "FewProblems" >> beam.combiners.Sample.FixedSizeGlobally(MOST_PROBLEMS)
        count = problems | "CountProblems" >> beam.combiners.Count.Globally()
        sample: beam.PCollection[ProblemSample] = count | "SortProblems" >> beam.Map(
            _sorted, beam.pvalue.AsSingleton(few)
        )
        return sample


def _sorted(count: int, few: list[Problem]) -> ProblemSample:
    return ProblemSample(count=count, problems=by_place(few))
