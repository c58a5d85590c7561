"""Positions counted in packets, in place of those that a stream states.

A page states the position after the last sample of the packets that end on it. libsndfile takes the length of a file
from its first and its last page; libvorbis cuts the end of the last page where the page before it implies. ffmpeg's
encoders state some positions up to a block too late or too early and the following ones correctly, for instance when
they transcode Ogg Vorbis. Then the end of the sound is lost.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.audio.containers.ogg_positions.pages import UNSET, Int32s, Page


class Count(NamedTuple):
    """What a stream states, against what its packets decode to.

    Attributes:
      inner: (page, samples up to its end) of each page that has a position and audio, but the last.
      last: the same of the last page.
      longest: most samples that one packet decodes to.
    """

    inner: list[tuple[Page, int]]
    last: tuple[Page, int]
    longest: int

    @property
    def offsets(self) -> list[int]:
        """Positions less the samples up to them: where the stream would begin by each page but the last."""
        return [page.position - end for page, end in self.inner]

    @property
    def agrees(self) -> bool:
        """Whether two pages or more tell one start."""
        return len(self.inner) > 1 and len(set(self.offsets)) == 1

    def start(self) -> int:
        """The position of the first sample: the least that a page tells, or 0 if that is less than a packet from 0."""
        first = min(self.offsets)
        return first if self.agrees or abs(first) >= self.longest or self.cut(0) < 0 else 0

    def cut(self, start: int) -> int:
        """Samples that the last page cuts off if the first one has this position."""
        return start + self.last[1] - self.last[0].position

    def is_plausible(self, start: int) -> bool:
        """Whether the stream ends on its last page (or a packet before it) if it begins at this position."""
        return 0 <= self.cut(start) <= self.last[1] - self.inner[-1][1] + self.longest


def counted_positions(pages: Sequence[Page], samples: npt.NDArray[np.int64], page_of: Int32s) -> Count | None:
    """Counts the samples of packets by the pages that they end on; None if only the last page states a position."""
    ends = np.cumsum(np.bincount(page_of, weights=samples, minlength=len(pages))).astype(np.int64).tolist()
    *inner, last = zip(pages, ends, strict=True)
    inner = [(page, end) for page, end in inner if end and page.position != UNSET]
    return Count(inner, last, int(samples.max())) if inner else None
