"""Thirty nights with few changes write a small part of a rewrite of all tables, compaction included."""

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.cheap_nights import simulate
from transforms.levels.writing import MOST_NEWER
from transforms.table.reader import open_snapshot
from transforms.verification.snapshot_checks import verify


@pytest.mark.long
@pytest.mark.parametrize(("share", "most", "most_of_first"), [(0.01, 0.12, 0.2), (0.0005, 0.08, 0.2)])
def test_thirty_nights(tmp_path, share, most, most_of_first):
    nights = list(simulate(tmp_path, share, nights=30, tracks=8_000, buckets=2))
    shares = [(night.written - night.metadata) / night.rewrite for night in nights]
    assert np.mean(shares) < most and shares[0] < most_of_first  # the first one writes the ledger: `carried`
    assert np.mean([night.share for night in nights]) < 0.15
    assert 0 < sum(night.positions for night in nights) < 0.05 * sum(night.written for night in nights)
    snapshot = open_snapshot(str(tmp_path / "table"))
    assert snapshot.manifest.rows("tracks") == snapshot.manifest.rows("ledger") == 8_000
    assert nights[-1].files <= 2 * (6 * (MOST_NEWER + 1) + 3) + 1
    compacted = [later < before for before, later in pairwise(night.files for night in nights)]
    assert any(compacted)
    assert [problem for step in verify(snapshot) for problem in step.problems] == []
    assert len(set(snapshot.scan("tracks", ["track_id"])["track_id"].to_pylist())) == 8_000
