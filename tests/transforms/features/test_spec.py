"""The feature spec's checks and its id."""

import dataclasses

import pytest

from transforms.features.spec import FeatureSpec

SPEC = FeatureSpec()


@pytest.mark.parametrize(
    "wrong",
    [
        {"sample_rate": 0},
        {"n_mels": -1},
        {"hop_length": 513},
        {"fmax": 8_001.0},
        {"fmin": 8_000.0},
        {"compression": "log"},
        {"min_duration_s": 0.01},
        {"patches_per_track": 1025},
    ],
)
def test_a_spec_that_cannot_be_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        dataclasses.replace(SPEC, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_mels": 1_000_000},
        {"n_fft": 1_000_000, "min_duration_s": 100},
        {"n_fft": 65_536, "n_mels": 4096, "min_duration_s": 10},
        {"patch_frames": 1_000_000, "patches_per_track": 1024},
        {"patch_frames": 100_000, "patches_per_track": 64},
    ],
)
def test_a_spec_that_would_fill_the_memory_is_refused(wrong):
    with pytest.raises(ValueError, match=r"would take [0-9.]+ GiB of memory, at most 1 GiB"):
        dataclasses.replace(SPEC, **wrong)


def test_usual_specs_are_far_below_the_limit():
    large = dataclasses.replace(SPEC, n_fft=8192, n_mels=512, patches_per_track=128, min_duration_s=1)
    assert SPEC.memory_bytes < 1 << 22 and large.memory_bytes < 1 << 28


def test_json_and_back():
    assert FeatureSpec.from_json(SPEC.to_json()) == SPEC


@pytest.mark.parametrize("change", [{"extra": 1}, {"n_mels": None}])
def test_json_with_other_fields_is_refused(change):
    obj = {**SPEC.to_json(), **change}
    if change.get("n_mels", 0) is None:
        del obj["n_mels"]
    with pytest.raises(ValueError, match=r"unknown fields \[.*\], missing \[.*\]"):
        FeatureSpec.from_json(obj)


def test_every_field_moves_the_id():
    other = dataclasses.replace(SPEC, patches_per_track=15)
    assert other.feature_id != SPEC.feature_id and SPEC.feature_id.startswith("fs-")


def test_the_length_of_a_patch():
    assert SPEC.patch_shape == (187, 96) and SPEC.patch_s == pytest.approx(2.992)


@pytest.mark.parametrize("value", [None, "x", [], True, float("nan"), -1, 10**400, 10**9])
@pytest.mark.parametrize("name", ["n_mels", "sample_rate", "fmin", "min_duration_s"])
def test_other_values_than_numbers_in_range_are_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name}="):
        FeatureSpec(**{name: value})  # type: ignore[arg-type]
