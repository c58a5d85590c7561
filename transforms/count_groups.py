"""CountGroups: how many artists a split has, and how many of them have tracks on several of its sides."""

from collections.abc import Iterable, Iterator

import apache_beam as beam

from transforms.dataset.plan import LabelledChunk


class CountGroups(beam.PTransform[beam.PCollection[LabelledChunk], beam.PCollection[tuple[bool, int]]]):
    """`LabelledChunk`s in; (whether a group is on several sides, groups) out, for those counts that are not 0."""

    def expand(self, chunks: beam.PCollection[LabelledChunk]) -> beam.PCollection[tuple[bool, int]]:
        """Sides of a group meet by its key."""
        counts: beam.PCollection[tuple[bool, int]] = (
            chunks
            | "ListGroups" >> beam.FlatMap(_list_groups)
            | "JoinSides" >> beam.CombinePerKey(_join)
            | "AreShared" >> beam.MapTuple(lambda _, sides: len(sides) > 1)
            | "CountGroups" >> beam.combiners.Count.PerElement()
        )
        return counts


def _list_groups(chunk: LabelledChunk) -> Iterator[tuple[str, frozenset[str]]]:
    for group in sorted({track.group for track in chunk.tracks}):
        yield group, frozenset([chunk.split])


def _join(sides: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sides)
