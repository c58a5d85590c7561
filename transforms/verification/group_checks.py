"""Checks the tags of artists and albums: known tags, buckets, shares, and the conservation of tracks."""

from collections import Counter
from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from transforms.formats.hashing import bucket_of
from transforms.schemas.tables import GROUPED_BY
from transforms.table.snapshots import DataFile, Run
from transforms.verification.bucket_checks import CheckedTags


class GroupCounts:
    """Tracks with an artist or album, in `tracks` and in the tags of artists and albums.

    Args:
      run: the run of the snapshot.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._in_tracks: Counter[str] = Counter()
        self._in_groups: Counter[str] = Counter()

    def add_tracks(self, tracks: pa.Table) -> None:
        """Counts the rows of a bucket's `tracks`; without those of other taggers, if not all scores are published."""
        if self._run.earlier and (self._run.options.get("min_score") or self._run.options.get("top_k") is not None):
            tracks = tracks.filter(pc.equal(tracks["tagger_id"], self._run.ids.tagger_id))
        for name, key in GROUPED_BY.items():
            self._in_tracks[name] += len(tracks) - tracks[key].null_count

    def row_problems(self, rows: pa.Table, file: DataFile, tags: CheckedTags, buckets: int) -> Iterator[str]:
        """Counts the tracks of a file of tags of groups, and yields one sentence per inconsistency of its rows."""
        key = GROUPED_BY[file.table]
        firsts = rows.group_by(key).aggregate([("tracks", "min"), ("tracks", "max")])
        self._in_groups[file.table] += pc.sum(firsts["tracks_min"]).as_py() or 0
        if not firsts["tracks_min"].equals(firsts["tracks_max"]):
            yield f"{file.path}: rows of one {key} have different numbers of tracks"
        strangers = [group for group in firsts[key].to_pylist() if bucket_of(group, buckets) != file.bucket]
        if strangers:
            yield f"{file.path}: {len(strangers)} groups of other buckets, e.g. {strangers[0]!r}"
        unknown = set(pc.unique(rows["tag"]).to_pylist()) - set(tags.ids)
        if unknown:
            yield f"{file.path}: tags that are not in the taxonomy: {sorted(unknown)[:3]}"
        if repeated := len(rows) - rows.group_by([key, "tag"]).aggregate([]).num_rows:
            yield f"{file.path}: {repeated} tags occur more than once"
        for name, low, high in (
            ("mean_score", self._run.options.get("min_score") or 0, 1),
            ("positive_share", 0, 1),
            ("score_spread", 0, 0.5),
            ("tracks", 1, self._run.counts["catalog"]),
            ("rank", 1, self._run.options.get("top_k") or len(tags.ids)),
        ):
            bounds = pc.min_max(rows[name]).as_py()
            if bounds["min"] is not None and not low - 1e-6 <= bounds["min"] <= bounds["max"] <= high + 1e-6:
                yield f"{file.path}: {name} from {bounds['min']:.6g} to {bounds['max']:.6g}, not within {low} to {high}"

    def problems(self, unread: Collection[str] = ()) -> Iterator[str]:
        """Conservation, if the snapshot has tags of groups: every track with a group counts once in it.

        Args:
          unread: tables of which a file could not be read, so that their tracks are not known.
        """
        present = {file.table for file in self._run.files} & GROUPED_BY.keys() - set(unread)
        if "tracks" in unread:
            return
        for name in sorted(present if not self._run.options.get("min_score") else ()):
            if self._in_tracks[name] != self._in_groups[name]:
                yield (
                    f"{name}: {self._in_groups[name]} tracks, but {self._in_tracks[name]} tracks have a "
                    f"{GROUPED_BY[name]}"
                )
