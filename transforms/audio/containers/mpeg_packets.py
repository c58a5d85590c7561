"""MP3s whose frames can be handed to a decoder of layer 3 as they stand: nothing in them is lost, joined or cut."""

import dataclasses

from transforms.audio.containers.mpeg import MpegScan

_DECODER_DELAY = 529
"""Samples by which every decoder of layer 3 is late; the delay in a LAME tag does not count them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packets:
    """A clean MP3, packet by packet.

    Attributes:
      bounds: byte offsets, packet i being [bounds[i], bounds[i + 1]); the frame of the length tag is in none.
      rate_hz: sample rate.
      channels: 1 or 2.
      skip: samples that the decoder gives before the first one of the track.
      frames: samples of the track, each of all channels.
    """

    bounds: tuple[int, ...]
    rate_hz: int
    channels: int
    skip: int
    frames: int


def clean_packets(data: bytes, scan: MpegScan) -> Packets | None:
    """The packets of a file of layer 3 that is whole and says so in a LAME tag, else None."""
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
    if frames <= 0 or padding < _DECODER_DELAY:  # else the last samples would take one frame more
        return None
    return Packets(
        bounds=bounds, rate_hz=head.rate_hz, channels=head.channels, skip=delay + _DECODER_DELAY, frames=frames
    )


def _lame_gaps(tag: bytes, xing: int) -> tuple[int, int] | None:
    """Samples that the encoder put before and after the track; None where the tag does not tell."""
    if any(tag[4:xing]) or len(tag) < xing + 8:  # the decoders take such a frame for audio
        return None
    flags = tag[xing + 7]
    at = xing + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if len(tag) < at + 24 or not tag[at]:
        return None
    gaps = int.from_bytes(tag[at + 21 : at + 24])
    return gaps >> 12, gaps & 0xFFF


def _leans_back(data: bytes, first: int) -> bool:
    """Whether the first frame of audio needs bytes of one before it, as where a stream was cut without decoding."""
    has_crc = not data[first + 1] & 1
    begin = data[first + 4 + 2 * has_crc : first + 6 + 2 * has_crc]
    is_full_rate = data[first + 1] >> 3 & 3 == 3
    return begin[0] > 0 or (is_full_rate and begin[1] >> 7 > 0)
