"""Frames of a codec that are stored as if they were 16-bit samples: DTS on CD, AC-3 and others of a digital output."""

from typing import NamedTuple

from transforms.audio.containers.streams import Stream, find_dts, stream_at

LOOKED_AT = 1 << 17
"""Bytes from the first one that is not zero that are searched: four frames of the longest kind, 24 KiB, and more."""

_IN_ROW = 8
"""Frames in a row that prove a stream: samples may look like the headers of some frames."""

_DIGITAL_OUTPUT = b"\x72\xf8\x1f\x4e"
"""How IEC 61937 begins a frame of any codec, in the order of bytes of a WAV."""


class CodedPcm(NamedTuple):
    """Frames in samples: name of the kind, offset of the first one, and whether each two bytes are swapped."""

    kind: str
    at: int
    is_swapped: bool = False

    @property
    def shown(self) -> str:
        """The name of the codec for people."""
        return "IEC 61937 (digital output)" if self.kind == "spdif" else self.kind


def coded_frames(pcm: bytes) -> CodedPcm | None:
    """What the bytes of 16-bit stereo samples, lower byte first, contain instead of samples; None if nothing."""
    first = len(pcm) - len(pcm.lstrip(b"\0"))
    window = pcm[first & ~1 : (first & ~1) + LOOKED_AT]
    if window.count(_DIGITAL_OUTPUT) > 1:
        return CodedPcm("spdif", (first & ~1) + window.find(_DIGITAL_OUTPUT))
    if (dts := find_dts(window)) is not None:
        return CodedPcm("dts", (first & ~1) + dts)
    for is_swapped in (False, True):
        turned = swapped(window) if is_swapped else window
        stream: Stream | None = stream_at(turned, first & 1 if not is_swapped else 0, _IN_ROW)
        if stream is not None:
            return CodedPcm(stream.kind, (first & ~1) + stream.at, is_swapped)
    return None


def swapped(data: bytes | bytearray) -> bytes:
    """The same bytes with each two of them swapped, without an odd last one."""
    turned = bytearray(len(data) & ~1)
    turned[::2], turned[1::2] = data[1::2], data[: len(turned) : 2]
    return bytes(turned)
