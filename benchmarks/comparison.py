"""Memory and time of `diff` between two snapshots, with rows that are made for it and written as `tag` writes them.

python -m benchmarks.comparison --tracks 200000
"""

import argparse
import dataclasses
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.processes import Usage, catalog_tagger
from transforms.formats.hashing import bucket_of
from transforms.publishing.commit import publish
from transforms.publishing.gates import GateLimits
from transforms.schemas.tables import TABLES, TRACK_TAGS
from transforms.table.snapshots import Ids, Run, current_snapshot
from transforms.table.versions import open_table
from transforms.tagging.bucket_files import write_bucket, write_table_file
from transforms.tagging.outcomes.prior import PriorOutcomes

TRACKS, TAGS, BUCKET_TRACKS = 200_000, 110, 20_000
ROOT = Path(__file__).resolve().parent.parent


def compare(table: Path, before: int, after: int, root: Path) -> Usage:
    with tempfile.TemporaryDirectory() as output:
        return catalog_tagger(["diff", str(table), str(before), str(after), "--output", output], root)


def made_table(folder: Path, tracks: int) -> Path:
    """A table with two snapshots; the second has 1 % other tracks, and all scores are moved a little."""
    if not (folder / "snapshots/0000000002.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        for number in range(2):
            _publish(folder, [f"track-{i:08d}" for i in range(number * tracks // 100, tracks + number * tracks // 100)])
    return folder


def _publish(root: Path, tracks: list[str]) -> None:
    parent = current_snapshot(str(root))
    number = 0 if parent is None else parent.number
    ids = Ids(feature_id="fs-1", embedding_id="em-1", tagger_id=f"tg-{number}", taxonomy_id="tx-1")
    known = PriorOutcomes(root=str(root), parent=number or None, ids=ids, due_again=frozenset())
    buckets = open_table(str(root), -(-len(tracks) // BUCKET_TRACKS))
    own: list[list[str]] = [[] for _ in range(buckets)]
    for track in tracks:
        own[bucket_of(track, buckets)].append(track)
    run_id = f"run-{number}"
    reports = [write_bucket(known, i, _tables(own[i], ids, run_id, number, i), run_id) for i in range(buckets)]
    tags = [
        {"tag": t, "category": t[:4], "kind": "multilabel", "name": t, "parents": [], "threshold": 0.5} for t in _tags()
    ]
    taxonomy = write_table_file(known, -1, "taxonomy", pa.Table.from_pylist(tags, TABLES["taxonomy"]), run_id)
    counts = {"catalog": len(tracks), "tagged": len(tracks), "carried": 0, "rejected": 0, "unavailable": 0}
    run = Run(
        run_id=run_id,
        parent=known.parent,
        ids=ids,
        counts={**counts, "decoded": len(tracks), "reused": 0},
        reasons={},
        options={"min_score": 0.0, "top_k": None},
        files=(*(file for report in reports for file in report.files), taxonomy),
    )
    publish(str(root), run, GateLimits(max_removed_ratio=1))


def _tags() -> list[str]:
    return [f"cat{i // 11:01d}/tag-{i:03d}" for i in range(TAGS)]


def _tables(tracks: list[str], ids: Ids, run_id: str, number: int, bucket: int) -> dict[str, pa.Table]:
    base = np.random.default_rng(bucket).beta(0.5, 2, (TAGS, len(tracks)))
    moved = np.random.default_rng((bucket, number)).normal(0, 0.05, base.shape) if number else 0
    scores = np.round(np.clip(base + moved, 0, 1), 4)
    return {**made_tables(tracks, ids, run_id), "track_tags": _tag_rows(pa.array(tracks), scores)}


def made_tables(tracks: list[str], ids: Ids, run_id: str) -> dict[str, pa.Table]:
    """Rows of `tracks`, `embeddings` and `ledger`, equal but for their ids."""
    constant = {
        **{"uri": "x.flac", "status": "tagged", "source_version": "1", "run_id": run_id},
        **{"duration_s": 180.0, "sample_rate": 44_100, "channels": 2, "top_tags": [], "title": "Title"},
        **{"embedding": [0.0, 1.0], "artist": "Artist", **dataclasses.asdict(ids)},
    }
    return {
        name: pa.table(
            [
                pa.array(tracks) if f.name == "track_id" else _repeated(constant.get(f.name), f.type, len(tracks))
                for f in TABLES[name]
            ],
            schema=TABLES[name],
        )
        for name in ("tracks", "embeddings", "ledger")
    }


def _repeated(value: object, kind: pa.DataType, count: int) -> pa.Array:
    return pa.array([value] * count, kind)


def _tag_rows(tracks: pa.Array, scores: np.ndarray) -> pa.Table:
    parts = []
    for tag, row in zip(_tags(), scores, strict=True):
        order = np.argsort(-row, kind="stable")
        score = pa.array(row[order].astype(np.float32))
        columns = {
            "track_id": tracks.take(pa.array(order)),
            "category": pa.repeat(tag[:4], len(order)),
            "tag": pa.repeat(tag, len(order)),
            "score": score,
            "rank": pa.array(np.ones(len(order), np.int16)),
            "is_positive": pa.array(row[order] >= 0.5),
            "source": pa.repeat("model", len(order)),
            "model_score": score,
            "expert_weight": pa.nulls(len(order), pa.float32()),
        }
        parts.append(pa.table(columns).cast(TRACK_TAGS))
    return pa.concat_tables(parts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison")
    parser.add_argument("--tracks", type=int, default=TRACKS)
    parser.add_argument("--work", type=Path, default=ROOT / ".bench")
    args = parser.parse_args()
    table = made_table(args.work / f"compared-{args.tracks}", args.tracks)
    for pair in ((1, 2), (2, 2)):
        usage = compare(table, *pair, ROOT)
        print(f"{args.tracks} {pair}: {usage.tree_mib:.0f} MiB, {usage.cpu_s:.1f} s cpu, {usage.wall_s:.1f} s wall")


if __name__ == "__main__":
    main()
