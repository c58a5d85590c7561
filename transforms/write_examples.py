"""WriteExamples: one fused stage reads, extracts and encodes each chunk and writes it as one TFRecord file."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.typehints import no_annotations

from transforms.audio.limits import Limits
from transforms.dataset.killed import note_killed, sources_of
from transforms.dataset.plan import ChunkReport, LabelledChunk
from transforms.dataset.shards import ShardSettings, finish_chunk, read_report
from transforms.extraction.chunk_extractor import ChunkExtractor, counted
from transforms.extraction.tally import SETTLED
from transforms.storage import SourceRoots
from transforms.sum_work import count_work
from transforms.telemetry import counters
from transforms.telemetry.cpu import CoreTime
from transforms.telemetry.kept_work import note_kept_work
from transforms.telemetry.work import Work


@dataclasses.dataclass(frozen=True, kw_only=True)
class WriteSettings:
    """Settings of the stage.

    Attributes:
      shards: folder of the shards, and settings of their examples.
      roots: where relative uris start, and where sources may be.
      limits: resource limits per track.
      children: sandboxed child processes per worker process; 0 means one per core.
    """

    shards: ShardSettings
    roots: SourceRoots
    limits: Limits
    children: int


class WrittenChunks(NamedTuple):
    """Output of `WriteExamples`: one `ChunkReport` per chunk, and `Work`."""

    reports: beam.PCollection[ChunkReport]
    work: beam.PCollection[Work]


class WriteExamples(beam.PTransform[beam.PCollection[LabelledChunk], WrittenChunks]):
    """Takes `LabelledChunk`s, returns `WrittenChunks`. A chunk that an earlier run finished is not read again.

    A bad track becomes a row of its chunk's report and affects no other track. The job fails if the storage refuses
    the first tracks in a row, or if a shard cannot be written.
    """

    def __init__(self, settings: WriteSettings) -> None:
        super().__init__()
        self._settings = settings

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, chunks: beam.PCollection[LabelledChunk]) -> WrittenChunks:
        """Spreads the chunks over the workers; patches never leave the worker."""
        write = beam.ParDo(_WriteChunk(self._settings)).with_outputs("work", main="reports")
        written = chunks | "SpreadChunks" >> beam.Reshuffle() | "WriteChunk" >> write
        return WrittenChunks(written.reports, written.work)


class _WriteChunk(beam.DoFn):
    def __init__(self, settings: WriteSettings) -> None:
        self._settings = settings

    def setup(self) -> None:
        s = self._settings
        self._extractor = ChunkExtractor(s.roots, s.shards.spec, s.limits, s.children)

    def process(self, chunk: LabelledChunk) -> Iterator[Any]:
        shards, work = self._settings.shards, Work()
        fingerprint = chunk.fingerprint(shards.spec.feature_id, shards.taxonomy.taxonomy_id)
        report = read_report(fingerprint, shards)
        if report is None:
            sources = sources_of(chunk, fingerprint, shards.dataset)
            with CoreTime() as core:
                report = finish_chunk(chunk, counted(self._extractor.extract(sources), work), shards)
            note_killed(report, shards.dataset)
            work.add(counters.WRITE_CORE, core.microseconds)
        else:
            SETTLED.add(len(chunk.tracks))
            work.add(counters.WRITE_FOUND, len(chunk.tracks))
        note_kept_work()
        work.add(counters.WRITE_EXAMPLES, report.stats.outcomes["examples"])
        work.add(counters.WRITE_REJECTED, report.stats.outcomes["rejected"])
        work.add(counters.WRITE_BYTES, report.shard.bytes if report.shard else 0)
        yield report
        yield count_work(work)
