"""From a file's bytes to log-mel patches: the one function behind training and tagging."""

import dataclasses

import numpy as np
import numpy.typing as npt

from transforms.signal.decode import Source, count_frames, open_source
from transforms.signal.errors import (
    DecodeError,
    Empty,
    NoFrames,
    NonFinite,
    Silent,
    TooLarge,
    TooLong,
    TooShort,
    TrackError,
    Truncated,
)
from transforms.signal.gather import BLOCK_FRAMES, Gather, stream_all
from transforms.signal.limits import Limits
from transforms.signal.logmel import frame_count, mel_of_frames
from transforms.signal.patches import PatchPlan, plan_patches
from transforms.signal.sniff import Kind, sniff
from transforms.signal.spec import FeatureSpec

SILENCE = 1e-5
"""Peak level, full scale being 1, up to which audio counts as digital silence: -100 dB, below one step of 16 bits."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioFacts:
    """What was found out about a track's audio.

    Attributes:
      duration_s: length of the decoded audio, or of what the header claims where patches were sought.
      sample_rate: rate of the source in Hz.
      channels: channels of the source.
      format: container by its magic bytes, such as `mp3`.
      decoded_fraction: good share of the planned patches, 0 to 1.
      damage: what is wrong with the file although it was read; None where it is whole.
    """

    duration_s: float
    sample_rate: int
    channels: int
    format: str
    decoded_fraction: float
    damage: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Features:
    """A track's patches, float16 [n, frames, mels], their starts in seconds, float32 [n], and its facts."""

    patches: npt.NDArray[np.float16]
    starts_s: npt.NDArray[np.float32]
    facts: AudioFacts


def extract(data: bytes, spec: FeatureSpec, limits: Limits) -> Features:
    """The log-mel patches of one file. Memory grows with the plan and the file, never with the track's length.

    Raises:
      TrackError: the subclass says why this track has no features.
    """
    if not data:
        raise Empty("0 bytes")
    if len(data) > limits.max_bytes:
        raise TooLarge(f"{len(data)} bytes, the limit is {limits.max_bytes}")
    kind = sniff(data)
    with open_source(data, kind, limits) as source:
        frames = source.frames
    if frames is None:
        with open_source(data, kind, limits) as source:
            frames = count_frames(source, BLOCK_FRAMES)
    with open_source(data, kind, limits) as source:
        return _features(source, frames, kind, spec, limits)


def _features(source: Source, frames: int, kind: Kind, spec: FeatureSpec, limits: Limits) -> Features:
    samples = frames * spec.sample_rate // source.rate_hz
    _check_length(samples, spec, limits)
    plan = plan_patches(samples, spec)
    gather = Gather(plan, spec)
    decoded, bad, failure = stream_all(source, gather, spec)
    if not decoded:
        raise failure or NoFrames("the file decodes to nothing")
    if bad > limits.max_bad_samples * decoded:
        raise NonFinite(f"{bad} of {decoded} samples are NaN or infinite")
    good = _good_patches(plan, min(samples, decoded * spec.sample_rate // source.rate_hz), spec)
    damage = _damage(decoded, frames, bad, failure)
    if len(good) < min(limits.min_good_patches, len(plan.starts)):
        error = DecodeError if failure else Truncated
        raise error(f"{damage}; {len(good)} of {len(plan.starts)} patches are good")
    if max(float(np.abs(buffer).max()) for _, buffer in gather.runs()) <= SILENCE:
        raise Silent(f"{decoded / source.rate_hz:.1f} s of digital silence")
    facts = AudioFacts(
        duration_s=decoded / source.rate_hz,
        sample_rate=source.rate_hz,
        channels=source.channels,
        format=kind.name,
        decoded_fraction=len(good) / len(plan.starts),
        damage=damage,
    )
    return Features(patches=_cut(plan, gather, spec)[good], starts_s=plan.starts_s(spec)[good], facts=facts)


def _check_length(samples: int, spec: FeatureSpec, limits: Limits) -> None:
    duration_s = samples / spec.sample_rate
    if duration_s < spec.min_duration_s:
        raise TooShort(f"{duration_s:.3f} s, at least {spec.min_duration_s} s are needed")
    if duration_s > limits.max_duration_s:
        raise TooLong(f"{duration_s:.0f} s, the limit is {limits.max_duration_s:.0f} s")


def _good_patches(plan: PatchPlan, samples: int, spec: FeatureSpec) -> list[int]:
    """Patches whose frames all lie in the samples that were decoded."""
    frames = frame_count(samples, spec)
    length = min(spec.patch_frames, plan.frames)
    return [i for i, start in enumerate(plan.starts) if start + length <= frames]


def _damage(decoded: int, planned: int, bad: int, failure: TrackError | None) -> str | None:
    found = [f"{failure.reason}: {failure.detail}"] if failure else []
    if decoded < planned:
        found.append(f"truncated: {decoded} of {planned} samples")
    if bad:
        found.append(f"non_finite: {bad} samples set to 0")
    return "; ".join(found) or None


def _cut(plan: PatchPlan, gather: Gather, spec: FeatureSpec) -> npt.NDArray[np.float16]:
    """All planned patches, float16 [n, patch_frames, n_mels]."""
    out = np.empty((len(plan.starts), *spec.patch_shape), np.float16)
    for run, samples in gather.runs():
        mels = mel_of_frames(samples, spec).astype(np.float16)
        for i, start in enumerate(plan.starts):
            if run.first <= start < run.last:
                out[i] = _patch(mels[start - run.first :], spec)
    return out


def _patch(mels: npt.NDArray[np.float16], spec: FeatureSpec) -> npt.NDArray[np.float16]:
    """The first patch_frames frames, repeated from the start where there are fewer."""
    if len(mels) >= spec.patch_frames:
        return mels[: spec.patch_frames]
    return mels[np.arange(spec.patch_frames) % len(mels)]
