"""From a file's bytes to log-mel patches. Training and tagging use the same function."""

import dataclasses
import functools
import os
import resource
import time

import numpy as np
import numpy.typing as npt

from transforms.audio.channels import SILENCE
from transforms.audio.containers.contents import BELIEVED, identify
from transforms.audio.errors import (
    DecodeError,
    Empty,
    NoFrames,
    NonFinite,
    Silent,
    SourceTooLarge,
    TooShort,
    TrackError,
    Truncated,
)
from transforms.audio.limits import Limits
from transforms.features.coded_samples import unwrapped
from transforms.features.logmel import log_mel_of_frames
from transforms.features.parameters.record import Measurement, Parameters
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.patch_samples import PatchSamples
from transforms.features.reading import AudioFile, Reading, read_measured, read_packets, read_planned
from transforms.features.spec import FeatureSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioFacts:
    """Facts about a track's audio.

    Attributes:
      duration_s: length of the audio that is in the file; a cut file is shorter than its header claims.
      sample_rate: rate of the source in Hz.
      channels: channels of the source.
      format: container by its magic bytes, such as `mp3`.
      decoded_fraction: share of the planned patches that are good, 0 to 1.
      damage: defects and oddities of a file that was read nevertheless, joined by `; `; None if there are none.
    """

    duration_s: float
    sample_rate: int
    channels: int
    format: str
    decoded_fraction: float
    damage: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """Time and memory that one track took.

    Attributes:
      decode_ms: time for decoding, downmix and resampling.
      features_ms: time for log-mel and patches.
      peak_bytes: most memory that the process has held so far.
      core_us: processor time for the whole track in microseconds, including threads of decoders.
    """

    decode_ms: int
    features_ms: int
    peak_bytes: int
    core_us: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Features:
    """A track's patches, float16 [n, frames, mels]; their starts in seconds, float32 [n]; its facts and its cost.

    `parameters` are None where none were asked for. `beat_mels`, float16 [frames, mels], is what a network of beats
    takes; None if there is none, or nothing for it to hear.
    """

    patches: npt.NDArray[np.float16]
    starts_s: npt.NDArray[np.float32]
    facts: AudioFacts
    cost: Cost | None = None
    parameters: Parameters | None = None
    beat_mels: npt.NDArray[np.float16] | None = None

    def also_took(self, core_us: int) -> "Features":
        """The same features with the processor time of an earlier try added to their cost."""
        if self.cost is None:
            return self
        return dataclasses.replace(self, cost=dataclasses.replace(self.cost, core_us=self.cost.core_us + core_us))


def extract(data: bytes, spec: FeatureSpec, limits: Limits, parameters: ParametersSpec | None = None) -> Features:
    """Extracts the log-mel patches of one file. Memory grows with the plan and the file size, not with the duration.

    Args:
      data: the file.
      spec: the features.
      limits: what the track may cost.
      parameters: how its parameters are measured; None: they are not. The patches are the same with and without.

    Raises:
      TrackError: the track has no features; the subclass is the reason.
    """
    if not data:
        raise Empty("0 bytes")
    if len(data) > limits.max_bytes:
        raise SourceTooLarge(f"{len(data)} bytes, the limit is {limits.max_bytes}")
    start, core = time.perf_counter(), core_seconds()
    kind, contents = identify(data)
    track = AudioFile(contents=contents, kind=contents.wrapped or kind, spec=spec, limits=limits, parameters=parameters)
    track, reading = _read_sound(track)
    good = reading.gather.good_patches()
    _check_good(track, reading, good)
    if (peak := reading.gather.peak()) <= SILENCE:
        raise Silent(f"{reading.duration_s:.1f} s of digital silence")
    decoded = time.perf_counter()
    patches = _cut(reading.gather, spec)[good]
    cut = time.perf_counter()
    measured = None if parameters is None else _measured(track, reading, parameters)
    damage = _damage(track, reading, reading.gather.odd_level(peak), measured)
    return Features(
        patches=patches,
        starts_s=reading.gather.plan.starts_s(spec)[good],
        facts=_facts(reading, len(good), track.kind.name, damage),
        cost=_cost(decoded - start, cut - decoded, core_seconds() - core),
        parameters=None if measured is None else measured.parameters,
        beat_mels=None if measured is None else measured.beat_mels,
    )


def _measured(track: AudioFile, reading: Reading, parameters: ParametersSpec) -> Measurement:
    from transforms.features.sound import measure_track  # loads SciPy, which most extraction does not need

    return measure_track(track, reading, parameters)


def _cost(decode_s: float, features_s: float, core_s: float) -> Cost:
    return Cost(
        decode_ms=round(1000 * decode_s),
        features_ms=round(1000 * features_s),
        peak_bytes=peak_bytes(),
        core_us=round(1e6 * core_s),
    )


def core_seconds() -> float:
    """Processor time of this process and its threads so far.

    A process with a limit on its processor time, as the sandbox's children, has a process clock that is late by up to a
    clock tick; getrusage is exact.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_bytes() -> int:
    """Peak memory by /proc: getrusage would count what the parent held when it started this process."""
    lines = os.pread(_status_file(os.getpid()), 1 << 14, 0).decode("ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


@functools.cache
def _status_file(process: int) -> int:
    """Descriptor of what the kernel tells about a process, opened once: a confined process opens no file later."""
    return os.open(f"/proc/{process}/status", os.O_RDONLY | os.O_CLOEXEC)


def _read_sound(track: AudioFile) -> tuple[AudioFile, Reading]:
    """Reads a track, and again if its samples are frames of a codec or if its channels have to be chosen."""
    reading = _read(track)
    if reading.tally.is_coded:
        track = unwrapped(track)
        reading = _read(track)
    if (channels := reading.tally.energy.choice()) is not None:
        track = dataclasses.replace(track, channels=channels)
        reading = _read(track)
    return track, reading


def _read(track: AudioFile) -> Reading:
    """Reads by the length that the header claims. Measures the length if there is no claim, or it is far too large."""
    if (quick := read_packets(track)) is not None:
        return quick
    with track.open() as source:
        frames = track.claimed_frames(source)
        reading = read_measured(track, source) if frames is None else read_planned(track, source, frames)
    if frames is None and track.contents.stretch > 1:
        frames = int(reading.frames * track.contents.stretch)
        return _read_again(track, frames)
    if frames is None:
        return reading
    if reading.tally.failure is not None and track.kind.decoder == "soundfile":
        reading = _better(reading, track.by_ffmpeg(), frames)
    if track.contents.is_counted or _good_share(reading) >= 0.5:
        return reading
    return _believed(reading, track)


def _read_again(track: AudioFile, frames: int) -> Reading:
    with track.open() as source:
        return read_planned(track, source, frames)


def _believed(reading: Reading, track: AudioFile) -> Reading:
    """The given reading, or a measured one if the header claims more than `BELIEVED` times the measured length."""
    try:
        with track.open() as source:
            measured = read_measured(track, source)
    except (NoFrames, DecodeError, TooShort):
        return reading
    return measured if measured.frames * BELIEVED < reading.frames else reading


def _better(reading: Reading, other: AudioFile, frames: int) -> Reading:
    """The reading of a damaged file by the decoder with more good patches."""
    try:
        again = _read_again(other, frames)
    except TrackError:
        return reading
    if _good_share(again) <= _good_share(reading):
        return reading
    if not other.contents.shows_end:  # only the first decoder's failure shows the damage
        again.tally.failure = again.tally.failure or reading.tally.failure
    return again


def _good_share(reading: Reading) -> float:
    return len(reading.gather.good_patches()) / len(reading.gather.plan.starts)


def _check_good(track: AudioFile, reading: Reading, good: list[int]) -> None:
    """Raises a TrackError if the damage is too great."""
    planned, tally = len(reading.gather.plan.starts), reading.tally
    if not tally.frames:
        raise tally.failure or NoFrames("the file decodes to nothing")
    if tally.bad > track.limits.max_bad_samples * tally.frames:
        raise NonFinite(f"{tally.bad} of {tally.frames} samples are NaN or infinite")
    if len(good) < min(track.limits.min_good_patches, planned):
        error = DecodeError if tally.failure else Truncated
        raise error(f"{len(good)} of {planned} patches are good; {_damage(track, reading)}")


def _damage(
    track: AudioFile, reading: Reading, level: str | None = None, measured: Measurement | None = None
) -> str | None:
    """All defects of a file, an odd level, and parameters that could not be measured; None if there are none."""
    defects = list(dict.fromkeys(track.contents.notes + reading.notes))
    if track.channels is not None:
        defects.append(track.channels.note)
    if reading.tally.failure is not None:
        defects.append(f"{reading.tally.failure.reason}: {reading.tally.failure.detail}")
    if reading.tally.bad:
        defects.append(f"non_finite: {reading.tally.bad} samples set to 0")
    if level is not None:
        defects.append(f"level: {level}")
    if measured is not None:
        defects += [f"parameters: {failure}" for failure in measured.failures]
    return "; ".join(defects) or None


def _facts(reading: Reading, good: int, format: str, damage: str | None) -> AudioFacts:
    return AudioFacts(
        duration_s=reading.duration_s,
        sample_rate=reading.rate_hz,
        channels=reading.channels,
        format=format,
        decoded_fraction=good / len(reading.gather.plan.starts),
        damage=damage,
    )


def _cut(gather: PatchSamples, spec: FeatureSpec) -> npt.NDArray[np.float16]:
    """All planned patches, float16 [n, patch_frames, n_mels]."""
    starts = gather.plan.starts
    out = np.empty((len(starts), *spec.patch_shape), np.float16)
    for buffer in gather.buffers:
        mels = log_mel_of_frames(buffer.samples, spec).astype(np.float16)
        for i, start in enumerate(starts):
            if buffer.run.first <= start < buffer.run.last:
                out[i] = _patch(mels[start - buffer.run.first :], spec)
    return out


def _patch(mels: npt.NDArray[np.float16], spec: FeatureSpec) -> npt.NDArray[np.float16]:
    """The first `patch_frames` frames; if there are fewer, they are repeated."""
    if len(mels) >= spec.patch_frames:
        return mels[: spec.patch_frames]
    return mels[np.arange(spec.patch_frames) % len(mels)]
