"""Writes one bucket's tables as immutable files, and counts the outcomes of its tracks."""

import dataclasses
from collections import Counter
from collections.abc import Mapping

import pyarrow as pa

from transforms import storage
from transforms.audio.errors import SourceUnavailable
from transforms.formats.blocks import checksums_of
from transforms.formats.hashing import sha256_hex
from transforms.formats.parquet import parquet_bytes
from transforms.levels.writing import LevelWriter
from transforms.schemas.tables import PER_BUCKET
from transforms.table.content import comparable_digest
from transforms.table.snapshots import DataFile
from transforms.tagging.kept_rows import KeptIds, kept_ids
from transforms.tagging.outcomes.assembled import added_tracks
from transforms.tagging.outcomes.prior import PriorOutcomes


@dataclasses.dataclass(frozen=True, kw_only=True)
class BucketReport:
    """Files and counts of one assembled bucket.

    Attributes:
      files: all its files in the new snapshot, those of earlier runs that stay among them.
      added: number of tracks that the parent snapshot lacks.
      kept: rows that the bucket has under other ids than those of the run.
    """

    files: tuple[DataFile, ...]
    counts: dict[str, int]
    reasons: dict[str, int]
    added: int
    kept: tuple[KeptIds, ...] = ()


def write_bucket(
    known: PriorOutcomes,
    bucket: int,
    tables: dict[str, pa.Table],
    run_id: str,
    postponed: Mapping[str, int] | None = None,
) -> BucketReport:
    """Writes what changed in each table of the bucket under the run's folder and counts the ledger's rows.

    Counts: `catalog`, one per status, `unavailable` (part of the rejected), `fresh` (outcomes newer than the parent),
    and those of `postponed_counts`, if they are given.
    """
    files = write_levels(known, bucket, tables, run_id)
    ledger = tables["ledger"]
    counts = Counter(ledger["status"].to_pylist())
    reasons = Counter(reason for reason in ledger["reason"].to_pylist() if reason)
    counts |= {"catalog": ledger.num_rows, "unavailable": reasons[SourceUnavailable.reason]}
    counts["fresh"] = ledger["run_id"].to_pylist().count(run_id)
    counts |= postponed or {}
    added = added_tracks(known, bucket, ledger)
    kept = kept_ids(ledger, known.ids)
    return BucketReport(files=tuple(files), counts=dict(counts), reasons=dict(reasons), added=added, kept=kept)


def write_levels(known: PriorOutcomes, bucket: int, tables: Mapping[str, pa.Table], run_id: str) -> list[DataFile]:
    """Writes what changed in the tables of a bucket; returns all their files, those of earlier runs among them."""
    writer = LevelWriter(
        parent=known.files_before,
        ids=known.ids,
        order=known.order,
        compaction=known.compaction,
        write=lambda bucket, name, rows: write_table_file(known, bucket, name, rows, run_id),
    )
    return writer.bucket(bucket, tables)


def write_table_file(known: PriorOutcomes, bucket: int, name: str, table: pa.Table, run_id: str) -> DataFile:
    """Writes one file, named by its content, so that a retry of the same work finds it. Bucket -1 means no bucket."""
    data = parquet_bytes(table, name=name, ids={**dataclasses.asdict(known.ids), "run_id": run_id})
    sha256 = sha256_hex(data)
    folder = f"data/run={run_id}" + (f"/bucket={bucket:04d}" if bucket >= 0 else "")
    path = f"{folder}/{name}-{sha256[:16]}.parquet"
    _keep(storage.join(known.written_to, path), data)
    return DataFile(
        table=name,
        path=path,
        bucket=bucket,
        rows=table.num_rows,
        bytes=len(data),
        sha256=sha256,
        content=comparable_digest(name, table) if name in PER_BUCKET else "",
        checksums=checksums_of(data),
        order=known.order,
    )


def _keep(url: str, data: bytes) -> None:
    """Creates the file. If an earlier attempt of this unpublished run left other bytes, they are damaged: replaced."""
    try:
        storage.ensure(url, data)
    except storage.AlreadyExists:
        storage.write_bytes(url, data)
