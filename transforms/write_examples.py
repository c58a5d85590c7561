"""WriteExamples: each chunk is read, extracted, encoded and written as one TFRecord file by one fused stage."""

import dataclasses
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.metrics import Metrics

from transforms.audio.limits import Limits
from transforms.dataset.plan import ChunkReport, LabelledChunk
from transforms.dataset.shards import ShardSettings, finish_chunk, read_report
from transforms.extraction.chunk_extractor import ChunkExtractor, ExtractedTrack
from transforms.extraction.source import Chunk


@dataclasses.dataclass(frozen=True, kw_only=True)
class WriteSettings:
    """What the stage needs.

    Attributes:
      shards: where shards go, and what their examples are made with.
      catalog_root: folder that relative uris start from.
      limits: what one track may cost.
      children: sandbox children of a worker process; 0 means one a core.
    """

    shards: ShardSettings
    catalog_root: str
    limits: Limits
    children: int


class WriteExamples(beam.PTransform):
    """`LabelledChunk`s in, one `ChunkReport` each out. A chunk that an earlier run finished is not read again.

    A bad track is a row of its chunk's report and costs no other track. The job fails when the storage refuses the
    first tracks in a row, or when a shard cannot be written.
    """

    def __init__(self, settings: WriteSettings) -> None:
        super().__init__()
        self._settings = settings

    def expand(self, chunks: beam.PCollection) -> beam.PCollection:
        """Chunks are spread over the workers; patches never leave them."""
        return chunks | "SpreadChunks" >> beam.Reshuffle() | "WriteChunk" >> beam.ParDo(_WriteChunk(self._settings))


class _WriteChunk(beam.DoFn):
    def __init__(self, settings: WriteSettings) -> None:
        self._settings = settings

    def setup(self) -> None:
        s = self._settings
        self._extractor = ChunkExtractor(s.catalog_root, s.shards.spec, s.limits, s.children)

    def process(self, chunk: LabelledChunk) -> Iterator[ChunkReport]:
        shards = self._settings.shards
        report = read_report(chunk.fingerprint(shards.spec.feature_id, shards.taxonomy.taxonomy_id), shards)
        if report is None:
            sources = Chunk(bucket=0, tracks=tuple(track.source for track in chunk.tracks))
            report = finish_chunk(chunk, _counted(self._extractor.extract(sources)), shards)
        else:
            Metrics.counter("write", "tracks_found_done").inc(len(chunk.tracks))
        Metrics.counter("write", "examples").inc(report.stats.outcomes["examples"])
        Metrics.counter("write", "rejected").inc(report.stats.outcomes["rejected"])
        yield report


def _counted(tracks: Iterable[ExtractedTrack]) -> Iterator[ExtractedTrack]:
    """The tracks as they come, with the counters of extraction."""
    for track in tracks:
        Metrics.counter("extract", "tracks_read").inc()
        Metrics.counter("extract", "tracks_rejected").inc(int(track.error is not None))
        for name, amount in track.amounts.items():
            Metrics.distribution("extract", name).update(amount)
        yield track
