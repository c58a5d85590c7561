"""Golden vectors: if they move beyond the tolerance, EXTRACTOR_VERSION must be raised and they made anew.

python -m tests.transforms.features.test_golden      # writes golden_features.json
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.synth import SPEC, encode, music
from transforms.audio.limits import Limits
from transforms.features.extract import extract
from transforms.features.spec import EXTRACTOR_VERSION

PATH = Path(__file__).with_name("golden_features.json")
TOLERANCE = 0.07
"""In dB: one step of float16 below -64 dB is 0.0625."""

CASES = {
    "stereo, 44.1 kHz, 10 s": (lambda: encode(music(10.0), subtype="PCM_16"), SPEC),
    "mono, 48 kHz, 100 s": (lambda: encode(music(100.0, 48_000, 1), 48_000, subtype="FLOAT"), SPEC),
    "8 kHz, half a second": (lambda: encode(music(0.5, 8_000, 1), 8_000, subtype="PCM_24"), SPEC),
    "at its own rate": (lambda: encode(music(4.0, 16_000, 1), 16_000, subtype="FLOAT"), SPEC),
    "log10p1, another frame": (
        lambda: encode(music(6.0), subtype="FLOAT"),
        dataclasses.replace(SPEC, compression="log10p1", n_fft=1024, n_mels=64, patch_frames=100),
    ),
}


def sample_of(case):
    """Shape, starts and every 997th value of a case's patches."""
    data, spec = CASES[case][0](), CASES[case][1]
    features = extract(data, spec, Limits())
    values = features.patches.astype(np.float64).ravel()[::997]
    return {
        "shape": list(features.patches.shape),
        "starts_s": [round(float(s), 4) for s in features.starts_s],
        "values": [round(float(v), 3) for v in values],
    }


@pytest.mark.parametrize("case", CASES)
def test_features_have_not_moved(case):
    golden = json.loads(PATH.read_text())
    assert golden["extractor_version"] == EXTRACTOR_VERSION
    got = sample_of(case)
    assert got["shape"] == golden[case]["shape"] and got["starts_s"] == golden[case]["starts_s"]
    np.testing.assert_allclose(got["values"], golden[case]["values"], atol=TOLERANCE)


def test_feature_ids_have_not_moved():
    assert SPEC.feature_id == json.loads(PATH.read_text())["feature_id"]


if __name__ == "__main__":
    cases = {case: sample_of(case) for case in CASES}
    PATH.write_text(json.dumps({"extractor_version": EXTRACTOR_VERSION, "feature_id": SPEC.feature_id, **cases}) + "\n")
