"""Rewrites the files of a snapshot without some tracks, under new names; and the snapshot's counts."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from transforms.aggregates.without_tracks import rows_without_tracks
from transforms.audio.errors import SourceUnavailable
from transforms.formats.parquet import CheckedFile
from transforms.schemas.tables import LEDGER, TABLES
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import DataFile, EarlierIds, Run, Snapshot
from transforms.table.versions import TableError
from transforms.tagging.bucket_files import write_table_file
from transforms.tagging.outcomes import PriorOutcomes

_COUNTED = ["status", "reason", "tagger_id"]
"""Columns of the ledger that the counts of a run depend on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rewritten:
    """A snapshot without the tracks, not yet written.

    Attributes:
      snapshot: its new record.
      files: old path -> new path of the rewritten data files, which are written.
      tracks: number of tracks that were taken out.
    """

    snapshot: Snapshot
    files: dict[str, str]
    tracks: int


def rewritten(reader: SnapshotReader, ids: frozenset[str], paths: frozenset[str], mark: str, when: str) -> Rewritten:
    """Writes those files of the snapshot that name one of the tracks, or tags of its artist or album, without them.

    Args:
      reader: the snapshot.
      ids: the tracks.
      paths: files that name one of them.
      mark: name of this removal, recorded in the snapshot.
      when: its time (ISO format, UTC).

    Raises:
      TableError: the snapshot has a table that this version does not know.
      storage.StorageError: a file is missing or damaged.
    """
    run, wanted = reader.manifest.run, pa.array(sorted(ids), pa.string())
    if strange := {file.table for file in run.files} - TABLES.keys():
        raise TableError(f"{reader.root}: snapshot {reader.manifest.number} has the table {min(strange)}: upgrade")
    originals = _new_originals(reader, wanted)
    files, gone = dict[str, DataFile](), LEDGER.empty_table().select(_COUNTED)
    for file in run.files:
        if file.path in paths:
            rows = read_whole(reader, file)
            kept = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=wanted)))
            if file.table == "ledger":
                lost = rows.filter(pc.is_in(rows["track_id"], value_set=wanted)).select(_COUNTED)
                gone = pa.concat_tables([gone, lost.replace_schema_metadata().cast(gone.schema)])
                kept = _with_originals(kept, originals)
            files[file.path] = _write(reader, file, kept)
    files |= {file.path: _write(reader, file, rows) for file, rows in rows_without_tracks(reader, wanted)}
    marked = dataclasses.replace(
        _recounted(run, gone),
        files=tuple(files.get(file.path, file) for file in run.files),
        purged={**run.purged, mark: {"tracks": gone.num_rows, "when": when}},
    )
    names = {old: new.path for old, new in files.items()}
    snapshot = dataclasses.replace(reader.manifest, run=marked)
    return Rewritten(snapshot=snapshot, files=names, tracks=gone.num_rows)


def read_whole(reader: SnapshotReader, file: DataFile) -> pa.Table:
    """All rows of a data file, compared with its checksums."""
    with reader.open(file) as stream, CheckedFile(stream) as parquet:
        return parquet.read(use_threads=False).replace_schema_metadata()


def _write(reader: SnapshotReader, file: DataFile, rows: pa.Table) -> DataFile:
    """Writes the rows beside the file that they come from."""
    ids = reader.manifest.run.ids
    place = PriorOutcomes(root=reader.root, parent=None, ids=ids, due_again=frozenset())
    return write_table_file(place, file.bucket, file.table, rows, file.path.split("/")[1].removeprefix("run="))


def _new_originals(reader: SnapshotReader, wanted: pa.Array) -> dict[str, str]:
    """Original that is taken out -> the smallest other track with the same bytes, in all buckets."""
    smallest: dict[str, str] = {}
    for file in reader.manifest.files("ledger"):
        with reader.open(file) as stream, CheckedFile(stream) as parquet:
            pairs = parquet.read(columns=["track_id", "duplicate_of"], use_threads=False)
        pairs = pairs.filter(pc.is_in(pairs["duplicate_of"], value_set=wanted))
        pairs = pairs.filter(pc.invert(pc.is_in(pairs["track_id"], value_set=wanted)))
        for track, original in zip(pairs["track_id"].to_pylist(), pairs["duplicate_of"].to_pylist(), strict=True):
            smallest[original] = min(track, smallest.get(original, track))
    return smallest


def _with_originals(ledger: pa.Table, originals: Mapping[str, str]) -> pa.Table:
    """The ledger with other originals of duplicates; the new original is the duplicate of none."""
    tracks, of = ledger["track_id"].to_pylist(), ledger["duplicate_of"].to_pylist()
    named = [originals.get(original, original) for original in of]
    column = pa.array([None if new == track else new for track, new in zip(tracks, named, strict=True)], pa.string())
    index = ledger.column_names.index("duplicate_of")
    return ledger.set_column(index, ledger.schema.field(index), column)


def _recounted(run: Run, gone: pa.Table) -> Run:
    """The counts without the rows that were taken out of the ledger. Facts about the job's work stay."""
    lost = Counter(gone["status"].to_pylist())
    reasons = Counter(run.reasons) - Counter(reason for reason in gone["reason"].to_pylist() if reason)
    lost |= {"catalog": gone.num_rows, "unavailable": gone["reason"].to_pylist().count(SourceUnavailable.reason)}
    counts: dict[str, Any] = {name: count - lost[name] for name, count in run.counts.items()}
    counted = None if run.counted is None else run.counted - gone.num_rows
    earlier = tuple(_less(one, gone) for one in run.earlier)
    return dataclasses.replace(run, counts=counts, reasons=dict(reasons), counted=counted, earlier=earlier)


def _less(one: EarlierIds, gone: pa.Table) -> EarlierIds:
    """What a mixed snapshot has of an earlier tagger, without the rows that were taken out."""
    lost = Counter(gone.filter(pc.equal(gone["tagger_id"], one.ids.tagger_id))["status"].to_pylist())
    rejected = lost.pop("rejected", 0)
    return dataclasses.replace(one, tracks=one.tracks - lost.total(), rejected=one.rejected - rejected)
