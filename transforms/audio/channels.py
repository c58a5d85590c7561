"""Which channels of a track are mixed down: all of them, unless some are empty or they cancel each other."""

import dataclasses

import numpy as np

from transforms.audio.samples import Float32

SILENCE = 1e-5
"""Peak level (full scale is 1) up to which audio counts as digital silence: -100 dB, below one step of 16 bits."""

_EMPTY = 1e-5
"""A channel is empty if it has at most this share of the loudest channel's energy (-50 dB): hiss, or coding noise."""

_AS_LOUD = 0.9
"""Of channels that cancel, the first one with at least this share of the loudest one's energy is read."""

STRIDE = 61
"""One in so many samples is enough. No usual rate is a multiple of it: no tone of whole hertz is missed."""

_BLOCKS = 32
"""Blocks whose energies are taken together."""

_CANCELLED = 0.02
"""Channels cancel if their mean has at most this share of the energy that it would have if they were unrelated.

Opposite channels have 0, unrelated ones 1, equal stereo channels 2.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChannelChoice:
    """The weight of each channel in the downmix, and the note for the ledger."""

    weights: tuple[float, ...]
    note: str


@dataclasses.dataclass(kw_only=True)
class ChannelEnergy:
    """Sums of squared samples: of each channel, and of the mean of all channels. Empty for one channel.

    `frames` is the number of samples that were squared.
    """

    of_channels: list[float] = dataclasses.field(default_factory=list)
    of_mean: float = 0.0
    frames: int = 0
    _kept: list[Float32] = dataclasses.field(default_factory=list, init=False)

    def add(self, some: Float32) -> None:
        """Adds a block: one in `STRIDE` samples of each channel, float32 [channels, samples], which is kept."""
        self._kept.append(some)
        if len(self._kept) == _BLOCKS:
            self._sum_up()

    def _sum_up(self) -> None:
        """Takes the energies of several blocks at once: of one, the calls take longer than the arithmetic."""
        if not self._kept:
            return
        some = np.concatenate(self._kept, axis=1)
        self._kept.clear()
        mean = np.add.reduce(some) / np.float32(len(some))
        energies = [float(np.dot(channel, channel)) for channel in some]
        self.of_channels = [a + b for a, b in zip(self.of_channels or [0.0] * len(energies), energies, strict=True)]
        self.of_mean += float(np.dot(mean, mean))
        self.frames += len(mean)

    def choice(self) -> ChannelChoice | None:
        """What to mix down instead of all channels; None if their mean is right, or if all of them are silent."""
        self._sum_up()
        count, loudest = len(self.of_channels), max(self.of_channels, default=0.0)
        if loudest <= SILENCE**2 * self.frames:
            return None
        used = [i for i, energy in enumerate(self.of_channels) if energy > _EMPTY * loudest]
        if self.of_mean * count**2 <= _CANCELLED * sum(self.of_channels):
            first = next(i for i, energy in enumerate(self.of_channels) if energy > _AS_LOUD * loudest)
            weights = tuple(float(i == first) for i in range(count))
            note = f"channels: no. {first + 1} of {count} read, because the mean of all cancels out"
            return ChannelChoice(weights=weights, note=note)
        if len(used) == count:
            return None
        weights = tuple(1 / len(used) if i in used else 0.0 for i in range(count))
        named = ", ".join(str(i + 1) for i in used)
        return ChannelChoice(weights=weights, note=f"channels: no. {named} of {count} read, the rest are empty")
