"""A child's answer about one track. The parent checks all of it: a file may have taken over its decoder."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.audio.errors import (
    REASONS,
    Crash,
    SourceNotFound,
    SourceUnavailable,
    Timeout,
    TrackError,
    Unknown,
)
from transforms.audio.limits import Limits
from transforms.extraction.protocol import Garbled, send
from transforms.features.extract import AudioFacts, Cost, Features
from transforms.features.parameters.keys import KEY_NAMES, camelot
from transforms.features.parameters.record import Parameters
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.spec import FeatureSpec
from transforms.schemas.parameter_ranges import PARAMETER_RANGES

MOST_TEXT = 2000
"""Longest text of an answer, in characters."""

MOST_HEAD_BYTES = 1 << 16
"""Longest JSON part of an answer, in bytes."""

PARENTS_REASONS = frozenset(error.reason for error in (Crash, SourceNotFound, SourceUnavailable, Timeout, Unknown))
"""Reasons that the parent alone finds: a child that names one of them is not believed."""

_MOST_COST = 1 << 40
"""Highest cost of one track: 12 days in microseconds, 1 TiB in bytes. The sums of a run stay within 64 bits."""


def most_body_bytes(spec: FeatureSpec, parameters: ParametersSpec | None = None) -> int:
    """Bytes of the largest answer: the start of each patch as float32, its values as float16, and the float16 input of
    a network of beats, if there is one.
    """
    frames, mels = spec.patch_shape
    return spec.patches_per_track * (4 + 2 * frames * mels) + 2 * _most_beat_values(parameters)


def _most_beat_values(parameters: ParametersSpec | None) -> int:
    if parameters is None or parameters.beats is None:
        return 0
    given = parameters.beats.input
    return given.most_frames(parameters.excerpt_s) * given.n_mels


class Recipient(NamedTuple):
    """Where an answer goes: the pipe, and the number of the request that it answers."""

    fd: int
    number: int


def send_features(to: Recipient, features: Features) -> None:
    """Answers with a track's features."""
    facts = dataclasses.asdict(features.facts)
    head: dict[str, Any] = {"number": to.number, "shape": features.patches.shape, "facts": facts}
    if features.facts.damage is not None:
        facts["damage"] = plain_text(features.facts.damage)
    if features.cost is not None:
        head["cost"] = dataclasses.asdict(features.cost)
    if features.parameters is not None:
        head["parameters"] = dataclasses.asdict(features.parameters)
    body = features.starts_s.astype("<f4").tobytes() + features.patches.astype("<f2").tobytes()
    if features.beat_mels is not None:
        head["beat_frames"] = len(features.beat_mels)
        body += features.beat_mels.astype("<f2").tobytes()
    send(to.fd, head, body)


def send_error(to: Recipient, error: TrackError) -> None:
    """Answers with the reason why a track has no features."""
    head = {"number": to.number, "reason": error.reason, "detail": plain_text(str(error)), "core_us": error.core_us}
    send(to.fd, head)


def plain_text(text: str) -> str:
    """Valid, printable text of at most `MOST_TEXT` characters."""
    shown = "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text[:MOST_TEXT])
    return shown if len(shown) <= MOST_TEXT and len(text) <= MOST_TEXT else f"{shown[: MOST_TEXT - 3]}..."


def parse_answer(
    number: int,
    head: dict[str, Any],
    body: bytes,
    spec: FeatureSpec,
    limits: Limits,
    parameters: ParametersSpec | None = None,
) -> Features:
    """The features of the answer to the request of this number, with parameters if they were asked for.

    Raises:
      TrackError: the answer names it.
      Garbled: the answer cannot be true: a shape, a range, a number or a text is not what extraction gives.
    """
    try:
        _check_number("number", head["number"], int, number, number)  # a second answer is not the next track's
        if "reason" in head:
            answer: TrackError | Features = _error(head)
        else:
            mels, rest = _beat_mels(head, body, parameters)
            found = _features(head, rest, spec, limits)
            answer = dataclasses.replace(found, parameters=_parameters(head, parameters), beat_mels=mels)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise Garbled(f"{type(error).__name__}: {error}"[:MOST_TEXT]) from error
    if isinstance(answer, TrackError):
        raise answer
    return answer


def _error(head: dict[str, Any]) -> TrackError:
    reason = head["reason"]
    if not isinstance(reason, str) or reason not in REASONS or reason in PARENTS_REASONS:
        raise ValueError(f"{reason!r:.100} is no reason that a child gives")
    _check_text("detail", head["detail"])
    _check_number("core_us", head["core_us"], int, 0, _MOST_COST)
    error = REASONS[reason](head["detail"])
    error.core_us = head["core_us"]
    return error


def _features(head: dict[str, Any], body: bytes, spec: FeatureSpec, limits: Limits) -> Features:
    count = _patch_count(head["shape"], spec)
    frames, mels = spec.patch_shape
    if len(body) != count * (4 + 2 * frames * mels):
        raise ValueError(f"{len(body)} bytes for {count} patches")
    facts, cost = AudioFacts(**head["facts"]), Cost(**head["cost"]) if "cost" in head else None
    _check_facts(facts, limits)
    if cost is not None:
        _check_cost(cost)
    starts_s = np.frombuffer(body, "<f4", count)
    patches = np.frombuffer(body, "<f2", offset=4 * count).reshape(count, frames, mels)
    _check_arrays(starts_s, patches, limits)
    return Features(starts_s=starts_s, patches=patches, facts=facts, cost=cost)


def _beat_mels(
    head: dict[str, Any], body: bytes, parameters: ParametersSpec | None
) -> tuple[npt.NDArray[np.float16] | None, bytes]:
    """The input of the network of beats at the end of a body, and what is before it."""
    if "beat_frames" not in head:
        return None, body
    if parameters is None or parameters.beats is None:
        raise ValueError("mels for a network of beats, which were not asked for")
    given = parameters.beats.input
    _check_number("beat_frames", head["beat_frames"], int, 1, given.most_frames(parameters.excerpt_s))
    size = 2 * head["beat_frames"] * given.n_mels
    if size > len(body):
        raise ValueError(f"{len(body)} bytes, of which {size} are for beats")
    mels = np.frombuffer(body, "<f2", offset=len(body) - size).reshape(head["beat_frames"], given.n_mels)
    _check_finite(mels)
    return mels, body[:-size]


def _patch_count(shape: Any, spec: FeatureSpec) -> int:
    """Number of patches, from the shape that a child claims."""
    count, *patch = shape
    if tuple(patch) != spec.patch_shape or type(count) is not int or not 1 <= count <= spec.patches_per_track:
        raise ValueError(f"shape {shape!r:.100} for at most {spec.patches_per_track} patches of {spec.patch_shape}")
    return count


def _check_facts(facts: AudioFacts, limits: Limits) -> None:
    _check_number("duration_s", facts.duration_s, float, 0, limits.max_duration_s)
    _check_number("sample_rate", facts.sample_rate, int, limits.min_rate_hz, limits.max_rate_hz)
    _check_number("channels", facts.channels, int, 1, limits.max_channels)
    _check_number("decoded_fraction", facts.decoded_fraction, float, 0, 1)
    _check_text("format", facts.format)
    if facts.damage is not None:
        _check_text("damage", facts.damage)


def _parameters(head: dict[str, Any], spec: ParametersSpec | None) -> Parameters | None:
    """The parameters of an answer, if they were asked for."""
    if ("parameters" in head) != (spec is not None):
        raise ValueError("parameters that were not asked for, or none although they were")
    if spec is None:
        return None
    found = Parameters(**head["parameters"])
    for name, (low, high) in PARAMETER_RANGES.items():
        value = getattr(found, name)
        if value is not None:
            _check_number(name, value, int if name in _WHOLE else float, low, high)
    for name, value, allowed in (
        ("key", found.key, KEY_NAMES),
        ("key_second", found.key_second, KEY_NAMES),
        ("camelot", found.camelot, () if found.key is None else (camelot(found.key),)),
        ("loudness_of", found.loudness_of, ("excerpt", spec.loudness)),
    ):
        if value is not None and (not isinstance(value, str) or value not in allowed):
            raise ValueError(f"{name} is {value!r:.100}")
    if found.phase_inverted is not None and type(found.phase_inverted) is not bool:
        raise ValueError(f"phase_inverted is {found.phase_inverted!r:.100}")
    return found


_WHOLE = ("beats_per_bar", "beat_unit")


def _check_cost(cost: Cost) -> None:
    for field in dataclasses.fields(cost):
        _check_number(field.name, getattr(cost, field.name), int, 0, _MOST_COST)


def _check_number(name: str, value: Any, kind: type[int] | type[float], low: float, high: float) -> None:
    if type(value) is not kind or not (low <= value <= high):  # NaN compares as false
        raise ValueError(f"{name} is {value!r:.100}, not from {low} to {high}")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise ValueError(f"{name} is no text of at most {MOST_TEXT} characters")
    if not all(char.isprintable() or char == "\n" for char in value):
        raise ValueError(f"{name} holds characters that cannot be printed: {value!r:.100}")


_EXPONENT = 0x7C00
"""Exponent bits of a float16: all are set in infinities and NaN."""


def _check_arrays(starts_s: np.ndarray, patches: np.ndarray, limits: Limits) -> None:
    if not (starts_s.min() >= 0 and starts_s.max() <= limits.max_duration_s and (np.diff(starts_s) > 0).all()):
        raise ValueError(f"starts of patches {starts_s[:4].tolist()}...")
    _check_finite(patches)


def _check_finite(values: np.ndarray) -> None:
    if (values.view("<u2") & _EXPONENT == _EXPONENT).any():  # a sixth of the time of np.isfinite
        raise ValueError("patches hold values that are not finite")
