"""The bit reservoir of layer 3: a frame's audio may begin in the bytes that earlier frames left over.

Each frame states how many bytes before its own its audio begins, and how many bits each part of its audio has: one part
per granule and channel. A body is what follows a frame's header, checksum and side information. Offsets of bits count
in all bodies together.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from transforms.audio.containers.mpeg import MpegFrame

_HEADER = 4
_CHECKSUM = 2

_STUFFING = 16
"""Ones at the end of a part that are no chance."""

_SAMPLE = 64
"""Frames from the start that are examined for stuffing."""

Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reservoir:
    """How the frames of a stream use the reservoir.

    Attributes:
      lacking: the frames whose audio begins before the stream, as after a cut without decoding, and the bytes that they
        could use. libsndfile plays them as silence.
      is_sound: whether every other frame has its audio in bytes that no frame before it has used.
      is_stuffed: whether most frames fill up their audio with ones.
    """

    lacking: dict[int, int]
    is_sound: bool
    is_stuffed: bool


def most_besides_body(head: MpegFrame) -> int:
    """Bytes of a frame that are no body, with a checksum."""
    return _HEADER + _CHECKSUM + head.side_info


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backsteps:
    """Where the audio of each frame of a stream begins.

    Attributes:
      side: offsets of the side information, int64 [frames].
      bodies: offsets of the bodies.
      before: bytes of all bodies before each one.
      back: bytes before its own body in which the audio of each frame begins.
    """

    side: Ints
    bodies: Ints
    before: Ints
    back: Ints

    def lacking(self) -> dict[int, int]:
        """See `Reservoir.lacking`."""
        lacks = np.flatnonzero(self.back > self.before)
        return dict(zip(lacks.tolist(), self.before[lacks].tolist(), strict=True))


def read_backsteps(data: bytes, bounds: Ints, head: MpegFrame) -> Backsteps:
    """Reads where the audio of the frames [bounds[i], bounds[i + 1]) begins."""
    raw, starts = np.frombuffer(data, np.uint8), bounds[:-1]
    side = starts + _HEADER + _CHECKSUM * (raw[starts + 1] & 1 == 0)
    bodies = side + head.side_info
    sizes = bounds[1:] - bodies
    back = _bytes(raw, side, 2) >> 7 if head.version == 3 else _bytes(raw, side, 1)
    return Backsteps(side=side, bodies=bodies, before=np.cumsum(sizes) - sizes, back=back)


def read_reservoir(data: bytes, bounds: Ints, head: MpegFrame) -> Reservoir:
    """Checks the reservoir of all frames: frame i is [bounds[i], bounds[i + 1]), of the kind of `head`."""
    raw, steps = np.frombuffer(data, np.uint8), read_backsteps(data, bounds, head)
    before, back = steps.before, steps.back
    body_ends = before + bounds[1:] - steps.bodies
    parts = _part_bits(raw, steps.side, head)
    parts[:, back > before] = 0
    begin = 8 * (before - np.minimum(back, before))
    ends = begin + np.cumsum(parts, axis=0)
    return Reservoir(
        lacking=steps.lacking(),
        is_sound=bool((begin[1:] >= ends[-1, :-1]).all() and (ends[-1] <= 8 * body_ends).all()),
        is_stuffed=_is_stuffed(_bodies(data, steps.bodies[:_SAMPLE], bounds[1:]), parts, ends),
    )


def _bytes(raw: npt.NDArray[np.uint8], at: Ints, count: int) -> Ints:
    """The numbers in the bytes at these offsets, the first byte highest."""
    number = raw[at].astype(np.int64)
    for i in range(1, count):
        number = number << 8 | raw[at + i]
    return number


def _part_bits(raw: npt.NDArray[np.uint8], side: Ints, head: MpegFrame) -> Ints:
    """Bits of each part of the audio, int64 [parts, frames]: fields of 12 bits in the side information."""
    if head.version == 3:
        first, step, count = (20 if head.channels == 2 else 18), 59, 2 * head.channels
    else:
        first, step, count = (10 if head.channels == 2 else 9), 63, head.channels
    places = [divmod(first + i * step, 8) for i in range(count)]
    return np.stack([_bytes(raw, side + byte, 3) >> 12 - bit & 0xFFF for byte, bit in places])


def _bodies(data: bytes, starts: Ints, stops: Ints) -> bytes:
    return b"".join(data[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=False))


def _is_stuffed(bodies: bytes, parts: Ints, ends: Ints) -> bool:
    """Whether a part ends in ones in most frames that have audio. Needs the bodies of the first frames."""
    stream = np.frombuffer(bodies + bytes(3), np.uint8).astype(np.int64)
    has_audio, at = parts[:, :_SAMPLE] >= _STUFFING, ends[:, :_SAMPLE]
    byte = np.clip(at >> 3, 2, len(bodies))
    last = (stream[byte - 2] << 16 | stream[byte - 1] << 8 | stream[byte]) >> 8 - (at & 7) & 0xFFFF
    stuffed = has_audio & (last == 0xFFFF)
    return bool(2 * np.count_nonzero(stuffed.any(axis=0)) > np.count_nonzero(has_audio.any(axis=0)))


def silent_frame(frame: bytes, head: MpegFrame, back: int) -> bytes:
    """The frame without audio, but with the bytes that later frames use. It keeps `back` bytes of the reservoir."""
    at = _HEADER + _CHECKSUM * (not frame[1] & 1)
    begin = back << 7 if head.version == 3 else back << 8  # 9 bits, or 8
    return frame[:at] + begin.to_bytes(2, "big").ljust(head.side_info, b"\0") + frame[at + head.side_info :]
