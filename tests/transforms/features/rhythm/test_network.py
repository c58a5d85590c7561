"""The table of a small network, its shares and its calibration."""

import numpy as np
import pytest

from transforms.features.rhythm import metre, metre_weights, tempo, tempo_weights
from transforms.features.rhythm.network import Network, calibrated, shares


def network(inputs=5, units=3, scores=2):
    rng = np.random.default_rng(0)
    shapes = (inputs, scores), (inputs, units), (units,), (units, scores)
    return Network(*(np.round(rng.normal(size=shape), 3).astype(np.float32) for shape in shapes))


def test_a_table_gives_back_the_network():
    before = network()
    after = Network.of_table(before.to_table(list("abcde")), scores=2)
    for name in ("linear", "hidden", "bias", "output"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_scores_are_a_linear_and_a_hidden_part():
    of, inputs = network(), np.arange(5, dtype=np.float32)
    expected = [
        sum(inputs[i] * of.linear[i, s] for i in range(5))
        + sum(np.tanh(inputs @ of.hidden[:, u] + of.bias[u]) * of.output[u, s] for u in range(3))
        for s in range(2)
    ]
    np.testing.assert_allclose(of.scores(inputs), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("table", "names", "scores"), [(tempo_weights.TABLE, tempo.names(), 1), (metre_weights.TABLE, metre.names(), 4)]
)
def test_lines_of_the_fitted_tables_are_the_inputs_in_order(table, names, scores):
    labels = [line.split(":")[0] for line in table.strip().splitlines()]
    assert labels[: len(names)] == names
    assert Network.of_table(table, scores).linear.shape == (len(names), scores)


def test_shares_sum_to_one_even_of_great_scores():
    found = shares(np.array([[1e4, 1e4, -1e4], [0, np.log(3), -1e9]], np.float32))
    np.testing.assert_allclose(found, [[0.5, 0.5, 0], [0.25, 0.75, 0]], atol=1e-6)


def test_calibration_keeps_the_order_and_stays_inside():
    found = [calibrated(share, 0.7, 0.1) for share in np.linspace(0, 1, 21)]
    assert found == sorted(found)
    assert 0 < found[0] < found[-1] < 1
    assert calibrated(0.3, 1.0, 0.0) == pytest.approx(0.3)
