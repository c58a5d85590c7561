"""Constants of confidences, written by `benchmarks/rhythmic/fit.py`."""

TEMPO_SCALING = (0.7129, 0.0553)
METRE_SCALING = (0.9298, 0.0485)
"""Slope and shift of Platt's scaling, fitted on pieces that the models did not see."""

PULSE = (-4.7333, 0.4858, 0.0, 0.1317, 0.0225, -1.0877, 13.1362, -1.5266)
"""Logistic weights of `rhythm.pulse_inputs`."""
