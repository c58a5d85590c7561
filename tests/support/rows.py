"""Publishes snapshots whose rows a test chooses, through the writer and the commit that `tag` uses."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from transforms.formats.hashing import bucket_of, short_id
from transforms.formats.parquet import SORTED_BY
from transforms.publishing.commit import publish
from transforms.publishing.gates import GateLimits
from transforms.schemas.tables import TABLES
from transforms.table.snapshots import Ids, Run, Snapshot, current_snapshot
from transforms.table.versions import open_table
from transforms.tagging.bucket_files import write_bucket, write_table_file
from transforms.tagging.outcomes.prior import PriorOutcomes

DIM = 2
REJECT_LIMITS = GateLimits(max_reject_ratio=1, max_unavailable_ratio=1, max_removed_ratio=1)

Rows = Sequence[Mapping[str, Any]]


def publish_rows(
    root: Path,
    taxonomy: Rows,
    tracks: Rows,
    tags: Rows,
    *,
    buckets: int = 2,
    tagger_id: str = "tg-1",
    fields: Sequence[pa.Field] = (),
) -> Snapshot:
    """Publishes the next snapshot.

    Args:
      root: the table's root.
      taxonomy: rows of `taxonomy`: `tag`, `category`, `threshold`.
      tracks: `track_id`, and columns of `ledger` and `tracks`, all optional; with a `reason`, it is rejected. Columns
        that neither has are columns of the catalog.
      fields: types of columns of the catalog; by default that of their values.
      tags: rows of `track_tags`: `track_id`, `tag`, `score`, `is_positive`.
    """
    parent = current_snapshot(str(root))
    ids = Ids(feature_id="fs-1", embedding_id="em-1", tagger_id=tagger_id, taxonomy_id=f"tx-{tagger_id}")
    known = PriorOutcomes(
        root=str(root), parent=parent and parent.number, ids=ids, due_again=frozenset(), buckets=buckets
    )
    run_id = short_id("run", repr((parent and parent.number, taxonomy, tracks, tags, tagger_id)))
    open_table(str(root), buckets)
    category = {row["tag"]: row["category"] for row in taxonomy}
    reports = [_bucket(known, bucket, tracks, tags, category, run_id, fields) for bucket in range(buckets)]
    names = ("catalog", "tagged", "carried", "rejected", "unavailable")
    counts = {name: sum(report.counts.get(name, 0) for report in reports) for name in names}
    rows = [{"kind": "multilabel", "name": row["tag"], "parents": [], **row} for row in taxonomy]
    file = write_table_file(
        known, -1, "taxonomy", pa.Table.from_pylist(rows, TABLES["taxonomy"]).sort_by("tag"), run_id
    )
    reasons = {row["reason"]: 1 for row in tracks if row.get("reason")}
    run = Run(
        run_id=run_id,
        parent=parent and parent.number,
        ids=ids,
        counts={**counts, "decoded": counts["tagged"], "reused": 0},
        reasons=reasons,
        options={"min_score": 0.0, "top_k": None},
        files=(*(file for report in reports for file in report.files), file),
    )
    return publish(str(root), run, REJECT_LIMITS)


def _bucket(known, bucket, tracks, tags, category, run_id, fields):
    own = {row["track_id"]: row for row in tracks if bucket_of(row["track_id"], known.buckets) == bucket}
    tagged = [row for row in own.values() if not row.get("reason")]
    ids = dataclasses.asdict(known.ids)
    ledger = [
        {
            "uri": row["track_id"],
            "status": "rejected" if row.get("reason") else "tagged",
            "source_version": "1",
            "run_id": run_id,
            **ids,
            **row,
        }
        for row in own.values()
    ]
    names = sorted({name for row in tracks for name in row} - {*TABLES["ledger"].names, *TABLES["tracks"].names})
    typed = {field.name: field for field in fields}
    further = [typed.get(name) or pa.field(name, pa.array([row.get(name) for row in tracks]).type) for name in names]
    facts = {"duration_s": 1.0, "sample_rate": 44_100, "channels": 2, "top_tags": [], **ids}
    rows = {
        "tracks": [{**facts, **row} for row in tagged],
        "embeddings": [{"track_id": r["track_id"], "embedding_id": "em-1", "embedding": [0.0] * DIM} for r in tagged],
        "ledger": ledger,
        "track_tags": [
            {"category": category[row["tag"]], "rank": 1, "source": "model", "model_score": row["score"], **row}
            for row in tags
            if row["track_id"] in {row["track_id"] for row in tagged}
        ],
    }
    tables = {name: _table(name, found, further if name == "tracks" else []) for name, found in rows.items()}
    return write_bucket(known, bucket, tables, run_id)


def _table(name: str, rows: Rows, further: Sequence[pa.Field]) -> pa.Table:
    schema = pa.schema([*TABLES[name], *further])
    return pa.Table.from_pylist(list(rows), schema).sort_by(SORTED_BY[name])
