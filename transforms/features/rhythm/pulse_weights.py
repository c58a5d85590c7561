"""Constants of confidences, written by `benchmarks/rhythmic/fit.py`."""

TEMPO_SCALING = (0.8024, -0.0387)
METRE_SCALING = (0.7513, 0.3777)
"""Slope and shift of Platt's scaling, fitted on pieces that the models did not see."""

PULSE = (-5.5615, 0.0999, 0.6160, -0.0390, -0.1857, -1.1764, 13.2172, -1.2568)
"""Logistic weights of `rhythm.pulse_inputs`."""
