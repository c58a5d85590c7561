"""One chunk without Beam: every track has an outcome, and a broken storage is not the tracks' fault."""

import dataclasses
import hashlib
import time
from pathlib import Path

import pytest

from tests.support.synth import encode, music
from transforms import storage
from transforms.audio import errors
from transforms.audio.limits import Limits
from transforms.extraction import chunk_extractor as extraction
from transforms.extraction.chunk_extractor import FIRST_IN_A_ROW, ChunkExtractor, StorageUnavailable, counted, part_row
from transforms.extraction.kill_history import KILLED
from transforms.extraction.sandbox import Sandbox
from transforms.extraction.source import Chunk, Source
from transforms.features.spec import FeatureSpec
from transforms.storage import SourceRoots
from transforms.telemetry import counters
from transforms.telemetry.work import Work

SPEC = FeatureSpec(patches_per_track=2)


def _chunk(*uris: str) -> Chunk:
    return Chunk(
        bucket=0, tracks=tuple(Source(track_id=f"t{i}", uri=u, source_version="1") for i, u in enumerate(uris))
    )


def _extractor(root: Path, limits: Limits | None = None) -> ChunkExtractor:
    return ChunkExtractor(SourceRoots(str(root)), SPEC, limits or Limits(), children=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "good.wav").write_bytes(encode(music(4.0)))
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.mp3").write_text("no audio")
    return tmp_path


def test_every_track_has_its_own_outcome_in_order(root: Path) -> None:
    tracks = list(_extractor(root).extract(_chunk("text.mp3", "good.wav", "missing.wav", "empty.wav", "good.wav")))
    reasons = [track.error.reason if track.error else None for track in tracks]
    assert reasons == ["unknown_format", None, "not_found", "empty", None]
    assert [track.source.track_id for track in tracks] == [f"t{i}" for i in range(5)]


def test_part_rows_say_what_was_read(root: Path) -> None:
    good, missing = list(_extractor(root).extract(_chunk("good.wav", "missing.wav")))
    data = (root / "good.wav").read_bytes()
    row = part_row(good, [1.0])
    assert (row["source_bytes"], row["source_sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert (row["duration_s"], row["sample_rate"], row["channels"]) == (pytest.approx(4.0), 44_100, 2)
    lost = part_row(missing, None)
    assert (lost["reason"], lost["stage"], lost["source_sha256"]) == ("not_found", "read", None)


def test_what_each_track_took_is_counted(root: Path) -> None:
    work, size = Work(), (root / "good.wav").stat().st_size
    tracks = list(counted(_extractor(root).extract(_chunk("text.mp3", "good.wav", "missing.wav")), work))
    assert [track.error.reason if track.error else None for track in tracks] == ["unknown_format", None, "not_found"]
    assert (work.values[counters.TRACKS_READ], work.values[counters.TRACKS_REJECTED]) == ([1, 1, 1], [1, 0, 1])
    assert work.values[counters.SOURCE_BYTES] == [len("no audio"), size, 0]
    assert len(work.values[counters.DECODE_MS]) == len(work.values[counters.CHILD_BYTES]) == 1
    rejected, good, missing = work.values[counters.EXTRACT_CORE]
    assert 0 < rejected < good and missing == 0


def test_starting_the_sandbox_is_no_part_of_reading(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = _extractor(root)
    start = extractor._sandbox

    def slow() -> Sandbox:
        begin = time.thread_time()
        while time.thread_time() - begin < 0.3:
            pass
        return start()

    monkeypatch.setattr(extractor, "_sandbox", slow)
    (track,) = extractor.extract(_chunk("good.wav"))
    assert track.features is not None and 0 < track.read_core_us < 200_000 < 1000 * track.extract_ms


def test_a_file_over_the_limit_is_not_read(root: Path) -> None:
    (track,) = _extractor(root, Limits(max_bytes=100)).extract(_chunk("good.wav"))
    assert track.error is not None and track.error.reason == "too_large" and track.size is None


def test_tracks_that_the_machine_ends_are_due_again_and_stop_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deadly:
        def submit(self, data: bytes) -> "Deadly":
            return self

        def result(self) -> None:
            raise errors.MachineFault("x", ("SIGKILL",) * 3, was_killed=True)

        def confinement(self) -> dict[str, str]:
            return {}

    extractor = _extractor(root)
    monkeypatch.setattr(extractor, "_sandbox", Deadly)
    chunk = _chunk(*["good.wav"] * (FIRST_IN_A_ROW + 5))
    earlier = f"{KILLED}run 1 killed (SIGKILL); run 2 killed (SIGKILL)"
    last = dataclasses.replace(chunk.tracks[-1], history=earlier)
    tracks = list(extractor.extract(dataclasses.replace(chunk, tracks=(*chunk.tracks[:-1], last))))
    rows = [part_row(track, None) for track in tracks]
    assert [row["reason"] for row in rows] == ["unavailable"] * (FIRST_IN_A_ROW + 4) + ["crash"]
    assert {row["stage"] for row in rows} == {"decode"} and all(row["source_sha256"] for row in rows)
    assert rows[-1]["detail"] == f"{earlier}; run 3 killed (SIGKILL, SIGKILL, SIGKILL)"


def _refuse(url: str, **_: object) -> bytes:
    raise storage.PermissionDenied(f"{url}: 403")


def test_a_storage_that_refuses_the_first_tracks_stops_the_job(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "read_bytes", _refuse)
    with pytest.raises(StorageUnavailable, match=r"the first 20 tracks could not be read.*403"):
        list(_extractor(root).extract(_chunk(*["good.wav"] * FIRST_IN_A_ROW)))


def test_tracks_that_the_last_run_could_not_read_stop_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "read_bytes", _refuse)
    chunk = _chunk(*["good.wav"] * (FIRST_IN_A_ROW + 5))
    again = dataclasses.replace(chunk, tracks=tuple(dataclasses.replace(t, retried=True) for t in chunk.tracks))
    tracks = list(_extractor(root).extract(again))
    assert {track.error.reason for track in tracks if track.error} == {"unavailable"}
    assert len(tracks) == FIRST_IN_A_ROW + 5


def test_what_is_told_of_a_track_does_not_say_where_the_catalog_lies(root: Path) -> None:
    (missing,) = _extractor(root).extract(_chunk("missing.wav"))
    (long,) = _extractor(root, Limits(max_bytes=100)).extract(_chunk("good.wav"))
    assert all(track.error and track.error.detail and str(root) not in track.error.detail for track in (missing, long))


def test_one_refusal_among_many_is_a_row(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = storage.read_bytes
    monkeypatch.setattr(storage, "read_bytes", lambda url, **k: _refuse(url) if "missing" in url else real(url, **k))
    uris = ["good.wav"] + ["missing.wav"] * (FIRST_IN_A_ROW + 5)
    extractor = _extractor(root)
    extractor._breaker.succeeded()
    reasons = [track.error.reason if track.error else None for track in extractor.extract(_chunk(*uris))]
    assert reasons == [None] + ["unavailable"] * (FIRST_IN_A_ROW + 5)
    assert extraction.read_source("good.wav", SourceRoots(str(root)), Limits())


def test_chunks_of_two_workers_are_extracted_one_after_the_other(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, order = extraction.read_source, []

    def note(uri: str, roots: SourceRoots, limits: Limits) -> bytes:
        order.append(Path(uri).stem)
        return read(uri, roots, limits)

    monkeypatch.setattr(extraction, "read_source", note)
    (root / "other.wav").write_bytes((root / "good.wav").read_bytes())
    chunks = [_extractor(root).extract(_chunk(*[name] * 12)) for name in ("good.wav", "other.wav")]
    assert [track.error for chunk in chunks for track in chunk] == [None] * 24
    assert order[:10] == ["good"] * 10 and order[-10:] == ["other"] * 10
