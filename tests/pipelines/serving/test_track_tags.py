"""The tags of a track from memory are those that a query finds, whatever a snapshot publishes."""

import pyarrow as pa
import pytest

from models.bundles.fake import write_fake_bundle
from pipelines.serving.finding.track_tags import _queried, kept_tags, tags_of_tracks
from pipelines.serving.settings import ServiceSettings
from pipelines.serving.snapshots import SnapshotPool
from pipelines.synthesis.catalog import taxonomy
from tests.support.published import fake_bundle, publish_table
from transforms.features.spec import FeatureSpec
from transforms.fusion.policy import policy_of
from transforms.fusion.settings import Fusion
from transforms.fusion.source_files import STATEMENTS
from transforms.tagging.assembly import PublishedRows
from transforms.taxonomy.hierarchy import Taxonomy

PACE = {
    "name": "pace",
    "kind": "multiclass",
    "min_confidence": 0.25,
    "tags": [
        {"id": "pace/slow", "when": {"tempo_bpm": {"below": 118}}},
        {"id": "pace/fast", "when": {"tempo_bpm": {"from": 118}}},
    ],
}


def fused(root):
    """A source contradicts some scores; the catalog has weights for others."""
    bundle = fake_bundle(root / "bundle")
    policy = policy_of({"sources": {"editors": {"mode": "blend", "trust": 0.9}}}, bundle.taxonomy)
    fusion = Fusion(policy=policy, taxonomy=bundle.taxonomy, tables={"editors": "a"}, shards=())
    rows = [
        {"key": f"track-{n:04d}", "source": "editors", "tag": tag, "weight": float(n % 2)}
        for n in range(0, 24, 3)
        for tag in ("mood/calm", "instrument/drums")
    ]
    publish_table(root / "table", bundle, fusion=fusion, said=[pa.Table.from_pylist(rows, STATEMENTS)])


def ruled(root):
    """Tags of rules, which some tracks lack."""
    whole = Taxonomy.from_json({**taxonomy(), "rules": [PACE]})
    publish_table(root / "table", write_fake_bundle(str(root / "bundle"), whole, FeatureSpec()), parameters=True)


TABLES = {
    "all": lambda root: publish_table(root / "table", fake_bundle(root / "bundle")),
    "few": lambda root: publish_table(
        root / "table", fake_bundle(root / "bundle"), publication=PublishedRows(top_k=2, min_score=0.3)
    ),
    "fused": fused,
    "ruled": ruled,
}


@pytest.mark.parametrize("kind", TABLES)
def test_rows_are_those_of_a_query(tmp_path, kind):
    TABLES[kind](tmp_path)
    pool = SnapshotPool(ServiceSettings(table=str(tmp_path / "table")))
    with pool.lease() as opened:
        ids = [f"track-{n:04d}" for n in range(24)] + ["nobody"]
        wanted = _queried(opened, ids)
        assert tags_of_tracks(opened, ids) == wanted and wanted["track-0001"] and not wanted["nobody"]
        assert {len(wanted[one]) for one in ids[:-1]} != {33} or kind in ("all", "fused")
        sources = {row["source"] for own in wanted.values() for row in own}
        assert sources == {"all": {"model"}, "few": {"model"}, "ruled": {"model", "rule"}}.get(kind, sources)
        assert len(sources) > 1 or kind in ("all", "few")
        tracks = opened.reader.bucket_ids(0)
        assert kept_tags(opened, 0).nbytes < (2 if kind in ("all", "few") else 60) * 33 * len(tracks) + 4000
    pool.close()


def test_without_memory_for_scores_a_query_answers(tmp_path):
    TABLES["few"](tmp_path)
    found = []
    for size in (10, 10**7):
        pool = SnapshotPool(ServiceSettings(table=str(tmp_path / "table"), cache_bytes=size))
        with pool.lease() as opened:
            found.append(tags_of_tracks(opened, ["track-0002", "track-0005"]))
        pool.close()
    assert found[0] == found[1]
