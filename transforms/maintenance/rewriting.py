"""Rewrites the files of a snapshot without some tracks, under new names; and the snapshot's counts."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from transforms.aggregates.without_tracks import rows_without_tracks
from transforms.audio.errors import SourceUnavailable
from transforms.formats.parquet import CheckedFile
from transforms.schemas.tables import DELETED_BY, DELETES, LEDGER, PER_BUCKET, TABLES
from transforms.table.neighbours import NEIGHBOURS_TABLE, neighbours_without
from transforms.table.reader import EVERY_EMBEDDING, SnapshotReader
from transforms.table.snapshots import DataFile, EarlierIds, Run, Snapshot
from transforms.table.versions import TableError
from transforms.tagging.bucket_files import write_table_file
from transforms.tagging.outcomes.prior import PriorOutcomes

_COUNTED = ["status", "reason", "tagger_id"]
"""Columns of the ledger that the counts of a run depend on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rewritten:
    """A snapshot without the tracks, not yet written.

    Attributes:
      snapshot: its new record.
      files: old path -> new path of the rewritten data files, which are written; None if their rows, or what they took
        out, are in no further file.
      tracks: number of tracks that were taken out.
    """

    snapshot: Snapshot
    files: dict[str, str | None]
    tracks: int


def rewritten(
    reader: SnapshotReader,
    ids: frozenset[str],
    paths: frozenset[str],
    mark: str,
    when: str,
    *,
    without_index: bool = False,
) -> Rewritten:
    """Writes those files of the snapshot that name one of the tracks, or tags of its artist or album, without them.

    Args:
      reader: the snapshot.
      ids: the tracks.
      paths: files that name one of them.
      mark: name of this removal, recorded in the snapshot.
      when: its time (ISO format, UTC).
      without_index: whether the snapshot's search index has one of the tracks, so that the snapshot loses it.

    Raises:
      TableError: the snapshot has a table that this version does not know.
      storage.StorageError: a file is missing or damaged.
    """
    run, wanted = reader.manifest.run, pa.array(sorted(ids), pa.string())
    if strange := {file.table for file in run.files} - {*TABLES, *DELETES}:
        raise TableError(f"{reader.root}: snapshot {reader.manifest.number} has the table {min(strange)}: upgrade")
    originals = _new_originals(reader, wanted)
    files, gone = dict[str, DataFile | None](), LEDGER.empty_table().select(_COUNTED)
    for own in _together(run, paths):
        rows = _live_rows(reader, own)
        if own[0].table == NEIGHBOURS_TABLE:
            files |= _replaced(reader, own, neighbours_without(rows, wanted))
            continue
        kept = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=wanted)))
        if own[0].table == "ledger":
            lost = rows.filter(pc.is_in(rows["track_id"], value_set=wanted)).select(_COUNTED)
            gone = pa.concat_tables([gone, lost.replace_schema_metadata().cast(gone.schema)])
            kept = _with_originals(kept, originals)
        files |= _replaced(reader, own, kept)
    for file, rows in rows_without_tracks(reader, wanted):
        files |= _replaced(reader, _of_bucket(run, file.table, file.bucket), rows)
    left = {(new.table, new.bucket) for new in files.values() if new is not None}
    for kind, (_, tables) in DELETED_BY.items():
        emptied = {bucket for name, bucket in left if name in tables}
        files |= {file.path: None for file in run.files if file.table == kind and file.bucket in emptied}
    new_files = [files.get(file.path, file) for file in run.files]
    marked = dataclasses.replace(
        _recounted(run, gone),
        files=tuple(file for file in new_files if file is not None),
        purged={**run.purged, mark: {"tracks": gone.num_rows, "when": when}},
    )
    if run.neighbours:
        removed, index = run.neighbours["removed"] + gone.num_rows, None if without_index else run.neighbours["index"]
        marked = dataclasses.replace(marked, neighbours={**run.neighbours, "removed": removed, "index": index})
    names = {old: None if new is None else new.path for old, new in files.items()}
    snapshot = dataclasses.replace(reader.manifest, run=marked)
    return Rewritten(snapshot=snapshot, files=names, tracks=gone.num_rows)


def _together(run: Run, paths: frozenset[str]) -> Iterator[list[DataFile]]:
    """The files that are written again as one: each of the paths alone, and all of a table's bucket with levels.

    If a bucket of tracks has levels, all of its tables are compacted, so that it needs no delete file.
    """
    touched = {file.bucket for file in run.files if file.path in paths and file.table in (*PER_BUCKET, "track_deletes")}
    in_levels = {file.bucket for file in run.files if file.merged and file.table in PER_BUCKET} & touched
    for name in PER_BUCKET:
        yield from (_of_bucket(run, name, bucket) for bucket in sorted(in_levels))
    # Neighbours and tags of artists have no levels, even in a bucket with the number of one that has.
    done = {(name, bucket) for name in (*PER_BUCKET, *DELETES) for bucket in in_levels}
    yield from ([file] for file in run.files if file.path in paths and (file.table, file.bucket) not in done)


def _of_bucket(run: Run, name: str, bucket: int) -> list[DataFile]:
    """The files of a table's bucket, the newest last."""
    return sorted((f for f in run.files if (f.table, f.bucket) == (name, bucket)), key=lambda f: f.order)


def _live_rows(reader: SnapshotReader, own: list[DataFile]) -> pa.Table:
    if len(own) == 1 and not own[0].merged:
        return read_whole(reader, own[0])
    embedding_id = EVERY_EMBEDDING if own[0].table == "embeddings" else None
    return reader.scan(own[0].table, bucket=own[0].bucket, embedding_id=embedding_id)


def _replaced(reader: SnapshotReader, own: list[DataFile], rows: pa.Table) -> dict[str, DataFile | None]:
    """Writes rows in place of files: their paths, the newest with the new file, the others with None."""
    return {file.path: None for file in own[:-1]} | {own[-1].path: _write(reader, own[-1], rows)}


def read_whole(reader: SnapshotReader, file: DataFile) -> pa.Table:
    """All rows of a data file, compared with its checksums."""
    with reader.open(file) as stream, CheckedFile(stream) as parquet:
        return parquet.read(use_threads=False).replace_schema_metadata()


def _write(reader: SnapshotReader, file: DataFile, rows: pa.Table) -> DataFile:
    """Writes the rows beside the file that they come from."""
    ids = reader.manifest.run.ids
    place = PriorOutcomes(root=reader.root, parent=None, ids=ids, due_again=frozenset())
    return dataclasses.replace(write_table_file(place, file.bucket, file.table, rows, file.run_id), order=file.order)


def _new_originals(reader: SnapshotReader, wanted: pa.Array) -> dict[str, str]:
    """Original that is taken out -> the smallest other track with the same bytes, in all buckets."""
    smallest: dict[str, str] = {}
    for batch in reader.batches("ledger", ["track_id", "duplicate_of"]):
        pairs = pa.Table.from_batches([batch])
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
