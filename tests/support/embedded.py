"""Published tables of tracks with given embeddings and durations, without audio, tags or a bundle."""

import numpy as np
import pyarrow as pa

from transforms.audio.errors import DUE_AGAIN
from transforms.formats.arrow import group_numbers
from transforms.publishing.commit import commit_run, write_run
from transforms.schemas.tables import EMBEDDINGS, LEDGER, TABLES, TRACK_TAGS, TRACKS
from transforms.table.neighbours import kept_neighbours
from transforms.table.snapshots import EarlierIds, Ids, Run, Snapshot, current_snapshot
from transforms.table.versions import open_table
from transforms.tagging.bucket_files import write_table_file
from transforms.tagging.outcomes.prior import PriorOutcomes

BUCKETS = 3
TAGGER = "tg-1"


def ids_of(embedding_id: str = "em-1") -> Ids:
    return Ids(feature_id="fs-1", embedding_id=embedding_id, tagger_id=TAGGER, taxonomy_id="tx-1")


def publish_embedded(
    root, tracks, *, earlier=None, embedding_id="em-1", buckets=BUCKETS, parts=(), trunk_ids=()
) -> Snapshot:
    """Publishes the next snapshot with exactly these tracks: id -> (embedding, duration in seconds).

    With `earlier`, the snapshot is mixed: its tracks have the embedding `em-0`, of another length if need be. With
    `parts` and `trunk_ids`, the run names them of its own embedding.
    """
    open_table(str(root), buckets)
    parent, earlier = current_snapshot(str(root)), earlier or {}
    own, before = ids_of(embedding_id), ids_of("em-0")
    number = 1 if parent is None else parent.number + 1
    run_id, files = f"run-{number}", []
    known = PriorOutcomes(root=str(root), parent=number - 1 or None, ids=own, due_again=DUE_AGAIN, buckets=buckets)
    rows = {**{t: (own, *v) for t, v in tracks.items()}, **{t: (before, *v) for t, v in earlier.items()}}
    names = sorted(rows)
    numbers = group_numbers(names, buckets)
    for bucket in range(buckets):
        inside = [names[i] for i in np.flatnonzero(numbers == bucket)]
        for table, found in _bucket({name: rows[name] for name in inside}, run_id).items():
            files.append(write_table_file(known, bucket, table, found, run_id))
    taxonomy = [{"tag": "mood/calm", "category": "mood", "kind": "multilabel", "name": "Calm", "parents": []}]
    files.append(write_table_file(known, -1, "taxonomy", pa.Table.from_pylist(taxonomy, TABLES["taxonomy"]), run_id))
    ids_before = set() if parent is None else set(_ids(str(root)))
    changes = {"added": len(set(names) - ids_before), "removed": len(ids_before - set(names))}
    kept_files, record = kept_neighbours(None if parent is None else parent.run, changes, changes["added"])
    counts = {"catalog": len(rows), "tagged": len(rows), "carried": 0, "rejected": 0, "unavailable": 0}
    mixed = EarlierIds(ids=before, tracks=len(earlier), rejected=0, thresholds={"mood/calm": 2.0})
    run = Run(
        run_id=run_id,
        parent=known.parent,
        ids=own,
        counts={**counts, "decoded": len(rows), "reused": 0},
        reasons={},
        options={},
        files=(*files, *kept_files),
        changes=changes,
        earlier=(mixed,) if earlier else (),
        neighbours=record,
        embedding_parts={embedding_id: tuple(parts)} if parts else {},
        trunk_ids={embedding_id: tuple(trunk_ids)} if trunk_ids else {},
    )
    return commit_run(str(root), write_run(str(root), run))


def _ids(root):
    from transforms.table.reader import open_snapshot

    return open_snapshot(root).scan("tracks", ["track_id"])["track_id"].to_pylist()


def _bucket(rows, run_id):
    def filled(schema, given):
        def column(field):
            if field.name in given:
                return given[field.name]
            if field.nullable or pa.types.is_list(field.type):
                return pa.nulls(len(rows), field.type)
            return pa.array([getattr(one[0], field.name, "1") for one in rows.values()], field.type)

        return pa.Table.from_arrays([column(field) for field in schema], schema=schema)

    names = pa.array(list(rows), pa.string())
    embeddings = pa.array([one[1].tolist() for one in rows.values()], EMBEDDINGS.field("embedding").type)
    facts = {
        "duration_s": pa.array([one[2] for one in rows.values()], pa.float32()),
        "sample_rate": pa.array([44_100] * len(rows), pa.int32()),
        "channels": pa.array([2] * len(rows), pa.int16()),
        "top_tags": pa.array([[]] * len(rows), TRACKS.field("top_tags").type),
    }
    tags = {
        "tag": pa.array(["mood/calm"] * len(rows)),
        "score": pa.array([round(min(one[2] / 400, 1), 3) for one in rows.values()], pa.float32()),
        "category": pa.array(["mood"] * len(rows)),
        "rank": pa.array([1] * len(rows), pa.int16()),
        "is_positive": pa.array([False] * len(rows)),
        "source": pa.array(["model"] * len(rows)),
    }
    ledger = {"status": pa.array(["tagged"] * len(rows)), "run_id": pa.array([run_id] * len(rows))}
    return {
        "tracks": filled(TRACKS, {"track_id": names, **facts}),
        "embeddings": filled(EMBEDDINGS, {"track_id": names, "embedding": embeddings}),
        "ledger": filled(LEDGER, {"track_id": names, **ledger}),
        "track_tags": filled(TRACK_TAGS, {"track_id": names, **tags}).sort_by([("score", "descending")]),
    }


class Catalog:
    """Tracks that change at random: clustered embeddings, some of them the same recording as another."""

    def __init__(self, seed: int, dimensions: int = 24) -> None:
        self.rng, self.tracks, self._next = np.random.default_rng(seed), {}, 0
        self._centres = self.rng.normal(size=(12, dimensions))

    def add(self, count: int) -> None:
        for _ in range(count):
            self.tracks[f"track-{self._next:06}"] = self._made()
            self._next += 1

    def remove(self, count: int) -> None:
        for name in self._some(count):
            del self.tracks[name]

    def change(self, count: int) -> None:
        for name in self._some(count):
            self.tracks[name] = self._made()

    def lengthen(self, count: int) -> None:
        """Changes durations alone."""
        for name in self._some(count):
            self.tracks[name] = (self.tracks[name][0], self.tracks[name][1] + 30)

    def _some(self, count: int):
        return self.rng.choice(sorted(self.tracks), min(count, len(self.tracks)), replace=False).tolist()

    def _made(self):
        if self.tracks and self.rng.random() < 0.1:  # the same recording, or another length of it
            embedding, length = self.tracks[self._some(1)[0]]
            return embedding, length + float(self.rng.choice([0, 0.25, 30]))
        centre = self._centres[self.rng.integers(len(self._centres))]
        embedding = (centre + 0.8 * self.rng.normal(size=len(centre))).astype(np.float16).astype(np.float32)
        return embedding, float(self.rng.integers(100, 300))
