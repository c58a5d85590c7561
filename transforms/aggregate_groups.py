"""AggregateGroups: writes the tags of artists and albums from what all buckets of tracks contribute to them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.typehints import no_annotations

from transforms.aggregates.files import write_groups
from transforms.aggregates.pieces import split_pieces, tag_keys
from transforms.assemble_buckets import AssembleSettings
from transforms.formats.arrow import from_ipc
from transforms.sum_work import count_work
from transforms.table.snapshots import DataFile
from transforms.tagging.tagger import Tagger
from transforms.telemetry.counters import ASSEMBLE_BYTES, ASSEMBLE_CORE, GROUP_ROWS
from transforms.telemetry.cpu import CoreTime
from transforms.telemetry.work import Work


class GroupPieces(NamedTuple):
    """Input of `AggregateGroups`.

    Attributes:
      pieces: table -> IPC of its pieces with their buckets, one element per bucket of tracks.
      run_id: the run's id as one element.
    """

    pieces: Mapping[str, beam.PCollection[bytes]]
    run_id: beam.PCollection[str]


class AggregatedGroups(NamedTuple):
    """Output of `AggregateGroups`: the files of all buckets of groups, and `Work`."""

    files: beam.PCollection[DataFile]
    work: beam.PCollection[Work]


class AggregateGroups(beam.PTransform[GroupPieces, AggregatedGroups]):
    """Takes `GroupPieces`, returns `AggregatedGroups`. Pieces are shuffled once, by the bucket of their group's id."""

    def __init__(self, settings: AssembleSettings) -> None:
        super().__init__()
        self._settings = settings

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, groups: GroupPieces) -> AggregatedGroups:
        """Writes each bucket's files."""
        keyed = {name: pieces | f"Split {name}" >> beam.FlatMap(_split) for name, pieces in groups.pieces.items()}
        joined = keyed | "JoinGroups" >> beam.CoGroupByKey()
        aggregate = beam.ParDo(_AggregateBucket(self._settings), beam.pvalue.AsSingleton(groups.run_id))
        done = joined | "AggregateBucket" >> aggregate.with_outputs("work", main="files")
        return AggregatedGroups(done.files, done.work)


def aggregate_bucket(
    settings: AssembleSettings, tagger: Tagger, bucket: int, pieces: Mapping[str, Iterable[bytes]], run_id: str
) -> tuple[list[DataFile], Work]:
    """Writes the files of one bucket of groups; returns them and the work."""
    with CoreTime() as core:
        tags = tag_keys(tagger.taxonomy)
        files = write_groups(settings.known, bucket, pieces, tags, settings.publication, run_id)
    work = Work()
    work.add(ASSEMBLE_BYTES, sum(file.bytes for file in files if file.run_id == run_id))
    work.add(ASSEMBLE_CORE, core.microseconds)
    for file in files:
        if file.table in GROUP_ROWS:
            work.add(GROUP_ROWS[file.table], file.rows - file.dead)
    return files, work


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    return split_pieces(from_ipc(data))


class _AggregateBucket(beam.DoFn):
    def __init__(self, settings: AssembleSettings) -> None:
        self._settings = settings

    def setup(self) -> None:
        self._tagger = self._settings.load_tagger()

    def process(self, item: tuple[int, dict[str, Any]], run_id: str) -> Iterator[Any]:
        bucket, pieces = item
        files, work = aggregate_bucket(self._settings, self._tagger, bucket, pieces, run_id)
        yield from files
        yield count_work(work)
