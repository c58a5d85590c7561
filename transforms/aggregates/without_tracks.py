"""Tags of artists and albums of a published snapshot after some of their tracks were taken out."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.aggregates.group_tags import group_tags
from transforms.aggregates.pieces import TagKey, packed_scores, pieces_of
from transforms.formats.arrow import group_numbers
from transforms.formats.parquet import SORTED_BY
from transforms.schemas.tables import GROUPED_BY
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import DataFile
from transforms.tagging.assembly import PublishedRows


def rows_without_tracks(snapshot: SnapshotReader, ids: pa.Array) -> Iterator[tuple[DataFile, pa.Table]]:
    """Yields the base file of each bucket that changes because it has a group of one of the tracks, and all its rows.

    The groups are summed again over their other tracks, bucket by bucket. If the snapshot does not have all scores,
    because it was published with `--min-score` or `--top-k`, their rows are left out: the next run of `tag` writes
    them again.

    Args:
      snapshot: the snapshot, with the tracks.
      ids: the tracks.
    """
    own = snapshot.scan("tracks", ["track_id", *GROUPED_BY.values()], track_ids=ids)
    touched = {name: pc.unique(own[key]).drop_null() for name, key in GROUPED_BY.items() if snapshot.files(name)}
    touched = {name: groups for name, groups in touched.items() if len(groups)}
    if not touched:
        return
    listed = snapshot.scan("taxonomy").to_pylist()
    tags = sorted((row["category"], row["tag"]) for row in listed if row.get("rule") is None)
    options = PublishedRows.from_json(snapshot.manifest.run.options)
    pieces = _pieces(snapshot, ids, touched, tags) if options == PublishedRows() else {}
    for name, groups in touched.items():
        key, summed = GROUPED_BY[name], group_tags(name, pieces.get(name, ()), tags, options)
        numbers, new = (
            group_numbers(names.to_pylist(), snapshot.buckets) for names in (groups, summed[GROUPED_BY[name]])
        )
        for file in snapshot.manifest.base_files(name):
            if file.bucket in numbers:
                rows = snapshot.scan(name, bucket=file.bucket)
                kept = rows.filter(pc.invert(pc.is_in(rows[key], value_set=groups)))
                both = pa.concat_tables([kept.cast(summed.schema), summed.filter(pa.array(new == file.bucket))])
                if not (both := both.sort_by(SORTED_BY[name])).equals(rows):
                    yield file, both


def _pieces(
    snapshot: SnapshotReader, ids: pa.Array, touched: Mapping[str, pa.Array], tags: list[TagKey]
) -> dict[str, list[pa.Table]]:
    """Pieces of the touched groups, from their tracks in all buckets but for the given ones."""
    pieces: dict[str, list[pa.Table]] = {name: [] for name in touched}
    for bucket in range(snapshot.buckets):
        tracks = snapshot.scan("tracks", ["track_id", *GROUPED_BY.values()], bucket=bucket)
        tracks = tracks.filter(pc.invert(pc.is_in(tracks["track_id"], value_set=ids)))
        members = {name: pc.is_in(tracks[GROUPED_BY[name]], value_set=groups) for name, groups in touched.items()}
        tracks = tracks.filter(pa.array(np.any([own.to_numpy() for own in members.values()], axis=0), pa.bool_()))
        if not tracks.num_rows:
            continue
        packed = _packed(snapshot, bucket, tracks["track_id"].combine_chunks(), tags)
        for name, groups in touched.items():
            own = tracks[GROUPED_BY[name]].combine_chunks()
            pieces[name].append(pieces_of(pc.if_else(pc.is_in(own, value_set=groups), own, None), packed))
    return pieces


def _packed(snapshot: SnapshotReader, bucket: int, tracks: pa.Array, tags: list[TagKey]) -> npt.NDArray[np.uint16]:
    """Scores and positives of tracks of a bucket, see `packed_scores`."""
    packed, names = np.zeros((len(tracks), len(tags)), np.uint16), pa.array([tag for _, tag in tags], pa.string())
    for batch in snapshot.batches("track_tags", ["track_id", "tag", "score", "is_positive"], bucket=bucket):
        row = pc.index_in(batch["track_id"], value_set=tracks)
        place = pc.index_in(batch["tag"], value_set=names)
        own = pc.and_(row.is_valid(), place.is_valid())  # tags of rules are in no sum
        batch, row, place = batch.filter(own), row.filter(own).to_numpy(), place.filter(own).to_numpy()
        positives = batch["is_positive"].to_numpy(zero_copy_only=False)
        packed[row, place] = packed_scores(batch["score"].to_numpy(), positives)
    return packed
