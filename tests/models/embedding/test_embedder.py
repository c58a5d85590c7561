"""Batches of trunks: of the trunk's own size, padded, and as many at a time as `parallel` says."""

import threading

import numpy as np
import pytest

from models.embedding.embedder import LoadedTrunk, TrackEmbedder
from models.embedding.pooling import Pooling
from tests.support.in_flight import InFlight
from tests.support.tiny import SPEC

PATCHES = np.random.default_rng(0).normal(-40, 9, (7, *SPEC.patch_shape)).astype(np.float16)


def means(batch: np.ndarray) -> np.ndarray:
    """A trunk: the mean of each band."""
    return batch.mean(axis=1)


def embedder(*trunks: LoadedTrunk, parallel: int = 1) -> TrackEmbedder:
    return TrackEmbedder(trunks, SPEC, Pooling(statistics="none"), parallel=parallel)


@pytest.mark.parametrize("size", [1, 3, 7, 32])
def test_every_batch_has_the_trunks_size_and_is_padded_with_zeros(size):
    seen = []

    def run(batch: np.ndarray) -> np.ndarray:
        seen.append(batch.copy())
        return means(batch)

    found = embedder(LoadedTrunk(run, SPEC.n_mels, size)).embed_patches(PATCHES)
    assert np.allclose(found, PATCHES.astype(np.float32).mean(axis=1), rtol=1e-5)
    assert [batch.shape for batch in seen] == [(size, *SPEC.patch_shape)] * -(-len(PATCHES) // size)
    assert {batch.dtype for batch in seen} == {np.dtype(np.float32)}
    rows = np.concatenate(seen)
    assert np.array_equal(rows[: len(PATCHES)], PATCHES) and not rows[len(PATCHES) :].any()


def test_trunks_with_other_batches_stand_side_by_side():
    run = LoadedTrunk(means, SPEC.n_mels, 1), LoadedTrunk(lambda batch: 2 * means(batch), SPEC.n_mels, 4)
    one, two = np.hsplit(embedder(*run, parallel=2).embed_patches(PATCHES), 2)
    assert np.allclose(2 * one, two, rtol=1e-5)


@pytest.mark.parametrize("parallel", [2, 3])
def test_so_many_batches_are_in_flight(parallel):
    flight = InFlight(wanted=parallel)
    heavy = [LoadedTrunk(flight.watch(means), SPEC.n_mels, batch=1) for _ in range(2)]
    embedder(*heavy, parallel=parallel).embed_patches(PATCHES)
    assert (flight.most, flight.calls) == (parallel, 2 * len(PATCHES))


def test_threads_that_embed_together_share_the_places():
    flight = InFlight(wanted=2)
    shared = embedder(LoadedTrunk(flight.watch(means), SPEC.n_mels, batch=1), parallel=2)
    threads = [threading.Thread(target=shared.embed_patches, args=(PATCHES,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (flight.most, flight.calls) == (2, 4 * len(PATCHES))


def test_an_error_in_a_batch_reaches_the_caller():
    def broken(batch: np.ndarray) -> np.ndarray:
        raise FloatingPointError("no memory for a batch")

    with pytest.raises(FloatingPointError, match="no memory for a batch"):
        embedder(LoadedTrunk(broken, SPEC.n_mels, 2), parallel=2).embed_patches(PATCHES)
