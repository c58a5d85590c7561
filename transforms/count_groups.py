"""CountGroups: counts the artists of a split, and those with tracks on more than one side."""

from collections.abc import Iterable, Iterator

import apache_beam as beam

from transforms.dataset.plan import LabelledChunk


class CountGroups(beam.PTransform[beam.PCollection[LabelledChunk], beam.PCollection[tuple[bool, int]]]):
    """Takes `LabelledChunk`s, returns (whether a group is on more than one side, number of groups); no zero counts."""

    def expand(self, chunks: beam.PCollection[LabelledChunk]) -> beam.PCollection[tuple[bool, int]]:
        """Combines the sides of each group by its key, then counts."""
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
