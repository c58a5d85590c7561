"""Clean MP3s: nothing is lost, joined or cut, so that a layer 3 decoder can take their frames as they are."""

import dataclasses

from transforms.audio.containers.mpeg import MpegScan

_DECODER_DELAY = 529
"""Delay of every layer 3 decoder in samples. The delay in a LAME tag does not include it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packets:
    """The packets of a clean MP3.

    Attributes:
      bounds: byte offsets: packet i is [bounds[i], bounds[i + 1]). The frame of the length tag is in no packet.
      rate_hz: sample rate.
      channels: 1 or 2.
      skip: samples per channel that the decoder returns before the track's first one.
      frames: samples per channel of the track.
    """

    bounds: tuple[int, ...]
    rate_hz: int
    channels: int
    skip: int
    frames: int


def clean_packets(data: bytes, scan: MpegScan) -> Packets | None:
    """The packets of a layer 3 file that is complete according to its LAME tag, else None."""
    head, first = scan.head, scan.spans[0][0]
    is_whole = not (scan.is_vbri or scan.lost_bytes or scan.joins or scan.is_cut or scan.has_other_kind)
    if head.layer != 3 or not is_whole or len(scan.spans) > 1 or scan.tag_frames != scan.frames - 1:
        return None
    gaps = _lame_gaps(data[first : first + head.size], 4 + head.side_info)
    bounds = (first + head.size, *scan.packets[1:], scan.spans[0][1])
    if gaps is None or _leans_back(data, bounds[0]):
        return None
    delay, padding = gaps
    frames = scan.tag_frames * head.samples - delay - padding
    if frames <= 0 or padding < _DECODER_DELAY:  # with less padding, the delay pushes samples past the last frame
        return None
    return Packets(
        bounds=bounds, rate_hz=head.rate_hz, channels=head.channels, skip=delay + _DECODER_DELAY, frames=frames
    )


def _lame_gaps(tag: bytes, xing: int) -> tuple[int, int] | None:
    """Samples that the encoder added before and after the track; None if the tag does not state them."""
    if any(tag[4:xing]) or len(tag) < xing + 8:  # decoders treat a frame with side information as audio
        return None
    flags = tag[xing + 7]
    at = xing + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if len(tag) < at + 24 or not tag[at]:
        return None
    gaps = int.from_bytes(tag[at + 21 : at + 24])
    return gaps >> 12, gaps & 0xFFF


def _leans_back(data: bytes, first: int) -> bool:
    """Whether the first audio frame needs bytes of an earlier one (bit reservoir), as after a cut without decoding."""
    has_crc = not data[first + 1] & 1
    begin = data[first + 4 + 2 * has_crc : first + 6 + 2 * has_crc]
    is_full_rate = data[first + 1] >> 3 & 3 == 3
    return begin[0] > 0 or (is_full_rate and begin[1] >> 7 > 0)
