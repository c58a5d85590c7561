"""Frames of a codec that are stored as if they were 16-bit samples: DTS on CD, AC-3 and others of a digital output."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.audio.containers.streams import DTS_SYNC, find_dts, stream_at

LOOKED_AT = 1 << 15
"""Samples from the first one that is not zero that are searched: more than two frames of the longest kind, 24 KiB."""

_IN_ROW = 8
"""Frames in a row that prove a stream: samples may look like the headers of some frames."""

_DIGITAL_OUTPUT = b"\x72\xf8\x1f\x4e"
"""How IEC 61937 begins a frame of any codec, in the order of bytes of a WAV."""

_SWAPPED_AC3 = b"\x77\x0b"


class CodedPcm(NamedTuple):
    """Frames in samples: name of the kind, offset of the first one, and whether each two bytes are swapped."""

    kind: str
    at: int
    is_swapped: bool = False

    @property
    def shown(self) -> str:
        """The name of the codec for people."""
        return "IEC 61937 (digital output)" if self.kind == "spdif" else self.kind


def coded_frames(samples: npt.NDArray[np.int16]) -> CodedPcm | None:
    """What the samples of a stereo file, in the order of the file, contain instead of sound; None if nothing."""
    first = int(np.argmax(samples != 0))
    some = samples[first : first + LOOKED_AT]
    at = 2 * first
    if _count(some, _DIGITAL_OUTPUT) > 1:
        return CodedPcm("spdif", at + some.tobytes().find(_DIGITAL_OUTPUT))
    if any(_count(some, sync) > 1 for sync in DTS_SYNC) and (dts := find_dts(some.tobytes())) is not None:
        return CodedPcm("dts", at + dts)
    window = some.tobytes()
    is_swapped = window.startswith(_SWAPPED_AC3)
    window = swapped(window) if is_swapped else window
    stream = stream_at(window, 0 if window[:1] != b"\0" else 1, _IN_ROW)
    return CodedPcm(stream.kind, at + stream.at, is_swapped) if stream else None


def _count(samples: npt.NDArray[np.int16], pattern: bytes) -> int:
    """How often two samples in a row are these four bytes: a tenth of the time of a search in bytes."""
    first, second = np.frombuffer(pattern, "<i2")
    places = np.flatnonzero(samples[:-1] == first)
    return int(np.count_nonzero(samples[places + 1] == second))


def swapped(data: bytes | bytearray) -> bytes:
    """The same bytes with each two of them swapped, without an odd last one."""
    turned = bytearray(len(data) & ~1)
    turned[::2], turned[1::2] = data[1::2], data[: len(turned) : 2]
    return bytes(turned)
