"""Rows of other taggers that a run with a budget keeps: those of tracks that it leaves to later runs.

Their tags and embeddings are copied from the parent snapshot. Metadata of the catalog are those of today.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.schemas.parameters import PARAMETER_NAMES, PARAMETERS_ID
from transforms.schemas.tables import FACT_NAMES, TRACK_TAGS
from transforms.table.reader import EVERY_EMBEDDING, SnapshotReader
from transforms.table.snapshots import POSTPONED, EarlierIds, Ids, Run
from transforms.tagging.assembly import PublishedRows, ScoredTracks, rows_of_tracks
from transforms.taxonomy.hierarchy import Taxonomy

POSTPONED_TAGGED = "postponed_tagged"
"""Count of a bucket: postponed tracks that keep their tags."""


def kept_tracks(outcomes: pa.Table) -> pa.ChunkedArray:
    """Which tracks keep tags of another tagger: bool [rows]."""
    return pc.and_(pc.is_valid(outcomes["kept_embedding_id"]), pc.is_null(outcomes["reason"]))


def with_kept_rows(
    tables: Mapping[str, pa.Table], parent: SnapshotReader | None, bucket: int, rows: pa.Table, outcomes: pa.Table
) -> dict[str, pa.Table]:
    """The tables of a bucket with the rows that it keeps from the parent snapshot.

    Args:
      tables: what `assemble_bucket` returned for the bucket.
      parent: the parent snapshot.
      bucket: number of the bucket.
      rows: catalog rows, sorted by track_id.
      outcomes: one outcome per row, in the same order.
    """
    mask = kept_tracks(outcomes)
    if parent is None or not pc.any(mask).as_py():
        return dict(tables)
    ids = rows.filter(mask)["track_id"].combine_chunks()
    measured = PARAMETERS_ID in tables["tracks"].column_names
    both = {
        "tracks": [tables["tracks"], _tracks(parent, bucket, rows.filter(mask), measured)],
        "embeddings": [
            tables["embeddings"],
            _of_tracks(parent.scan("embeddings", bucket=bucket, embedding_id=EVERY_EMBEDDING), ids),
        ],
    }
    merged = {name: pa.concat_tables(pair).sort_by("track_id") for name, pair in both.items()}
    kept_tags = _of_tracks(parent.scan("track_tags", bucket=bucket), ids)
    return {**tables, **merged, "track_tags": _merged_tags(tables["track_tags"], kept_tags)}


def _of_tracks(table: pa.Table, ids: pa.Array) -> pa.Table:
    return table.filter(pc.is_in(table["track_id"], value_set=ids))


def _tracks(parent: SnapshotReader, bucket: int, rows: pa.Table, parameters: bool) -> pa.Table:
    """Rows of `tracks` that are kept, with parameters if the run has them; null if the parent has none."""
    names = [*FACT_NAMES, "top_tags", "tagger_id", *(PARAMETER_NAMES if parameters else ())]
    stored = parent.schema("tracks").names
    found = parent.scan("tracks", ["track_id", *(name for name in names if name in stored)], bucket=bucket)
    found = found.take(pc.index_in(rows["track_id"].combine_chunks(), value_set=found["track_id"].combine_chunks()))
    none = pa.nulls(rows.num_rows)
    return rows_of_tracks(rows, {name: found[name] if name in stored else none for name in names})


def _merged_tags(own: pa.Table, kept: pa.Table) -> pa.Table:
    """Rows of `track_tags` in its order, one Arrow chunk per tag, so that nothing is copied as a whole."""
    kept = kept.cast(TRACK_TAGS)
    keys = {(row["category"], row["tag"]) for one in (own, kept) for row in _keys(one)}
    order = [("category", "ascending"), ("tag", "ascending"), ("score", "descending"), ("track_id", "ascending")]
    parts = [
        pa.concat_tables([one.filter(pc.equal(one["tag"], tag)) for one in (own, kept)]).sort_by(order)
        for _, tag in sorted(keys)
    ]
    return pa.concat_tables(parts) if parts else own


def _keys(track_tags: pa.Table) -> Iterator[dict[str, str]]:
    yield from track_tags.group_by(["category", "tag"]).aggregate([]).to_pylist()


def scored_with_kept(
    scored: ScoredTracks,
    tables: Mapping[str, pa.Table],
    rows: pa.Table,
    outcomes: pa.Table,
    taxonomy: Taxonomy,
    publication: PublishedRows,
) -> ScoredTracks:
    """All scored tracks of a bucket, with those that keep tags of another tagger, for the sums of artists and albums.

    If not all scores are published, those of kept tracks are not known, and these are left out.
    """
    mask = kept_tracks(outcomes)
    if publication != PublishedRows() or not pc.any(mask).as_py():
        return scored
    kept = rows.filter(mask)
    ids = kept["track_id"].combine_chunks()
    scores, positives = np.zeros((len(ids), len(taxonomy.tags))), np.zeros((len(ids), len(taxonomy.tags)), bool)
    names = pa.array([tag.id for tag in taxonomy.tags], pa.string())
    for batch in tables["track_tags"].to_batches():
        track = pc.index_in(batch["track_id"], value_set=ids)
        tag = pc.index_in(batch["tag"], value_set=names)
        own = pc.and_(track.is_valid(), tag.is_valid())  # tags of rules are in no sum
        batch, track, tag = batch.filter(own), track.filter(own).to_numpy(), tag.filter(own).to_numpy()
        scores[track, tag] = np.round(batch["score"].to_numpy().astype(np.float64), 4)
        positives[track, tag] = batch["is_positive"].to_numpy(zero_copy_only=False)
    return ScoredTracks(
        rows=pa.concat_tables([scored.rows, kept]),
        outcomes=pa.concat_tables([scored.outcomes, outcomes.filter(mask)]),
        scores=np.concatenate([scored.scores, scores]),
        positives=np.concatenate([scored.positives, positives]),
        model_scores=np.concatenate([scored.model_scores, scores]),
    )


def postponed_counts(outcomes: pa.Table) -> dict[str, int]:
    """Postponed tracks of a bucket: all, and those that keep their tags."""
    postponed = outcomes.filter(pc.fill_null(outcomes["postponed"], False))
    tagged = pc.or_(pc.is_valid(postponed["embedding"]), pc.is_valid(postponed["kept_embedding_id"]))
    tagged = pc.and_(tagged, pc.is_null(postponed["reason"]))
    return {POSTPONED: postponed.num_rows, POSTPONED_TAGGED: pc.sum(tagged).as_py() or 0}


class KeptIds(NamedTuple):
    """Rows of a bucket's ledger under other ids than those of the run."""

    feature_id: str
    embedding_id: str
    tagger_id: str
    tracks: int
    rejected: int


def kept_ids(ledger: pa.Table, ids: Ids) -> tuple[KeptIds, ...]:
    """The other ids of a ledger, with their numbers of tracks with tags and of rejected tracks."""
    names = ["feature_id", "embedding_id", "tagger_id"]
    own = [pc.equal(ledger[name], getattr(ids, name)) for name in names]
    others = ledger.filter(pc.invert(pc.and_(own[0], pc.and_(own[1], own[2])))).select([*names, "status"])
    found: dict[tuple[str, str, str], Counter[bool]] = {}
    for row in others.group_by([*names, "status"]).aggregate([([], "count_all")]).to_pylist():
        key = (row["feature_id"], row["embedding_id"], row["tagger_id"])
        found.setdefault(key, Counter())[row["status"] == "rejected"] += row["count_all"]
    return tuple(KeptIds(*key, counts[False], counts[True]) for key, counts in sorted(found.items()))


def earlier_ids(found: Sequence[KeptIds], parent: SnapshotReader | None) -> tuple[EarlierIds, ...]:
    """What a run's manifest says about the rows that it keeps: sums over all buckets.

    Args:
      found: the other ids of all buckets.
      parent: the parent snapshot, which has the thresholds and the taxonomy of its own tagger.
    """
    if parent is None or not found:
        return ()
    known = {one.ids.tagger_id: (one.ids, one.thresholds) for one in parent.manifest.run.earlier}
    known[parent.manifest.run.ids.tagger_id] = (parent.manifest.run.ids, _thresholds(parent))
    sums: dict[tuple[str, str, str], Counter[str]] = {}
    for one in found:
        counts = sums.setdefault((one.feature_id, one.embedding_id, one.tagger_id), Counter())
        counts.update(tracks=one.tracks, rejected=one.rejected)
    entries = []
    for (feature_id, embedding_id, tagger_id), counts in sums.items():
        whole, thresholds = known[tagger_id]
        ids = Ids(feature_id=feature_id, embedding_id=embedding_id, tagger_id=tagger_id, taxonomy_id=whole.taxonomy_id)
        entries.append(EarlierIds(ids=ids, tracks=counts["tracks"], rejected=counts["rejected"], thresholds=thresholds))
    return tuple(sorted(entries, key=lambda one: (-one.tracks, one.ids.tagger_id)))


def _thresholds(snapshot: SnapshotReader) -> dict[str, float]:
    rows = snapshot.scan("taxonomy", ["tag", "threshold"]).to_pylist()
    return {row["tag"]: row["threshold"] for row in rows if row["threshold"] is not None}


def require_one_taxonomy(run: Run, ids: Ids, options: PublishedRows) -> str | None:
    """Why a run with these ids and options cannot keep rows of a snapshot; None if it can, or keeps no other tagger's.

    Args:
      run: the run of the snapshot.
      ids: ids of the run to come.
      options: its published rows.
    """
    before = [run.ids, *(one.ids for one in run.earlier if one.tracks)]
    others = [one for one in before if one.embedding_id != ids.embedding_id]
    if any(one.taxonomy_id != ids.taxonomy_id for one in others):
        return "it has rows of another taxonomy"
    if others and run.fusion:
        return "it was tagged with --fusion"
    if others and PublishedRows.from_json(run.options) != options:
        return "it was published with other --min-score or --top-k"
    return None
