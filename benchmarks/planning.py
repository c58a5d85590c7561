"""Memory and time of `tag --plan` against a published snapshot of which 1 % changed, 1 % is new and 1 % is gone.

python -m benchmarks.planning --tracks 1000000
"""

import argparse
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.comparison import BUCKET_TRACKS, ROOT, made_tables
from benchmarks.processes import Usage, catalog_tagger
from models.bundles.fake import write_fake_bundle
from pipelines.synthesis.catalog import taxonomy
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import bucket_of
from transforms.publishing.commit import publish
from transforms.publishing.gates import GateLimits
from transforms.schemas.tables import TRACK_TAGS
from transforms.table.snapshots import Run
from transforms.table.versions import open_table
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.bucket_files import write_bucket, write_table_file
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.tagger import ids_of
from transforms.taxonomy.hierarchy import Taxonomy


def plan(tracks: int, work: Path) -> tuple[Usage, Usage]:
    """What `tag --plan` takes: on a new table, and on a published snapshot. The counts are checked."""
    bundle, share = work / "bundle", tracks // 100
    tagger = write_fake_bundle(str(bundle), Taxonomy.from_json(taxonomy()), FeatureSpec())
    _publish(work / "table", tracks, tagger)
    names = [f"track-{i:08d}" for i in range(share, tracks + share)]
    columns = {"track_id": names, "uri": ["x.flac"] * tracks}
    columns["source_version"] = ["2" if i < share else "1" for i in range(tracks)]
    pq.write_table(pa.table(columns), work / "catalog.parquet")
    flags = ["tag", "--plan", "--json", "--catalog", str(work / "catalog.parquet"), "--model", str(bundle)]
    new, known = (catalog_tagger([*flags, "--table", str(work / name)], ROOT) for name in ("new", "table"))
    found = json.loads(known.output)["tracks"]
    assert (found["new"], found["changed"], found["removed"]) == (share, share, share), found
    return new, known


def _publish(root: Path, tracks: int, tagger: object) -> None:
    known = PriorOutcomes(root=str(root), parent=None, ids=ids_of(tagger), due_again=frozenset())
    buckets = open_table(str(root), -(-tracks // BUCKET_TRACKS))
    own: list[list[str]] = [[] for _ in range(buckets)]
    for i in range(tracks):
        own[bucket_of(f"track-{i:08d}", buckets)].append(f"track-{i:08d}")
    reports = [
        write_bucket(
            known, n, {**made_tables(own[n], known.ids, "run-0"), "track_tags": TRACK_TAGS.empty_table()}, "run-0"
        )
        for n in range(buckets)
    ]
    tags = write_table_file(known, -1, "taxonomy", tagger.taxonomy_rows().sort_by("tag"), "run-0")
    counts = {"catalog": tracks, "tagged": tracks, "carried": 0, "rejected": 0, "unavailable": 0}
    run = Run(
        run_id="run-0",
        parent=None,
        ids=known.ids,
        counts={**counts, "decoded": tracks, "reused": 0},
        reasons={},
        options=PublishedRows().to_json(),
        files=(*(file for report in reports for file in report.files), tags),
    )
    publish(str(root), run, GateLimits())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planning")
    parser.add_argument("--tracks", type=int, default=200_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        for name, usage in zip(("new table", "snapshot"), plan(args.tracks, Path(work)), strict=True):
            print(f"{args.tracks} {name}: {usage.tree_mib:.0f} MiB, {usage.cpu_s:.1f} s cpu, {usage.wall_s:.1f} s wall")


if __name__ == "__main__":
    main()
