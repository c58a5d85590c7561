"""Pooling patch embeddings into a track embedding."""

from types import SimpleNamespace

import numpy as np
import pytest

from models.embedding.blocks import check_blocks
from models.embedding.pooling import Pooling, moments, pool

RNG = np.random.default_rng(0)
PATCHES = RNG.normal(-40, 10, (3, 11, 24)).astype(np.float16)


def test_moments_are_mean_and_deviation():
    values = RNG.normal(size=(7, 4))
    np.testing.assert_allclose(moments(values), [*values.mean(axis=0), *values.std(axis=0)])


def test_one_patch_has_no_deviation():
    assert moments(np.ones((1, 3))).tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("statistics", ["mel", "none"])
def test_dim_is_what_pool_gives(statistics):
    pooling = Pooling(statistics=statistics)
    pooled = pool(RNG.normal(size=(3, 6)).astype(np.float32), PATCHES, pooling, "db")
    assert pooled.shape == (pooling.dim(6, 24),) and pooled.dtype == np.float32


def test_values_have_float16_precision():
    pooled = pool(RNG.normal(size=(3, 6)).astype(np.float32), PATCHES, Pooling(), "db")
    assert (pooled == pooled.astype(np.float16)).all()


def test_values_beyond_float16_are_cut_off():
    pooled = pool(np.full((2, 1), 1e6, np.float32), PATCHES[:2], Pooling(statistics="none"), "db")
    assert pooled.tolist() == [65504.0, 0.0]


def test_each_trunk_and_the_statistics_have_a_block():
    first, second = RNG.normal(size=(3, 6)).astype(np.float32), RNG.normal(size=(3, 2)).astype(np.float32)
    pooled = pool(np.hstack([first, second]), PATCHES, Pooling(), "db")
    trunks = [
        SimpleNamespace(name="a", patch_dim=6, learned=True),
        SimpleNamespace(name="b", patch_dim=2, learned=False),
    ]
    a, b, statistics = Pooling().blocks(trunks, n_mels=24)
    check_blocks((a, b, statistics), len(pooled))
    assert (pooled[a.columns] == moments(first).astype(np.float16)).all()
    assert (pooled[b.columns] == moments(second).astype(np.float16)).all()
    assert (a.learned, b.learned, statistics.learned) == (True, False, False)


def test_json_round_trip():
    assert Pooling.from_json(Pooling(statistics="none").to_json()) == Pooling(statistics="none")


def test_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="choose"):
        Pooling(statistics="median")
    with pytest.raises(ValueError, match="moments"):
        Pooling.from_json({"moments": ["max"], "statistics": "mel"})


def test_bundles_of_the_first_version_keep_their_statistics():
    old = {"moments": ["mean", "std"], "statistics": "mel"}
    pooling = Pooling.from_json(old)
    assert pooling.version == 1 and pooling.to_json() == old
    assert pooling.dim(6, 24) == 12 + 3 * (24 + 20)
    assert Pooling.from_json(Pooling().to_json()) == Pooling()


def test_unknown_statistics_are_refused():
    with pytest.raises(ValueError, match="version 9"):
        Pooling(version=9)
