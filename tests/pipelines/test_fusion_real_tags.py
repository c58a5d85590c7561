"""Real annotations as a source of which a part is hidden: what the benchmark shows, on fewer tracks."""

from pathlib import Path

import pytest

from benchmarks.fusion import VARIANTS, prepare, rate, tag_fused, write_scores
from tests.support.world import SHARED

META = SHARED / "meta.tar.gz"


@pytest.mark.long
@pytest.mark.skipif(not META.exists(), reason="no real metadata beside the repository")
def test_a_partial_source_helps_and_a_wrong_rule_is_seen(tmp_path: Path) -> None:
    prepared = prepare(META, tmp_path, 1_500)
    table = prepared.path("table")
    write_scores(prepared, table)
    found = {}
    for what, sources in VARIANTS.items():
        recorded = tag_fused(prepared, table, sources)
        assert [source["used"] for source in recorded["sources"]] == [source["rows"] for source in recorded["sources"]]
        found[what] = rate(prepared, table)
    unknown, weak, sure, crowd = found.values()
    model = unknown["all"]["tagger"]
    assert 0.78 < model["roc_auc"] < 0.88, "the simulated model is as good as published ones"
    assert unknown["all"]["fused"]["pr_auc"] > model["pr_auc"] + 0.1
    assert unknown["all"]["fused"]["pr_auc"] > unknown["all"]["source editors"]["pr_auc"] + 0.05
    assert unknown["not named"]["fused"]["roc_auc"] == pytest.approx(
        unknown["not named"]["tagger"]["roc_auc"], abs=0.01
    )
    assert weak["not named"]["fused"]["roc_auc"] > unknown["not named"]["fused"]["roc_auc"]
    assert sure["not named"]["fused"]["roc_auc"] < weak["not named"]["fused"]["roc_auc"] - 0.02
    assert crowd["all"]["without crowd"]["pr_auc"] > crowd["all"]["fused"]["pr_auc"], "the source that hurts is seen"
