"""Problems of a catalog: all are counted, and no more than a worker can hold are listed, in order."""

import random

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from transforms.catalog.problems import MOST_PROBLEMS, Problem, ProblemSample
from transforms.sample_problems import SampleProblems


def _problem(number: int) -> Problem:
    return Problem(file="ab"[number % 2], row=number // 2 or None, column=None, message="odd")


@pytest.mark.parametrize("count", [0, 7, MOST_PROBLEMS + 5])
def test_problems_are_counted_and_listed_in_order(count: int) -> None:
    problems = [_problem(number) for number in range(count)]
    random.Random(3).shuffle(problems)

    def check(sample: ProblemSample) -> tuple[int, int, bool]:
        keys = [(p.file, p.row or 0) for p in sample.problems]
        return sample.count, len(set(sample.lines)), keys == sorted(keys)

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        sample = pipeline | beam.Create(problems) | SampleProblems() | beam.Map(check)
        assert_that(sample, equal_to([(count, min(count, MOST_PROBLEMS), True)]))
