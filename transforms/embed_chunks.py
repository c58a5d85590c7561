"""EmbedChunks: one fused stage reads, extracts and embeds each chunk and writes it as one part file."""

import dataclasses
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.typehints import no_annotations

from transforms.audio.errors import Unknown
from transforms.audio.limits import Limits
from transforms.extraction.chunk_extractor import ChunkExtractor, ExtractedTrack, counted, part_row
from transforms.extraction.heard_beats import BeatListener, excerpt_of, with_beats
from transforms.extraction.source import Chunk
from transforms.extraction.tally import EMBEDDED
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.spec import FeatureSpec
from transforms.schemas.parameters import PARAMETERS_ID
from transforms.schemas.tables import PART
from transforms.storage import SourceRoots
from transforms.sum_work import count_work
from transforms.tagging.part_files import write_part
from transforms.telemetry.counters import EMBED_CORE, EMBED_TRACKS, PATCH_BYTES
from transforms.telemetry.cpu import CoreTime
from transforms.telemetry.kept_work import note_kept_work
from transforms.telemetry.work import Work


class Embedder(Protocol):
    """Maps tracks to embeddings. The bits of an embedding do not depend on the other tracks."""

    def embed(self, patches: Sequence[np.ndarray]) -> np.ndarray:
        """float16 [n_i, frames, mels] for each track -> float32 [tracks, dim]."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedTarget:
    """A trunk, and the table that its embeddings are written to.

    Attributes:
      root: root of the table that gets the part files.
      embedding_id: written into every part file.
      load_embedder: loads the trunk on the worker, once per process.
    """

    root: str
    embedding_id: str
    load_embedder: Callable[[], Embedder]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """Everything a worker needs to embed chunks; pickled with the graph.

    Attributes:
      target: the trunk and its table.
      roots: where relative uris start, and where sources may be.
      children: sandboxed child processes per worker process; 0 means one per core.
      further: other trunks that take the same patches, each with its table. The next run on that table reuses the part
        files and does not decode these tracks.
      parameters: how parameters of the tracks are measured; None: they are not.
      load_beats: loads the network of `parameters.beats` on the worker, the same for all callers of a process; None if
        there is none.
    """

    target: EmbedTarget
    roots: SourceRoots
    spec: FeatureSpec
    limits: Limits
    children: int
    further: tuple[EmbedTarget, ...] = ()
    parameters: ParametersSpec | None = None
    load_beats: Callable[[], BeatListener] | None = None

    def extracted(self, extractor: ChunkExtractor, chunk: Chunk, work: Work) -> list[ExtractedTrack]:
        """The tracks of a chunk, with what the network of beats hears; what they took is added to `work`.

        The network is loaded at the first chunk with an excerpt, see `_LazyEmbedder`.
        """
        tracks = list(counted(extractor.extract(chunk), work))
        if self.load_beats is None or all(excerpt_of(track) is None for track in tracks):
            return tracks
        return with_beats(tracks, self.load_beats(), work)

    def extractor(self) -> ChunkExtractor:
        """What extracts the chunks."""
        return ChunkExtractor(self.roots, self.spec, self.limits, self.children, self.parameters)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartEntry:
    """The part file of one chunk: its number of outcomes, and how many tracks were read and handed to the decoder.

    Tracks whose bytes are known have no outcome in the file: theirs is in the last snapshot. `measured` is the number
    of those that were decoded for their parameters alone.
    """

    bucket: int
    url: str
    tracks: int
    decoded: int
    measured: int = 0


class EmbeddedChunks(NamedTuple):
    """Output of `EmbedChunks`: one `PartEntry` per chunk, for the first target, and `Work` of all targets."""

    parts: beam.PCollection[PartEntry]
    work: beam.PCollection[Work]


class EmbedChunks(beam.PTransform[beam.PCollection[Chunk], EmbeddedChunks]):
    """Takes `Chunk`s, returns `EmbeddedChunks`. A bad track becomes a row of the part file and affects no other track.

    The job fails if the storage refuses the first tracks in a row, or if a part file cannot be written.
    """

    def __init__(self, settings: EmbedSettings) -> None:
        super().__init__()
        self._settings = settings

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, chunks: beam.PCollection[Chunk]) -> EmbeddedChunks:
        """Extracts, then embeds and writes in two fused steps per trunk; patches never leave the worker."""
        extract = beam.ParDo(_ExtractChunk(self._settings)).with_output_types(_Extraction, work=Work)
        extracted = chunks | "ExtractChunk" >> extract.with_outputs("work", main="tracks")
        works = [extracted.work]
        for number, target in enumerate(self._settings.further, 2):
            works.append(_embedded(extracted.tracks, target, str(number)).work)
        first = _embedded(extracted.tracks, self._settings.target, "")
        return EmbeddedChunks(first.parts, (*works, first.work) | "JoinWork" >> beam.Flatten())


def _embedded(extracted: "beam.PCollection[_Extraction]", target: EmbedTarget, number: str) -> EmbeddedChunks:
    """Embeds the extracted tracks with one trunk and writes its part files."""
    embedded = extracted | f"EmbedChunk{number}" >> RunInference(ChunkHandler(target.load_embedder))
    written = embedded | f"WritePart{number}" >> beam.FlatMap(_write, target, counts=not number).with_outputs(
        "work", main="parts"
    )
    return EmbeddedChunks(written.parts, written.work)


@dataclasses.dataclass(frozen=True)
class _Extraction:
    bucket: int
    tracks: list[ExtractedTrack]

    def patch_bytes(self) -> int:
        """Size of the patches in bytes, which is almost all of the element."""
        return sum(track.features.patches.nbytes for track in self.tracks if track.features is not None)


class _ExtractionCoder(beam.coders.Coder):
    """Pickles chunks if an engine does not fuse the stage, and estimates their size without pickling.

    Beam measures the size of elements for its counters; pickling for that would copy tens of megabytes per chunk.
    """

    def encode(self, value: _Extraction) -> bytes:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> _Extraction:
        chunk: _Extraction = pickle.loads(encoded)
        return chunk

    def estimate_size(self, value: _Extraction) -> int:
        return value.patch_bytes()


beam.coders.registry.register_coder(_Extraction, _ExtractionCoder)


@dataclasses.dataclass(frozen=True)
class _Embedding:
    bucket: int
    rows: list[dict[str, object]]
    work: Work


class _ExtractChunk(beam.DoFn):
    def __init__(self, settings: EmbedSettings) -> None:
        self._settings = settings

    def setup(self) -> None:
        self._extractor = self._settings.extractor()

    def process(self, chunk: Chunk) -> Iterator[Any]:
        work = Work()
        extraction = _Extraction(chunk.bucket, self._settings.extracted(self._extractor, chunk, work))
        work.add(PATCH_BYTES, extraction.patch_bytes())
        yield extraction
        yield count_work(work)


class _LazyEmbedder:
    """Loads the trunk at the first chunk with patches, because its framework takes seconds and hundreds of MB.

    RunInference loads its model when a worker starts, but a run on an unchanged catalog has no chunks.
    """

    def __init__(self, load: Callable[[], Embedder]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None

    def embed(self, patches: Sequence[np.ndarray]) -> np.ndarray:
        with self._lock:
            self._embedder = self._embedder or self._load()
        return self._embedder.embed(patches)


class ChunkHandler(ModelHandler[_Extraction, _Embedding, Embedder]):
    """Embeds one chunk per element. The trunk forms batches of one fixed shape, so Beam's batching has no effect."""

    def __init__(self, load: Callable[[], Embedder]) -> None:
        super().__init__()
        self._load = load

    def load_model(self) -> Embedder:
        """Returns the trunk, which is loaded once per worker process, at the first chunk that needs it."""
        return _LazyEmbedder(self._load)

    def run_inference(
        self, batch: Sequence[_Extraction], model: Embedder, inference_args: dict[str, Any] | None = None
    ) -> list[_Embedding]:
        """Returns one output per chunk, as RunInference requires."""
        return [_embed(chunk, model) for chunk in batch]

    def batch_elements_kwargs(self) -> dict[str, int]:
        """Returns the batch size: one chunk per inference call."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def get_num_bytes(self, batch: Sequence[_Extraction]) -> int:
        """Returns the size of the patches in bytes, for RunInference's counters."""
        return sum(chunk.patch_bytes() for chunk in batch)

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of RunInference's counters."""
        return "embed"


def _embed(chunk: _Extraction, model: Embedder) -> _Embedding:
    patches = [track.features.patches for track in chunk.tracks if track.features is not None and track.is_embedded]
    with CoreTime() as core:
        vectors = iter(model.embed(patches) if patches else ())
    rows = [_row(track, next(vectors) if track.is_embedded else None) for track in chunk.tracks]
    kept = {track.source.track_id for track in chunk.tracks if track.source.keeps_outcome}
    rows = [row for row in rows if row["reason"] is None or row["track_id"] not in kept]
    work = Work()
    work.add_all({EMBED_TRACKS: len(patches), EMBED_CORE: core.microseconds})
    return _Embedding(chunk.bucket, rows, work)


def try_chunk(chunk: Chunk, settings: EmbedSettings, embedders: Sequence[Embedder]) -> tuple[pa.Table, Work]:
    """Extracts and embeds a chunk as a job does, and writes nothing.

    Args:
      chunk: the tracks.
      settings: settings of the job.
      embedders: its loaded trunks.

    Returns:
      Rows of a part file with the embeddings of the first trunk, and the work of all trunks.
    """
    work = Work()
    extraction = _Extraction(chunk.bucket, settings.extracted(settings.extractor(), chunk, work))
    results = [_embed(extraction, embedder) for embedder in embedders]
    for measure in (EMBED_TRACKS, EMBED_CORE):
        work.add(measure, sum(value for result in results for value in result.work.values[measure]))
    return pa.Table.from_pylist(results[0].rows, schema=PART), work


def _row(track: ExtractedTrack, vector: np.ndarray | None) -> dict[str, object]:
    if vector is not None and not np.isfinite(vector).all():  # reject the track, so that no table contains NaN
        track = dataclasses.replace(track, features=None, error=Unknown("the trunk's values are not finite"))
        vector = None
    return part_row(track, None if vector is None else vector.tolist())


def _write(embedding: _Embedding, target: EmbedTarget, *, counts: bool) -> Iterator[Any]:
    rows = pa.Table.from_pylist(embedding.rows, schema=PART)
    url = write_part(target.root, embedding.bucket, rows, target.embedding_id)
    outcomes = [row for row in embedding.rows if row["reason"] is not None or row["embedding"] is not None]
    decoded = sum(row["stage"] != "read" for row in outcomes)
    note_kept_work()
    if counts:
        EMBEDDED.add(sum(row["embedding"] is not None for row in embedding.rows))
    found = PartEntry(bucket=embedding.bucket, url=url, tracks=len(outcomes), decoded=decoded)
    measured = sum(row["embedding"] is None and row[PARAMETERS_ID] is not None for row in embedding.rows)
    yield dataclasses.replace(found, measured=measured)
    yield count_work(embedding.work)
