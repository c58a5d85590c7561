"""The feature spec: how audio becomes model input, and its id."""

import dataclasses
import hashlib
import json
from typing import Any, Literal, Self

EXTRACTOR_VERSION = 1
"""Increased if and only if extracted features change beyond the tolerance of the golden vectors."""

MOST_PATCHES = 1024
"""Most patches per track: with the default spec, all of 51 minutes, and 200 MB while they are made."""

MOST_VALUE = 1_000_000
"""Largest value of a number: hertz, samples, frames or seconds."""

MOST_FEATURE_BYTES = 1 << 30
"""Most memory for a track's features: mel bank, a block of windows, and patches."""

STFT_FRAMES = 128
"""Frames transformed at a time: few enough for a windowed block and its spectrum to stay in the processor's cache."""

Compression = Literal["db", "log10p1"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """How audio becomes model input. Rates in Hz, sizes in samples or frames, lengths in seconds.

    Attributes:
      sample_rate: rate that audio is resampled to, after the downmix to mono.
      n_fft: samples of one Hann window and of its Fourier transform.
      hop_length: samples between two frames.
      n_mels: mel bands (Slaney scale and area normalisation, as librosa's default).
      fmin: lowest frequency of the mel bank.
      fmax: highest frequency of the mel bank; at most half the sample rate.
      compression: `db` is 10 log10(max(power, 1e-10)); `log10p1` is log10(1 + 10,000 power).
      patch_frames: frames of one patch.
      patches_per_track: most patches per track, spread evenly over it; they cover a shorter track completely.
      min_duration_s: shorter tracks are rejected. A track between this and one patch repeats its frames to fill it.
    """

    sample_rate: int = 16_000
    n_fft: int = 512
    hop_length: int = 256
    n_mels: int = 96
    fmin: float = 0.0
    fmax: float = 8_000.0
    compression: Compression = "db"
    patch_frames: int = 187
    patches_per_track: int = 16
    min_duration_s: float = 0.2

    def __post_init__(self) -> None:
        for name in ("sample_rate", "n_fft", "hop_length", "n_mels", "patch_frames", "patches_per_track"):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= MOST_VALUE:
                raise ValueError(f"{name}={str(value)[:60]!a}: a whole number from 1 to {MOST_VALUE} is needed")
        for name in ("fmin", "fmax", "min_duration_s"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 <= value <= MOST_VALUE:
                raise ValueError(f"{name}={str(value)[:60]!a}: a number from 0 to {MOST_VALUE} is needed")
        if self.patches_per_track > MOST_PATCHES:
            raise ValueError(
                f"patches_per_track={self.patches_per_track}: at most {MOST_PATCHES}, to bound the memory of a track"
            )
        if self.memory_bytes > MOST_FEATURE_BYTES:
            raise ValueError(
                f"n_fft={self.n_fft}, n_mels={self.n_mels}, patch_frames={self.patch_frames}, "
                f"patches_per_track={self.patches_per_track}: the features of a track would take "
                f"{self.memory_bytes / 2**30:.1f} GiB of memory, at most {MOST_FEATURE_BYTES >> 30} GiB"
            )
        if self.hop_length > self.n_fft:
            raise ValueError(f"hop_length={self.hop_length} exceeds n_fft={self.n_fft}: frames would skip samples")
        if not 0 <= self.fmin < self.fmax <= self.sample_rate / 2:
            raise ValueError(
                f"fmin={self.fmin}, fmax={self.fmax}: need 0 <= fmin < fmax <= sample_rate / 2 = {self.sample_rate / 2}"
            )
        if self.compression not in ("db", "log10p1"):
            raise ValueError(f"compression={self.compression!r}: choose 'db' or 'log10p1'")
        if self.min_duration_s * self.sample_rate < self.n_fft:
            raise ValueError(f"min_duration_s={self.min_duration_s} is shorter than one window of {self.n_fft} samples")

    @property
    def patch_shape(self) -> tuple[int, int]:
        """Shape of one patch, [frames, mels]."""
        return (self.patch_frames, self.n_mels)

    @property
    def memory_bytes(self) -> int:
        """Estimated memory for the features of a track, besides its samples."""
        bank = 24 * (self.n_fft // 2 + 1) * self.n_mels  # librosa makes it in float64
        windows = 20 * STFT_FRAMES * self.n_fft
        return bank + windows + 6 * self.patches_per_track * self.patch_frames * self.n_mels

    @property
    def patch_s(self) -> float:
        """Length of one patch in seconds, from its first frame to the first frame after it."""
        return self.patch_frames * self.hop_length / self.sample_rate

    @property
    def feature_id(self) -> str:
        """Hash of this spec and of the extractor's version: equal ids mean comparable features."""
        text = json.dumps({"extractor_version": EXTRACTOR_VERSION, **self.to_json()}, sort_keys=True)
        return "fs-" + hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """The spec as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """Reads the spec that `to_json` wrote.

        Raises:
          ValueError: a field is unknown or missing, or its value is not allowed.
        """
        names = {f.name for f in dataclasses.fields(cls)}
        if set(obj) != names:
            raise ValueError(
                f"feature spec: unknown fields {sorted(set(obj) - names)}, missing {sorted(names - set(obj))}"
            )
        return cls(**obj)
