"""The registry of trunks: every network takes every feature spec, and its cost is what a hand would count."""

import numpy as np
import pytest

from tests.support.tiny import SPEC
from transforms.features.spec import FeatureSpec

MUSICNN = FeatureSpec(compression="log10p1")
NETWORKS = ("compact", "mobile", "short_chunk_resnet")


def built(name: str, spec: FeatureSpec = SPEC):
    from models.trunks import networks as trunks

    return trunks.build_network(name, spec, [-40.0] * spec.n_mels, [9.0] * spec.n_mels)


def test_the_registry_holds_three_networks_and_the_statistics():
    from models.trunks.networks import STATISTICS, TRUNKS

    assert {name for name, builder in TRUNKS.items() if builder} == set(NETWORKS)
    assert TRUNKS[STATISTICS] is None


@pytest.mark.parametrize("spec", [SPEC, MUSICNN, FeatureSpec(n_mels=5, patch_frames=3)])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_trunk_takes_every_patch(name, spec):
    model = built(name, spec)
    patches = np.random.default_rng(0).normal(-40, 9, (2, *spec.patch_shape)).astype(np.float32)
    embedded = model(patches, training=False).numpy()
    assert np.isfinite(embedded).all() and 96 <= embedded.shape[1] <= 512
    assert (embedded[0] != embedded[1]).any()


@pytest.mark.parametrize("name", NETWORKS)
def test_no_trunk_holds_code(name):
    assert not [layer.name for layer in built(name).layers if type(layer).__name__ == "Lambda"]


def test_a_trunk_sees_normalised_patches():
    import keras

    model = built("mobile")
    image = keras.Model(model.input, model.get_layer("image").output)
    assert image(np.full((1, *SPEC.patch_shape), -31.0, np.float32)).numpy() == pytest.approx(1.0)


def test_unknown_trunks_and_the_statistics_have_no_network():
    with pytest.raises(ValueError, match="trunk 'huge': choose from compact, mobile"):
        built("huge")
    with pytest.raises(ValueError, match="'statistics' has no network"):
        built("statistics")


def test_multiply_adds_of_compact_as_counted_by_hand():
    from benchmarks.trunk_cost import multiply_adds

    # 187 x 96 -> 47 x 48 x 16 -> 24 x 24 x 32 -> 12 x 12 x 64 -> 6 x 6 x 96, 192 pooled values -> 96
    convolutions = 47 * 48 * 16 * 25 + 24 * 24 * 32 * 9 * 16 + 12 * 12 * 64 * 9 * 32 + 6 * 6 * 96 * 9 * 64
    assert multiply_adds(built("compact", FeatureSpec())) == convolutions + 192 * 96


def test_multiply_adds_of_an_inverted_residual_as_counted_by_hand():
    import keras

    from benchmarks.trunk_cost import multiply_adds, parameters
    from models.trunks import networks as trunks

    inputs = keras.Input((8, 6, 4))
    model = keras.Model(inputs, trunks._inverted_residual(inputs, 3, 5, 2, "block"))
    assert multiply_adds(model) == 8 * 6 * 12 * 4 + 4 * 3 * 12 * 9 + 4 * 3 * 5 * 12
    assert parameters(model) == 4 * 12 + 12 * 9 + 12 * 5 + 4 * (12 + 12 + 5)


def test_a_layer_of_unknown_cost_is_named():
    import keras

    from benchmarks.trunk_cost import multiply_adds

    inputs = keras.Input((5, 3))
    with pytest.raises(ValueError, match="memory: how many multiply-adds a GRU takes"):
        multiply_adds(keras.Model(inputs, keras.layers.GRU(2, name="memory")(inputs)))


@pytest.mark.long
@pytest.mark.parametrize("name", NETWORKS)
def test_every_trunk_is_saved_in_every_format(name):
    from models.trunks import keras_trunk

    facts, files = keras_trunk.export_trunk(built(name), name, learned=True)
    assert {"keras", "saved_model", "onnx"} <= set(facts.files) and "trunk.onnx" in files
