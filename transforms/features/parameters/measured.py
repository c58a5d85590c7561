"""All parameters of a track, from its decoded sound to one flat record."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeVar

from transforms.audio.samples import Float32
from transforms.features.parameters.k_weighting import LOWEST_RATE_HZ
from transforms.features.parameters.key import Tonality, measure_key
from transforms.features.parameters.levels import (
    ChannelLevels,
    Silence,
    Stereo,
    channel_levels,
    clipped_ratio,
    energy,
    measure_silence,
    stereo_image,
)
from transforms.features.parameters.loudness import Loudness, measure_loudness
from transforms.features.parameters.loudness_excerpt import ExcerptLoudness, estimate_loudness
from transforms.features.parameters.record import Measurement, Parameters
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.rhythm.measuring import Rhythm, measure_rhythm

RATES_HZ = (8_000, 48_000)
"""Rates of mono samples from which rhythm and key are told."""

DEEPEST_HZ = 100.0
"""Below this brightness most of the power is removed by the K-weighting, and the estimate of loudness is no use: a real
piece with 39 Hz was told 1.3 LU too loud. Then the exact meter is used.
"""

_Part = TypeVar("_Part")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sound:
    """The sound that parameters are measured on.

    Attributes:
      mono: the excerpt, float32 [n], mixed down, at `mono_hz`.
      patches: mono samples under the planned patches, float32 [n] each, of the whole track from its start to its end.
      covers_ends: whether the patches begin with the track and end with it.
      mono_hz: rate of both.
      channels: the excerpt in all its channels, float32 [n, channels], at the rate of the source.
      rate_hz: rate of the source.
      whole: loudness of the whole file; None if it was not measured.
    """

    mono: Float32
    patches: Sequence[Float32]
    covers_ends: bool
    mono_hz: int
    channels: Float32
    rate_hz: int
    whole: Loudness | None = None


def measure_parameters(sound: Sound, spec: ParametersSpec) -> Measurement:
    """Measures all parameters. A part that fails leaves its own fields empty, and is named in the result."""
    failures: list[str] = []

    def part(name: str, measure: Callable[[], _Part], otherwise: _Part) -> _Part:
        try:
            return measure()
        except Exception as error:  # noqa: BLE001 (whatever fails here, the track keeps its tags)
            failures.append(f"{name}: {type(error).__name__}: {error}"[:200])
            return otherwise

    can_tell = RATES_HZ[0] <= sound.mono_hz <= RATES_HZ[1]
    rhythm = part("rhythm", lambda: measure_rhythm(sound.mono, sound.mono_hz), Rhythm()) if can_tell else Rhythm()
    tonality = part("key", lambda: measure_key(sound.patches, sound.mono_hz), Tonality()) if can_tell else Tonality()
    silence = part("silence", lambda: _silence(sound), Silence())
    levels = part("levels", lambda: channel_levels(sound.channels, sound.rate_hz), None)
    stereo = Stereo() if levels is None else part("stereo", lambda: stereo_image(levels), Stereo())
    clipped = None if levels is None else part("clipping", lambda: clipped_ratio(sound.channels, levels), None)
    nothing = ExcerptLoudness(loudness=Loudness(), brightness_hz=None)
    excerpt = part("loudness", lambda: _loudness(sound, levels, spec), nothing)
    loudness = excerpt.loudness if sound.whole is None else sound.whole
    told = any(value is not None for value in vars(loudness).values())
    found = Parameters(
        **vars(rhythm),
        **vars(tonality),
        **vars(loudness),
        loudness_of=None if not told else "excerpt" if sound.whole is None else "full",
        **vars(silence),
        energy=energy(loudness.loudness_lufs, excerpt.brightness_hz, rhythm.onset_rate_hz),
        clipped_ratio=clipped,
        **vars(stereo),
    )
    return Measurement(parameters=found, failures=failures)


def _silence(sound: Sound) -> Silence:
    found = measure_silence([patch for patch in sound.patches if len(patch)], sound.mono_hz)
    return found if sound.covers_ends else Silence(silence_ratio=found.silence_ratio)


def _loudness(sound: Sound, levels: ChannelLevels | None, spec: ParametersSpec) -> ExcerptLoudness:
    """Loudness of the excerpt, and its brightness, which comes from the first two channels."""
    samples = sound.channels
    if sound.rate_hz < LOWEST_RATE_HZ or not len(samples):
        return ExcerptLoudness(loudness=Loudness(), brightness_hz=None)
    estimate = estimate_loudness(samples[:, :2], sound.rate_hz, levels)
    is_deep = (estimate.brightness_hz or DEEPEST_HZ) < DEEPEST_HZ
    if spec.measures == "default" and samples.shape[1] <= 2 and not is_deep:
        return estimate
    return dataclasses.replace(estimate, loudness=measure_loudness(samples, sound.rate_hz))
