"""Histories of a small table: rows that follow from a few facts, published by the writer of `tag` with levels."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from transforms.aggregates.files import write_groups
from transforms.aggregates.pieces import packed_scores, pieces_of, split_pieces, with_numbers
from transforms.formats.hashing import bucket_of, digest, short_id
from transforms.formats.parquet import SORTED_BY
from transforms.levels.writing import Compaction
from transforms.publishing.commit import publish
from transforms.publishing.gates import GateLimits
from transforms.schemas.tables import GROUPED_BY, TABLES
from transforms.table.snapshots import Ids, Run, Snapshot, current_snapshot
from transforms.table.versions import open_table
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.bucket_files import write_bucket, write_table_file
from transforms.tagging.outcomes.prior import PriorOutcomes

BUCKETS = 2
TAGS = ["mood/calm", "mood/dark", "mood/happy"]
KEYS = [("mood", tag) for tag in TAGS]
IDS = Ids(feature_id="fs-1", embedding_id="em-1", tagger_id="tg-1", taxonomy_id="tx-1")
LEVELS = Compaction(share=1, least_bytes=0)
"""Levels in tables of any size."""

_LIMITS = GateLimits(max_reject_ratio=1, max_unavailable_ratio=1, max_removed_ratio=1)
_TAXONOMY = [
    {"tag": tag, "category": "mood", "kind": "multilabel", "name": tag, "parents": [], "threshold": 0.5} for tag in TAGS
]


class Fact(NamedTuple):
    """What decides on the rows of a track.

    Attributes:
      version: of its source; its scores and its embedding follow from it.
      title: metadata.
      artist: number of its artist; None: it has none.
      rejected: whether it has no tags.
    """

    version: int = 1
    title: str = "a"
    artist: int | None = 0
    rejected: bool = False


def can_be_purged(track: str, models: Iterable[Mapping[str, Fact]]) -> bool:
    """Whether a snapshot has the track, and none has no other one."""
    tracks = [set(model) for model in models]
    return any(track in one for one in tracks) and all(one - {track} for one in tracks)


def rows_of(facts: Mapping[str, Fact]) -> dict[str, pa.Table]:
    """The rows of all tables but `taxonomy` and the groups, sorted as in one file."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ("tracks", "track_tags", "embeddings", "ledger")}
    for track, fact in sorted(facts.items()):
        status = {"status": "rejected", "reason": "silent"} if fact.rejected else {"status": "tagged"}
        source = {"uri": track, "source_version": str(fact.version)}
        found["ledger"].append({"track_id": track, **status, **source, **_ids(), "run_id": f"run-{fact.version}"})
        if fact.rejected:
            continue
        scores = _scores(track, fact)
        tags = [{"tag": tag, "score": score} for tag, score in zip(TAGS, scores, strict=True) if score >= 0.5]
        found["tracks"].append(
            {
                "track_id": track,
                "title": fact.title,
                "artist_id": None if fact.artist is None else f"artist-{fact.artist}",
                "duration_s": 1.0,
                "sample_rate": 44_100,
                "channels": 2,
                "top_tags": sorted(tags, key=lambda tag: -tag["score"]),
                "tagger_id": "tg-1",
            }
        )
        found["embeddings"].append({"track_id": track, "embedding_id": "em-1", "embedding": [float(fact.version), 0.5]})
        found["track_tags"] += [
            {
                "track_id": track,
                "category": "mood",
                "tag": tag,
                "score": score,
                "rank": 1,
                "is_positive": score >= 0.5,
                "source": "model",
                "model_score": score,
            }
            for tag, score in zip(TAGS, scores, strict=True)
        ]
    tables = {name: pa.Table.from_pylist(rows, TABLES[name]) for name, rows in found.items()}
    return {name: rows.sort_by([*SORTED_BY[name], ("track_id", "ascending")]) for name, rows in tables.items()}


def _ids() -> dict[str, str]:
    return {name: value for name, value in dataclasses.asdict(IDS).items() if name in TABLES["ledger"].names}


def _scores(track: str, fact: Fact) -> list[float]:
    """Multiples of 1/4096 are exact in every float type that is used."""
    value = int(digest(track, str(fact.version))[:9], 16)
    return [(value >> 12 * place & 0xFFF) / 4096 for place in range(len(TAGS))]


def publish_facts(root: str, facts: Mapping[str, Fact], compaction: Compaction = LEVELS) -> Snapshot:
    """Publishes the next snapshot."""
    parent = current_snapshot(root)
    known = PriorOutcomes(
        root=root,
        parent=parent and parent.number,
        ids=IDS,
        due_again=frozenset(),
        buckets=BUCKETS,
        compaction=compaction,
    )
    open_table(root, BUCKETS)
    run_id = short_id("run", repr((known.parent, sorted(facts.items()), compaction)))
    reports, streams = [], dict[int, dict[str, list[bytes]]]()
    for bucket in range(BUCKETS):
        own = {track: fact for track, fact in facts.items() if bucket_of(track, BUCKETS) == bucket}
        if not own:
            continue
        tables = rows_of(own)
        reports.append(write_bucket(known, bucket, tables, run_id))
        for number, stream in _pieces(tables):
            streams.setdefault(number, {name: [] for name in GROUPED_BY})["artist_tags"].append(stream)
    files = [file for report in reports for file in report.files]
    files.append(write_table_file(known, -1, "taxonomy", pa.Table.from_pylist(_TAXONOMY, TABLES["taxonomy"]), run_id))
    for number, pieces in streams.items():
        files += write_groups(known, number, pieces, KEYS, PublishedRows(), run_id)
    names = ("catalog", "tagged", "carried", "rejected", "unavailable")
    counts = {name: sum(report.counts.get(name, 0) for report in reports) for name in names}
    run = Run(
        run_id=run_id,
        parent=known.parent,
        ids=IDS,
        counts={**counts, "decoded": counts["tagged"], "reused": 0},
        reasons={"silent": counts["rejected"]} if counts["rejected"] else {},
        options=PublishedRows().to_json(),
        files=tuple(files),
    )
    return publish(root, run, _LIMITS)


def _pieces(tables: Mapping[str, pa.Table]) -> Any:
    rows = tables["track_tags"].sort_by([("track_id", "ascending"), ("tag", "ascending")])
    shape = (tables["tracks"].num_rows, len(TAGS))
    scores = rows["score"].to_numpy().reshape(shape)
    positives = rows["is_positive"].to_numpy(zero_copy_only=False).reshape(shape)
    packed = packed_scores(np.asarray(scores), np.asarray(positives))
    return split_pieces(with_numbers(pieces_of(tables["tracks"]["artist_id"].combine_chunks(), packed), BUCKETS))
