"""MP3s whose frames a decoder can take as they are, without a demuxer, and which samples libsndfile returns of them."""

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt

from transforms.audio.containers.mpeg import MpegFrame, MpegScan
from transforms.audio.containers.mpeg_reservoir import most_besides_body, read_backsteps, read_reservoir, silent_frame

PACKET_FRAMES = 32
"""Frames per packet: enough for few decoder calls, few enough for their samples to stay in the processor's cache."""

_FARTHEST = 511
"""Most bytes of earlier frames that the audio of a frame may begin in."""

_MOST_BEFORE = 1_024
"""Frames in which there are as many bytes, even of the lowest bit rate."""

_SETTLING = 2
"""Frames after which what a decoder returns depends on nothing before them: transforms of two frames overlap."""

_ID3V1 = 128
_DECODER_DELAY = 529
"""Delay of every layer 3 decoder in samples. The delay in a LAME tag does not include it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packets:
    """The frames of an MP3, and the part of their samples that is the track.

    Attributes:
      bounds: byte offsets, int64 [frames + 1]: frame i is [bounds[i], bounds[i + 1]). The length tag is in no frame.
      head: the first frame's header.
      skip: samples per channel that the decoder returns before the track's first one.
      frames: samples per channel that the length tag claims.
      there: how many of those samples the file has.
    """

    bounds: npt.NDArray[np.int64]
    head: MpegFrame
    skip: int
    frames: int
    there: int


def packets_of(data: bytes, scan: MpegScan) -> Packets | None:
    """The frames of a layer 3 file that begins with a length tag and is one span; else None.

    Also None if a file is shorter than its tag claims and more than a cut frame or an ID3v1 tag follows: libsndfile
    looks for frames in it, and fails.
    """
    head, (first, stop) = scan.head, scan.spans[0]
    claimed = scan.tag_frames
    if head.layer != 3 or scan.is_vbri or claimed is None or len(scan.spans) > 1:
        return None
    gaps = _gaps(data[first : first + head.size], 4 + head.side_info)
    if gaps is None or (claimed > scan.frames - 1 and not _ends(data, scan)):
        return None
    delay, padding = gaps
    skip = delay + _DECODER_DELAY
    frames = claimed * head.samples - delay - max(padding, _DECODER_DELAY)
    there = min(frames, (scan.frames - 1) * head.samples - skip)
    if there <= 0:
        return None
    bounds = np.append(np.asarray(scan.starts, np.int64)[1:], stop)
    return Packets(bounds=bounds, head=head, skip=skip, frames=frames, there=there)


def _ends(data: bytes, scan: MpegScan) -> bool:
    """Whether nothing follows the last frame but a cut one, or an ID3v1 tag."""
    return scan.is_cut or (scan.end == len(data) <= scan.spans[-1][1] + _ID3V1)


def _gaps(tag: bytes, xing: int) -> tuple[int, int] | None:
    """Samples that the encoder added before and after the track; 0 if the tag does not state them.

    Returns None for a frame with side information: decoders treat it as audio. The first two bytes may be a checksum.
    """
    if any(tag[6:xing]) or len(tag) < xing + 8:
        return None
    flags = tag[xing + 7]
    at = xing + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if len(tag) < at + 24 or not tag[at]:
        return 0, 0
    gaps = int.from_bytes(tag[at + 21 : at + 24])
    return gaps >> 12, gaps & 0xFFF


@dataclasses.dataclass(kw_only=True)
class Feed:
    """What a decoder takes: packets from frame `at` on.

    Attributes:
      data: the file.
      packets: its frames.
      begins_before: the frames whose audio begins before the stream; see `Reservoir.lacking`.
      is_stuffed: whether most frames end in stuffing bits.
      at: the next frame.
    """

    data: bytes
    packets: Packets
    begins_before: dict[int, int]
    is_stuffed: bool
    at: int = 0
    _lacking: dict[int, int] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self._lacking = self.begins_before

    def take(self, count: int) -> bytes | None:
        """The next packet, of `count` frames or as many as are left; None at the end."""
        first, self.at = self.at, min(self.at + count, len(self.packets.bounds) - 1)
        if first == self.at:
            return None
        bounds = self.packets.bounds[first : self.at + 1].tolist()
        if not any(first <= frame < self.at for frame in self._lacking):
            return self.data[bounds[0] : bounds[-1]]
        frames = [self.data[start:stop] for start, stop in itertools.pairwise(bounds)]
        head = self.packets.head
        return b"".join(
            silent_frame(frame, head, self._lacking[i]) if i in self._lacking else frame
            for i, frame in enumerate(frames, first)
        )

    def seek(self, frame: int) -> None:
        """Goes to a frame, or as far before it as a decoder needs to return the same of it as if it had started at 0.

        Frames on the way whose audio begins before the new start become silent.
        """
        settled = max(0, frame - _SETTLING)
        first = max(0, settled - _MOST_BEFORE)
        bounds, head = self.packets.bounds[first : settled + 1], self.packets.head
        bodies = bounds - np.arange(len(bounds)) * most_besides_body(head)
        at = int(np.searchsorted(np.maximum.accumulate(bodies), bodies[-1] - _FARTHEST, "right")) - 1
        self.at = first + max(0, at)
        cut = read_backsteps(self.data, bounds[max(0, at) :], head).lacking()
        self._lacking = self.begins_before | {self.at + i: back for i, back in cut.items()}


def feed_of(data: bytes, packets: Packets) -> Feed | None:
    """The packets for a decoder that starts at the first one. Frames whose audio lies before it are silent.

    Returns None if a frame has its audio in bytes that an earlier frame has used, as at a join of two cut streams: each
    decoder makes a noise of its own of them.
    """
    reservoir = read_reservoir(data, packets.bounds, packets.head)
    if not reservoir.is_sound:
        return None
    return Feed(data=data, packets=packets, begins_before=reservoir.lacking, is_stuffed=reservoir.is_stuffed)
