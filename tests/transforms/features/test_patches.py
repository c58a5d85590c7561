"""The patch plan's laws."""

import dataclasses
import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.synth import SPEC
from transforms.features.logmel import frame_count
from transforms.features.patches import plan_patches

lengths = st.integers(min_value=3_200, max_value=3_000_000)
specs = st.builds(
    lambda n, p: dataclasses.replace(SPEC, patches_per_track=n, patch_frames=p), st.integers(1, 40), st.integers(1, 400)
)


@given(lengths, specs)
def test_patches_lie_within_the_track_in_order(samples, spec):
    plan = plan_patches(samples, spec)
    assert list(plan.starts) == sorted(set(plan.starts))
    assert plan.starts[0] >= 0
    assert plan.starts[-1] + min(spec.patch_frames, plan.frames) <= plan.frames == frame_count(samples, spec)
    assert 1 <= len(plan.starts) <= spec.patches_per_track


@given(lengths, specs)
def test_several_patches_reach_from_the_first_frame_to_the_last_evenly(samples, spec):
    plan = plan_patches(samples, spec)
    if len(plan.starts) > 1:
        assert plan.starts[0] == 0 and plan.starts[-1] + spec.patch_frames == plan.frames
        steps = np.diff(plan.starts)
        assert steps.max() - steps.min() <= 1


@given(lengths, specs)
def test_a_track_is_covered_wholly_where_the_number_of_patches_allows(samples, spec):
    plan = plan_patches(samples, spec)
    if len(plan.starts) * spec.patch_frames >= plan.frames:
        assert [(run.first, run.last) for run in plan.runs(spec)] == [(0, plan.frames)]


@given(lengths, specs)
def test_runs_hold_every_patch_and_never_touch(samples, spec):
    plan = plan_patches(samples, spec)
    runs = plan.runs(spec)
    for start in plan.starts:
        assert any(run.first <= start and start + min(spec.patch_frames, plan.frames) <= run.last for run in runs)
    assert all(a.last < b.first for a, b in itertools.pairwise(runs))


def test_a_short_track_has_one_patch_from_its_start():
    assert plan_patches(16_000, SPEC).starts == (0,)


def test_a_single_patch_of_a_long_track_lies_in_the_middle():
    spec = dataclasses.replace(SPEC, patches_per_track=1)
    assert plan_patches(1_600_000, spec).starts == ((6251 - 187) // 2,)


def test_starts_in_seconds():
    np.testing.assert_allclose(plan_patches(16_000 * 6, SPEC).starts_s(SPEC), np.array([0, 94, 189]) * 0.016)
