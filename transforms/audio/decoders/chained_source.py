"""AudioSource of a chained file: reads several streams of one rate one after another, as players do."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from transforms.audio.errors import DecodeError, TrackError
from transforms.audio.samples import Float32

if TYPE_CHECKING:
    from transforms.audio.decoders.source import AudioSource

Open = Callable[[bytes], "AudioSource"]


class ChainedSource:
    """See AudioSource. Opens one link at a time. A link that cannot be opened is skipped and counted as lost."""

    def __init__(self, links: Sequence[bytes], open_link: Open) -> None:
        self._open = open_link
        self._source = open_link(links[0])
        self.rate_hz, self.channels = self._source.rate_hz, self._source.channels
        self.can_seek, self.frames = self._source.can_seek, self._source.frames
        self.lost_packets = 0
        self._links = [links[0]]
        self._starts = [0]
        self._at = 0
        for link in links[1:]:
            self._append(link)

    def _append(self, link: bytes) -> None:
        """Adds a link if its header can be read and has the rate and channels of the first link."""
        try:
            source = self._open(link)
        except TrackError:
            self.lost_packets += 1
            return
        source.close()
        if (source.rate_hz, source.channels) != (self.rate_hz, self.channels):
            self.lost_packets += 1
            return
        self._links.append(link)
        self._starts.append(self.frames or 0)
        self.can_seek = self.can_seek and source.can_seek
        self.frames = None if self.frames is None or source.frames is None else self.frames + source.frames

    def read(self, frames: int) -> Float32:
        """See AudioSource."""
        block = self._source.read(frames)
        while not len(block) and self._at + 1 < len(self._links):
            self._go_to(self._at + 1)
            block = self._source.read(frames)
        return block

    def seek(self, frame: int) -> None:
        """See AudioSource."""
        if self.frames is None:
            raise DecodeError(f"frame {frame} cannot be sought: a link does not tell its length")
        at = max(i for i, start in enumerate(self._starts) if start <= frame)
        if at != self._at:
            self._go_to(at)
        self._source.seek(frame - self._starts[at])

    def _go_to(self, at: int) -> None:
        self._source.close()
        self.lost_packets += self._source.lost_packets
        self._source, self._at = self._open(self._links[at]), at

    def close(self) -> None:
        """See AudioSource."""
        self._source.close()
