"""Limits on the cost of one track: bytes, time, memory and shape."""

import dataclasses

MIB = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits for one track. Sizes in bytes, times in seconds, rates in Hz.

    Attributes:
      max_bytes: largest file that is read.
      max_duration_s: longest track; time may grow with it, memory does not.
      min_rate_hz: lowest sample rate of a source.
      max_rate_hz: highest sample rate of a source.
      max_channels: most channels of a source.
      min_good_patches: a damaged track is kept if at least this many patches (or all planned ones) are good.
      max_bad_samples: up to this share, NaN or infinite samples are set to 0; beyond it, the track is rejected.
      address_space_bytes: address space of a child process, including its code.
      cpu_s: processor time for one track.
      wall_s: time for one track from request to answer.
      open_files: descriptors of a child process.
      tracks_per_child: a child process is replaced after this number of tracks.
      allow_weak_sandbox: whether files are decoded where the kernel or libseccomp lacks the allow-list of system calls.
    """

    max_bytes: int = 512 * MIB
    max_duration_s: float = 24 * 3600.0
    min_rate_hz: int = 4_000
    max_rate_hz: int = 384_000
    max_channels: int = 8
    min_good_patches: int = 2
    max_bad_samples: float = 0.01
    address_space_bytes: int = 2048 * MIB
    cpu_s: int = 120
    wall_s: float = 180.0
    open_files: int = 64
    tracks_per_child: int = 500
    allow_weak_sandbox: bool = False

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in ("max_bad_samples", "allow_weak_sandbox") and value <= 0:
                raise ValueError(f"{field.name}={value} is not positive")
        if not 0 <= self.max_bad_samples <= 1:
            raise ValueError(f"max_bad_samples={self.max_bad_samples} is a share: choose 0 to 1")
        if self.min_rate_hz > self.max_rate_hz:
            raise ValueError(f"min_rate_hz={self.min_rate_hz} exceeds max_rate_hz={self.max_rate_hz}")
