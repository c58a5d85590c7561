"""A small published table without audio: real assembly, files and commit, embeddings from a seed."""

import dataclasses

import numpy as np
import pyarrow as pa

from models.bundles.fake import write_fake_bundle
from pipelines.synthesis.catalog import SyntheticTrack, make_tracks, taxonomy
from tests.support.groups import group_files
from transforms.features.parameters.keys import camelot
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import bucket_of, short_id
from transforms.fusion.joining import join_bucket
from transforms.fusion.tally import RowTally, add_tallies
from transforms.publishing.commit import publish
from transforms.publishing.gates import GateLimits
from transforms.schemas.catalog import CATALOG
from transforms.table.neighbours import kept_neighbours
from transforms.table.snapshots import Run, Snapshot, current_snapshot
from transforms.table.versions import open_table
from transforms.tagging.assembly import PublishedRows, assemble_bucket, score_bucket
from transforms.tagging.bucket_files import write_bucket, write_table_file
from transforms.tagging.outcomes.prior import OUTCOME, PriorOutcomes
from transforms.tagging.tagger import ids_of
from transforms.taxonomy.hierarchy import Taxonomy

BUCKETS = 3
BROKEN = {"broken-a": "empty", "broken-b": "not_found"}


def fake_bundle(url, version=None):
    return write_fake_bundle(str(url), version or Taxonomy.from_json(taxonomy()), FeatureSpec())


def catalog_rows(tracks: list[SyntheticTrack]) -> pa.Table:
    """Canonical catalog rows, with a further column `bpm`, sorted by track_id; broken ones among them."""
    rows = [
        {
            **{name: getattr(track, name) for name in ("track_id", "title", "album_id", "year")},
            **{name: getattr(track.artist, name) for name in ("artist_id", "country", "language")},
            "artist": track.artist.name,
            "uri": f"audio/{track.track_id}.flac",
            "source_version": "1",
            "tags": [_tag_weight(tag) for tag in track.tags],
            "bpm": int(track.song.bpm),
        }
        for track in tracks
    ]
    rows += [{"track_id": i, "uri": f"audio/{i}", "source_version": "1", "tags": None, "bpm": 1} for i in BROKEN]
    schema = pa.schema([*CATALOG, pa.field("bpm", pa.int32())])
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["track_id"]), schema)


def _tag_weight(tag):
    name, _, weight = tag.partition(":")
    return {"tag": name, "weight": float(weight) if weight else None}


def outcomes_of(rows: pa.Table, dim: int, carried: set[str]) -> pa.Table:
    """One outcome a row: an embedding that depends on the id alone, or a reason."""
    found = []
    for track in rows["track_id"].to_pylist():
        reason = BROKEN.get(track)
        rng = np.random.default_rng(list(track.encode()))
        found.append(
            {
                "track_id": track,
                "source_version": "1",
                "reason": reason,
                "detail": reason and "invented",
                "stage": reason and "read",
                "source_bytes": 1000,
                "source_sha256": short_id("sha", track),
                "decoded_fraction": None if reason else 1.0,
                "duration_s": None if reason else 8.0,
                "sample_rate": None if reason else 44_100,
                "channels": None if reason else 2,
                "embedding": None if reason else rng.normal(size=dim).astype(np.float16).astype(np.float32).tolist(),
                "carried": track in carried,
                "run_id": "run-earlier" if track in carried else None,
            }
        )
    return pa.Table.from_pylist(found, OUTCOME)


def publish_table(
    table, bundle, tracks=24, carried=(), publication=None, fusion=None, said=(), parameters=False, neighbours=False
) -> Snapshot:
    """Publishes the next snapshot of `table` with the first songs of the invented catalog.

    With `fusion`, its scores are combined with `said`, tables of statements about tracks. With `parameters`, tracks
    have invented ones. With `neighbours`, those of the snapshot before stay, as `tag` keeps them.
    """
    publication = publication or PublishedRows()
    rows = catalog_rows(make_tracks(tracks, 0))
    parent = current_snapshot(str(table))
    known = PriorOutcomes(root=str(table), parent=parent and parent.number, ids=ids_of(bundle), due_again=frozenset())
    run_id = short_id("run", str(parent and parent.number), str(tracks), str(publication))
    open_table(str(table), BUCKETS)
    parts = [_of_bucket(rows, "track_id", bucket) for bucket in range(BUCKETS)]
    tally = RowTally()
    if fusion is not None:
        rules, taxonomy = fusion.policy, fusion.taxonomy
        own = [[_of_bucket(one, "key", bucket) for one in said] for bucket in range(BUCKETS)]
        joined = [join_bucket(part, one, [], rules, taxonomy) for part, one in zip(parts, own, strict=True)]
        parts, tally = [one.rows for one in joined], add_tallies(one.tally for one in joined)
    policy = fusion and fusion.policy
    found = [
        _bucket(known, bundle, part, bucket, set(carried), run_id, publication, policy, parameters)
        for bucket, part in enumerate(parts)
    ]
    reports = [report for report, _ in found]
    files = [file for report in reports for file in report.files]
    files.append(write_table_file(known, -1, "taxonomy", bundle.taxonomy_rows().sort_by("tag"), run_id))
    files += group_files(known, (scored for _, scored in found), bundle, publication, run_id, BUCKETS)
    names = ("catalog", "tagged", "carried", "rejected", "unavailable")
    counts = {name: sum(report.counts.get(name, 0) for report in reports) for name in names}
    before = parent.run if parent is not None and neighbours else None
    kept, record = kept_neighbours(before, {}, counts["tagged"])
    run = Run(
        run_id=run_id,
        parent=parent and parent.number,
        ids=known.ids,
        counts={**counts, "decoded": counts["tagged"], "reused": 0},
        reasons=dict.fromkeys(BROKEN.values(), 1),
        options=publication.to_json(),
        files=(*files, *kept),
        neighbours=record,
        fusion=fusion.record(tally) if fusion else {},
        rules=tuple(category.name for category in bundle.taxonomy.rules),
        embedding_parts={bundle.embedding_id: bundle.embedding_parts},
        trunk_ids={bundle.embedding_id: bundle.trunk_ids},
    )
    return publish(str(table), run, GateLimits(max_reject_ratio=0.5))


def _of_bucket(rows, key, bucket):
    return rows.filter(pa.array([bucket_of(value, BUCKETS) == bucket for value in rows[key].to_pylist()], pa.bool_()))


def _bucket(known, bundle, own, bucket, carried, run_id, publication, policy, parameters):
    outcomes = outcomes_of(own, bundle.embedding_dim, carried)
    if parameters:
        outcomes = with_invented_parameters(outcomes)
    scored = score_bucket(own, outcomes, bundle, policy)
    arguments = own, outcomes, {"track-0003": "track-0001"}, bundle, run_id, publication, scored, policy
    tables = assemble_bucket(*arguments, parameters=parameters)
    return write_bucket(known, bucket, tables, run_id), scored


def with_invented_parameters(outcomes: pa.Table) -> pa.Table:
    """The outcomes with a tempo and a key for every track with an embedding, and its id."""
    rows = outcomes.to_pylist()
    for row in rows:
        if row["reason"] is None:
            number = sum(row["track_id"].encode())
            key = ("A minor", "C major", "F# minor")[number % 3]
            row |= {"parameters_id": "pa-invented", "key": key, "camelot": camelot(key), "key_confidence": 0.75}
            tempo = 112.0 + number % 20
            row |= {"tempo_bpm": tempo, "tempo_alternative_bpm": tempo / 2, "tempo_confidence": number % 7 / 8}
    return pa.Table.from_pylist(rows, OUTCOME)


def changed_file(snapshot: Snapshot, name: str, **fields) -> Snapshot:
    """The snapshot with other facts about its first file of a table."""
    first = snapshot.files(name)[0]
    files = tuple(dataclasses.replace(f, **fields) if f == first else f for f in snapshot.run.files)
    return dataclasses.replace(snapshot, run=dataclasses.replace(snapshot.run, files=files))
