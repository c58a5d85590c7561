"""Ogg Opus: streams are made to begin at position 0, and positions that contradict the packets are corrected.

Position 0 is the first sample that a decoder returns, and the first `pre-skip` samples are dropped wherever a stream
begins (RFC 7845, section 4.3). libsndfile drops them only from streams that begin at 0. Of those that begin later, such
as recordings of a broadcast and streams cut without decoding, it returns them, and as many samples too few at the end.
It opens none that begins earlier, and fails where a position is less than an earlier one implies.
"""

import numpy as np

from transforms.audio.containers.ogg_positions.counted import Count, counted_positions
from transforms.audio.containers.ogg_positions.pages import packet_places, read_pages, with_positions

_HEADERS = 2
"""Packets before the audio: identification and comments."""

_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960, 480, 960), (120, 240, 480, 960)
_FRAMES = np.repeat([*_SILK * 3, *_HYBRID, *_CELT * 4], 8)
"""Samples of a frame at 48 kHz by the first byte of a packet, which begins with its configuration (RFC 6716, 3.1)."""


def from_zero(stream: bytes) -> bytes:
    """The same Ogg Opus stream, beginning at position 0, with the positions that its packets have.

    The stream itself is returned if it has them; if it lacks its last page; or if no start makes its end plausible.
    """
    counted = _count(stream)
    if counted is None:
        return stream
    start = counted.start()
    if not counted.is_plausible(start):
        return stream
    last = counted.last[0]
    return with_positions(stream, [*counted.inner, (last, last.position - start)])


def _count(stream: bytes) -> Count | None:
    """Counts samples by the first two bytes of packets; None if a packet is empty or the end lacks."""
    pages = list(read_pages(stream))
    if not pages or not pages[-1].is_end:
        return None
    places, page_of = (values[_HEADERS:] for values in packet_places(pages))
    if not len(places) or (places < 0).any():
        return None
    data = np.frombuffer(stream, np.uint8)
    heads, counts = data[places], data[np.minimum(places + 1, len(data) - 1)] & 63
    frames = np.select([heads & 3 == 0, heads & 3 < 3], [1, 2], counts.astype(np.int64))
    return counted_positions(pages, _FRAMES[heads] * frames, page_of)
