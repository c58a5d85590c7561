"""Training that goes on from a trunk that has learned something."""

import numpy as np
import pytest

from models.training.options import FINE_TUNING_RATE
from tests.models.conftest import train_tiny
from tests.support.tiny import SPEC
from transforms.dataset.manifest import read_manifest
from transforms.features.spec import FeatureSpec


def fresh(dataset, spec=SPEC):
    from models.trunks import networks as trunks

    manifest = read_manifest(str(dataset))
    return trunks.build_network("compact", spec, manifest.mel_mean, manifest.mel_std)


def weights(model, norms: bool) -> list[np.ndarray]:
    statistics = [layer for layer in model.layers if "norm" in layer.name and layer.name != "normalise"]
    return [w.numpy().copy() for layer in model.layers if (layer in statistics) == norms for w in layer.weights]


def test_fine_tuning_starts_from_the_given_weights_and_leaves_its_statistics(dataset):
    trunk = fresh(dataset)
    before, norms = weights(trunk, norms=False), weights(trunk, norms=True)
    after = train_tiny(dataset, trunk, epochs=2).trunk
    moved = max(np.abs(a - b).max() for a, b in zip(before, weights(after, norms=False), strict=True))
    assert 0 < moved < 20 * FINE_TUNING_RATE
    assert all((a == b).all() for a, b in zip(norms, weights(after, norms=True), strict=True))


def test_statistics_follow_the_data_on_request(dataset):
    trunk = fresh(dataset)
    norms = weights(trunk, norms=True)
    after = train_tiny(dataset, trunk, epochs=1, train_norms=True).trunk
    assert any((a != b).any() for a, b in zip(norms, weights(after, norms=True), strict=True))


def test_a_trunk_of_other_patches_is_refused(dataset):
    with pytest.raises(ValueError, match=r"takes patches of \(187, 96\), the dataset has \(24, 16\)"):
        train_tiny(dataset, fresh_of_default_spec())


def fresh_of_default_spec():
    from models.trunks import networks as trunks

    return trunks.build_network("compact", FeatureSpec(), [-40.0] * 96, [9.0] * 96)
