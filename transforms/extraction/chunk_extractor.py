"""Extraction of one chunk without Beam: bytes from storage, features from the sandbox, a failure for each bad track."""

import concurrent.futures
import dataclasses
import functools
import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping

from transforms import storage
from transforms.audio import errors
from transforms.audio.limits import Limits
from transforms.extraction.confinement import in_force
from transforms.extraction.kill_history import with_history
from transforms.extraction.sandbox import shared_sandbox
from transforms.extraction.source import Chunk, Source
from transforms.extraction.tally import EXTRACTED, EXTRACTION_REJECTS
from transforms.features.extract import Features
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.spec import FeatureSpec
from transforms.schemas.parameters import PARAMETER_NAMES, PARAMETERS_ID
from transforms.schemas.tables import FACT_NAMES
from transforms.storage import SourceRoots
from transforms.telemetry import counters
from transforms.telemetry.costly_tracks import CostlyTracks, TrackCost
from transforms.telemetry.counters import Measure
from transforms.telemetry.work import Work

FIRST_IN_A_ROW = 20
"""So many unavailable tracks before the first good one mean that the storage or the credentials are wrong."""


_COSTLY = (errors.Crash, errors.Timeout, errors.MemoryLimit, errors.ResourceLimit, errors.Unknown)
"""What may happen to a child because of more work for a track."""

_MEANING: dict[type[storage.StorageError], type[errors.TrackError]] = {
    storage.NotFound: errors.SourceNotFound,
    storage.TooLarge: errors.SourceTooLarge,
}


class StorageUnavailable(RuntimeError):
    """The storage refused the first tracks one after the other: nothing is wrong with the tracks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtractedTrack:
    """What became of one track: features, or the error that says why there are none.

    Attributes:
      size: bytes of the source; None if it could not be read.
      sha256: of the source's bytes; None if it could not be read.
      read_ms: time that the bytes took to come.
      extract_ms: time from hand-over to the sandbox to its answer, waiting for a free child included.
      read_core_us: processor time of reading and hashing, microseconds.
      confined_by: measures in force in the child process that decoded the track; none if no child did.
      parameters_id: id of the spec by which parameters were looked for; empty if they were not.
      note: why a track with features has no parameters although they were looked for; None if it has them.
    """

    source: Source
    size: int | None
    sha256: str | None
    features: Features | None
    error: errors.TrackError | None
    read_ms: int
    extract_ms: int
    read_core_us: int = 0
    confined_by: tuple[str, ...] = ()
    parameters_id: str = ""
    note: str | None = None

    @property
    def known(self) -> bool:
        """Whether the source has the bytes whose outcome is known: it was read, and decoded for parameters alone."""
        return self.sha256 is not None and self.sha256 == self.source.known_sha256

    @property
    def is_embedded(self) -> bool:
        """Whether the track gets a new embedding."""
        return self.features is not None and not self.known

    @property
    def detail(self) -> str | None:
        """What was found in the track, in words without secrets: its error, or the damage of its audio."""
        damage = self.features.facts.damage if self.features else None
        found = damage if self.error is None else self.error.detail
        found = "; ".join(filter(None, (found, self.note))) or None
        return None if found is None else storage.redact(found)

    @property
    def work(self) -> dict[Measure, int]:
        """What the track took."""
        values = {
            counters.TRACKS_READ: 1,
            counters.TRACKS_REJECTED: int(self.error is not None),
            counters.TRACKS_SAME: int(self.known and self.features is None),
            counters.READ_MS: self.read_ms,
            counters.READ_CORE: self.read_core_us,
            counters.EXTRACT_MS: self.extract_ms,
            counters.SOURCE_BYTES: self.size or 0,
        }
        values |= {counters.TRACKS_CONFINED[name]: 1 for name in self.confined_by}
        if self.error is not None:
            values[counters.EXTRACT_CORE] = self.error.core_us
        elif self.features is not None and (cost := self.features.cost) is not None:
            values[counters.DECODE_MS], values[counters.FEATURES_MS] = cost.decode_ms, cost.features_ms
            values[counters.CHILD_BYTES], values[counters.EXTRACT_CORE] = cost.peak_bytes, cost.core_us
        return values


def counted(tracks: Iterable[ExtractedTrack], work: Work) -> Iterator[ExtractedTrack]:
    """The tracks as they come; what each took is added to `work`."""
    for track in tracks:
        values = track.work
        work.add_all(values)
        work.costly += CostlyTracks.of([_cost(track, values)])
        yield track


def _cost(track: ExtractedTrack, values: Mapping[Measure, int]) -> TrackCost:
    return TrackCost(
        track_id=track.source.track_id,
        core_us=values.get(counters.EXTRACT_CORE, 0),
        child_bytes=values.get(counters.CHILD_BYTES, 0),
        source_bytes=values[counters.SOURCE_BYTES],
    )


class ChunkExtractor:
    """Reads and extracts the tracks of a chunk side by side; at most `2 * children` files a process are in memory.

    Safe to share between threads. Bytes are read here, where the credentials are; only bytes reach the sandbox.
    """

    def __init__(
        self,
        roots: SourceRoots,
        spec: FeatureSpec,
        limits: Limits,
        children: int,
        parameters: ParametersSpec | None = None,
    ) -> None:
        self._roots = roots
        self._limits = limits
        self._parameters_id = "" if parameters is None else parameters.parameters_id
        children = children or os.cpu_count() or 1
        # Made with the first track: a run that decodes nothing should not wait for it.
        self._sandbox = functools.partial(shared_sandbox, spec, limits, children, parameters)
        self._threads = _shared_threads(2 * children)
        self._breaker = _Breaker()

    def extract(self, chunk: Chunk) -> Iterator[ExtractedTrack]:
        """The chunk's tracks in its order.

        Raises:
          StorageUnavailable: none of the first tracks could be read.
        """
        return self._threads.map(self._extract_one, chunk.tracks)

    def _extract_one(self, source: Source) -> ExtractedTrack:
        features: Features | None = None
        confined_by: tuple[str, ...] = ()
        start, core = time.monotonic(), storage.core_seconds_of_thread()
        data, error = self._read(source)
        read = time.monotonic()
        sha256 = None if data is None else hashlib.sha256(data).hexdigest()
        read_core_s = storage.core_seconds_of_thread() - core
        note, is_known = None, sha256 == source.known_sha256
        if data is not None and (not is_known or source.lacks_parameters):
            try:
                features, note = self._extracted(data)
            except errors.MachineFault as fault:
                error = with_history(fault, source.history)
            except errors.TrackError as refused:
                error = refused
            confined_by = in_force(self._sandbox().confinement())
        looked = self._parameters_id if data is not None and not isinstance(error, errors.MachineFault) else ""
        if data is not None and is_known:
            error = None  # the outcome that is known stays, whatever became of parameters
        EXTRACTED.add()
        EXTRACTION_REJECTS.add(int(error is not None))
        return ExtractedTrack(
            source=source,
            size=None if data is None else len(data),
            sha256=sha256,
            features=features,
            error=error,
            read_ms=round(1000 * (read - start)),
            extract_ms=round(1000 * (time.monotonic() - read)),
            read_core_us=round(1e6 * read_core_s),
            confined_by=confined_by,
            parameters_id=looked if source.lacks_parameters or not is_known else "",
            note=note,
        )

    def _extracted(self, data: bytes) -> tuple[Features, str | None]:
        """The features, and why they have no parameters. A track that takes its child with it is tried without them.

        Raises:
          errors.TrackError: there are no features either way.
        """
        try:
            return self._sandbox().submit(data).result(), None
        except _COSTLY as error:
            if not self._parameters_id or isinstance(error, errors.MachineFault):
                raise
            try:
                features = self._sandbox().submit(data, measured=False).result()
            except errors.TrackError as second:
                second.core_us += error.core_us
                raise
            return features.also_took(error.core_us), f"parameters: {error.reason}"

    def _read(self, source: Source) -> tuple[bytes | None, errors.TrackError | None]:
        """The source's bytes, or why there are none."""
        try:
            data = read_source(source.uri, self._roots, self._limits)
        except errors.TrackError as failure:
            if not source.retried:  # it failed in the last run, too: that says nothing about the storage of today
                self._breaker.failed(source.uri, failure)
            return None, failure
        self._breaker.succeeded()
        return data, None


_pools: dict[int, concurrent.futures.ThreadPoolExecutor] = {}
_pools_lock = threading.Lock()


def _shared_threads(count: int) -> concurrent.futures.ThreadPoolExecutor:
    """The one pool of this process, whose queue takes chunk after chunk: one is embedded while the next is extracted.

    With a pool for each of Beam's workers their chunks go on side by side, end together, and leave the sandbox idle.
    """
    with _pools_lock:
        if count not in _pools:
            _pools[count] = concurrent.futures.ThreadPoolExecutor(count, thread_name_prefix="extract")
        return _pools[count]


def read_source(uri: str, roots: SourceRoots, limits: Limits) -> bytes:
    """All bytes of a source.

    Raises:
      errors.TrackError: not found, too large, empty, unavailable after the storage's own retries, or moved out of the
        roots by a link since it was planned.
    """
    url = roots.url(uri)
    try:
        return storage.read_bytes(url, max_bytes=limits.max_bytes, roots=roots.check())
    except storage.StorageError as error:
        # The ledger has the uri; where the catalog root lies is no part of what became of a track.
        detail = str(error).removeprefix(storage.redact(f"{url}: ")).removeprefix(storage.redact(f"{url!r}: "))
        raise _MEANING.get(type(error), errors.SourceUnavailable)(detail) from error


class _Breaker:
    """Counts unavailable tracks until the first that can be read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed: int | None = 0

    def succeeded(self) -> None:
        with self._lock:
            self._failed = None

    def failed(self, uri: str, error: errors.TrackError) -> None:
        with self._lock:
            if self._failed is None or not isinstance(error, errors.SourceUnavailable):
                return
            self._failed += 1
            if self._failed >= FIRST_IN_A_ROW:
                raise StorageUnavailable(f"the first {self._failed} tracks could not be read; the last: {uri}: {error}")


def part_row(track: ExtractedTrack, embedding: list[float] | None) -> dict[str, object]:
    """The track's row of `schemas.PART`. Of a track with known bytes, the row says that it was read, and has parameters
    if they were measured.
    """
    facts = track.features.facts if track.is_embedded and track.features else None
    parameters = track.features.parameters if track.features and track.error is None else None
    return {
        "track_id": track.source.track_id,
        "source_version": track.source.source_version,
        "reason": track.error.reason if track.error else None,
        "detail": None if track.known else track.detail,
        "stage": track.error.stage if track.error else "read" if track.known else None,
        "source_bytes": track.size,
        "source_sha256": track.sha256,
        "decoded_fraction": facts.decoded_fraction if facts else None,
        **{name: getattr(facts, name) if facts else None for name in FACT_NAMES},
        **{name: getattr(parameters, name, None) for name in PARAMETER_NAMES},
        PARAMETERS_ID: None if track.error else track.parameters_id or None,
        "embedding": embedding,
    }
