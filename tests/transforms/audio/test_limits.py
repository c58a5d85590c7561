"""Limits that cannot be are refused by name."""

import pytest

from transforms.audio.limits import Limits


@pytest.mark.parametrize(
    "wrong", [{"max_bytes": 0}, {"wall_s": -1.0}, {"max_bad_samples": 1.5}, {"min_rate_hz": 500_000}]
)
def test_a_limit_that_cannot_be(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**wrong)
