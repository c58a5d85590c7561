"""Writes one TFRecord file and one report per chunk, with the same bytes on every worker."""

import dataclasses
import hashlib
import io
import json
import logging
from collections.abc import Collection, Iterable, Iterator

from transforms import storage
from transforms.audio.errors import DUE_AGAIN
from transforms.dataset.example import Example, decode_example, encode_example
from transforms.dataset.manifest import TIED, DatasetError, ShardEntry
from transforms.dataset.plan import ChunkReport, LabelledChunk, LabelledTrack, TrackOutcome
from transforms.dataset.stats import DatasetStats
from transforms.extraction.chunk_extractor import ExtractedTrack
from transforms.features.spec import FeatureSpec
from transforms.formats.blocks import crc32c_hex
from transforms.formats.hashing import digest
from transforms.formats.sealing import read_record, sealed_bytes
from transforms.formats.tfrecord import frame, read_records
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.targets import encode_targets

_log = logging.getLogger(__name__)

WORK_FOLDER = "work"
"""Folder in the dataset with the reports of finished chunks, from which the next run resumes after a killed one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardSettings:
    """The dataset that shards are written to, and the feature spec and taxonomy of their examples."""

    dataset: str
    spec: FeatureSpec
    taxonomy: Taxonomy


_DAMAGE = (storage.StorageError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a damaged report or shard raises."""


def read_report(fingerprint: str, settings: ShardSettings) -> ChunkReport | None:
    """The report of a chunk that an earlier run finished, or None.

    A report that is damaged, or whose shard is, counts as absent: a warning names it and the chunk is decoded again.
    """
    url = _report_url(fingerprint, settings)
    try:
        report = read_record(url, "a report", ChunkReport.from_json, DatasetError)
        _check(report, fingerprint, settings)
    except storage.NotFound:
        return None
    except _DAMAGE as fault:
        reason = " ".join(str(fault).removeprefix(f"{url}: ").split())[:500]
        _log.warning("%s: ignored, its tracks are decoded again: damaged or without its shard: %s", url, reason)
        return None
    return report


def _check(report: ChunkReport, fingerprint: str, settings: ShardSettings) -> None:
    """Raises ValueError or StorageError unless report and shard belong to this chunk and are whole."""
    examples = sum(outcome.reason is None for outcome in report.outcomes)
    if report.fingerprint != fingerprint or examples != (report.shard.examples if report.shard else 0):
        raise ValueError("its fields contradict each other")
    _check_stats(report, examples, settings)
    if report.shard is not None:
        try:
            data = storage.read_bytes(storage.join(settings.dataset, report.shard.path))
        except storage.NotFound as error:
            raise ValueError(f"{report.shard.path} is missing") from error
        if hashlib.sha256(data).hexdigest() != report.shard.sha256:
            raise ValueError(f"{report.shard.path} has another SHA-256")


def _check_stats(report: ChunkReport, examples: int, settings: ShardSettings) -> None:
    """Raises ValueError unless the sums of a report can be those of its examples."""
    stats, tags, mels = report.stats, len(settings.taxonomy.tags), settings.spec.n_mels
    rows = [*stats.positive.values(), *stats.known.values()]
    own = {report.split: examples} if examples else {}
    frames = report.shard.patches * settings.spec.patch_shape[0] if report.shard and report.split == "train" else 0
    bands = mels if frames else 0
    if (
        dict(stats.splits) != own
        or not set(stats.positive) == set(stats.known) == set(own)
        or any(len(row) != tags or row.min() < 0 or row.max() > examples for row in rows)
        or stats.frames != frames
        or not len(stats.mel_sums) == len(stats.mel_squares) == bands
        or any(type(value) is not int for value in (*stats.mel_sums, *stats.mel_squares))
        or (report.shard is not None and report.shard.split != report.split)
    ):
        raise ValueError("its sums are not those of its examples")


def _report_url(fingerprint: str, settings: ShardSettings) -> str:
    return storage.join(settings.dataset, WORK_FOLDER, f"{fingerprint}.json")


def finish_chunk(chunk: LabelledChunk, extracted: Iterable[ExtractedTrack], settings: ShardSettings) -> ChunkReport:
    """Writes the chunk's shard, then its report.

    If a track is due again in the next run (its file was missing or the storage failed), no report is written. The
    next run then repeats the chunk.

    Args:
      chunk: the planned chunk.
      extracted: extracted features or errors of its tracks, in the same order.
      settings: dataset, feature spec and taxonomy.
    """
    examples: list[tuple[str, Example]] = []
    outcomes = []
    for planned, track in zip(chunk.tracks, extracted, strict=True):
        outcome, example = _outcome(planned, track, settings)
        outcomes.append(outcome)
        if example is not None and track.sha256 is not None:
            examples.append((track.sha256, example))
    fingerprint = chunk.fingerprint(settings.spec.feature_id, settings.taxonomy.taxonomy_id)
    report = _report(fingerprint, chunk.split, examples, outcomes, settings)
    if not any(outcome.reason in DUE_AGAIN for outcome in outcomes):
        _keep(report, settings)
    return report


def _outcome(
    planned: LabelledTrack, track: ExtractedTrack, settings: ShardSettings
) -> tuple[TrackOutcome, Example | None]:
    source = track.source
    if track.features is None:
        return _rejected(track), None
    labels = encode_targets(planned.tags, settings.taxonomy)
    example = Example(
        track_id=source.track_id,
        group=planned.group,
        duration_s=track.features.facts.duration_s,
        patches=track.features.patches,
        starts_s=track.features.starts_s,
        targets=labels.targets,
        mask=labels.mask,
        feature_id=settings.spec.feature_id,
        taxonomy_id=settings.taxonomy.taxonomy_id,
    )
    return TrackOutcome(
        track_id=source.track_id,
        uri=source.uri,
        sha256=track.sha256,
        conflicts=labels.conflicts,
        unknown=labels.unknown,
        redirected=labels.redirected,
    ), example


def _rejected(track: ExtractedTrack) -> TrackOutcome:
    if track.error is None:
        raise ValueError(f"{track.source.track_id}: neither features nor an error")
    return TrackOutcome(
        track_id=track.source.track_id,
        uri=track.source.uri,
        sha256=track.sha256,
        reason=track.error.reason,
        detail=track.detail,
        stage=track.error.stage,
    )


def _report(
    fingerprint: str,
    split: str,
    examples: list[tuple[str, Example]],
    outcomes: list[TrackOutcome],
    settings: ShardSettings,
) -> ChunkReport:
    shard, kept = _write_shard(split, examples, settings) if examples else (None, [])
    return ChunkReport(
        fingerprint=fingerprint,
        split=split,
        shard=shard,
        outcomes=tuple(outcomes),
        stats=_stats(split, kept, outcomes),
    )


def _write_shard(
    split: str, examples: list[tuple[str, Example]], settings: ShardSettings
) -> tuple[ShardEntry, list[Example]]:
    """Creates `<split>-<fingerprint>.tfrecord`, named by its content, and returns it with its examples.

    If the name is taken, an earlier attempt wrote the file, possibly on another kind of machine. Its bytes are used,
    unless they are damaged: then the file is replaced.
    """
    keys = [(sha256, e.track_id, e.group, e.targets.tobytes().hex(), e.mask.tobytes().hex()) for sha256, e in examples]
    fingerprint = digest(settings.spec.feature_id, settings.taxonomy.taxonomy_id, split, json.dumps(keys))[:24]
    path = f"{split}-{fingerprint}.tfrecord"
    url = storage.join(settings.dataset, path)
    data = b"".join(frame(encode_example(example)) for _, example in examples)
    try:
        storage.create(url, data)
    except storage.AlreadyExists:
        if found := _whole_shard(url, [example.track_id for _, example in examples]):
            data = found
        else:
            storage.write_bytes(url, data)
    kept = list(_examples(data))
    entry = ShardEntry(
        path=path,
        split=split,
        examples=len(kept),
        patches=sum(len(example.patches) for example in kept),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        checksums=crc32c_hex(data),
    )
    return entry, kept


def _whole_shard(url: str, track_ids: list[str]) -> bytes | None:
    """The bytes of a shard with examples of just these tracks; None if it cannot be read or is damaged."""
    try:
        data = storage.read_bytes(url)
        return data if [example.track_id for example in _examples(data)] == track_ids else None
    except _DAMAGE:
        return None


def _examples(data: bytes) -> Iterator[Example]:
    return (decode_example(record) for record in read_records(io.BytesIO(data)))


def _stats(split: str, examples: Iterable[Example], outcomes: Iterable[TrackOutcome]) -> DatasetStats:
    stats = DatasetStats()
    by_track = {outcome.track_id: outcome for outcome in outcomes}
    for example in examples:
        outcome = by_track[example.track_id]
        stats.add_example(split, example, outcome.conflicts, outcome.unknown, outcome.redirected)
    for outcome in by_track.values():
        if outcome.reason == TIED:
            stats.add_none("tied")
        elif outcome.reason is not None:
            stats.add_reject(outcome.reason)
    return stats


def _keep(report: ChunkReport, settings: ShardSettings) -> None:
    """Marks the chunk as finished, unless another worker has already done so. A damaged report is replaced."""
    url, data = _report_url(report.fingerprint, settings), sealed_bytes(report.to_json())
    try:
        storage.create(url, data)
    except storage.AlreadyExists:
        if read_report(report.fingerprint, settings) is None:
            storage.write_bytes(url, data)


def without_tied(report: ChunkReport, tied: Collection[str], settings: ShardSettings) -> ChunkReport:
    """Returns the report without the tied tracks, and writes a shard without them.

    The chunk's first shard is kept for a later run of the same work until the dataset is finished.
    """
    if report.shard is None or not tied:
        return report
    data = storage.read_bytes(storage.join(settings.dataset, report.shard.path))
    digests = {outcome.track_id: outcome.sha256 or "" for outcome in report.outcomes}
    kept = [(digests[e.track_id], e) for e in _examples(data) if e.track_id not in tied]
    outcomes = [_tied(outcome) if outcome.track_id in tied else outcome for outcome in report.outcomes]
    return _report(report.fingerprint, report.split, kept, outcomes, settings)


def _tied(outcome: TrackOutcome) -> TrackOutcome:
    detail = f"the same bytes (SHA-256 {outcome.sha256}) are on two sides of the split"
    return dataclasses.replace(outcome, reason=TIED, detail=detail, stage="split")
