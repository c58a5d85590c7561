"""Ogg Vorbis: positions that contradict the packets are corrected."""

import itertools

import numpy as np

from transforms.audio.containers.ogg_positions.block_sizes import mode_block_sizes
from transforms.audio.containers.ogg_positions.counted import Count, counted_positions
from transforms.audio.containers.ogg_positions.pages import packet_places, page_packets, read_pages, with_positions

_HEADERS = 3
"""Packets before the audio: identification, comments, setup."""


def with_counted_positions(stream: bytes) -> bytes:
    """The same Ogg Vorbis stream with the positions that its packets have; its end stays where the last page states it.

    A stream is returned as it is if its positions agree with each other, wherever it begins (recordings of a broadcast,
    cut files), or tell that samples before its start are dropped; if it lacks its last page; or if no start makes its
    end plausible.
    """
    counted = _count(stream)
    if counted is None or counted.agrees or min(counted.offsets) < 0:
        return stream
    start = counted.start()
    if not counted.is_plausible(start):
        return stream
    return with_positions(stream, [(page, start + end) for page, end in counted.inner])


def _count(stream: bytes) -> Count | None:
    """Counts samples by the block sizes of packets; None without modes or end, or if a packet is no audio.

    A packet decodes to a quarter of its own block and a quarter of the block before it: blocks overlap by half.
    """
    pages = list(read_pages(stream))
    headers = list(itertools.islice(page_packets(stream, pages), _HEADERS))
    blocks = mode_block_sizes(headers[0], headers[-1]) if len(headers) == _HEADERS else None
    if blocks is None or not pages[-1].is_end:
        return None
    places, page_of = (values[_HEADERS:] for values in packet_places(pages))
    heads = np.frombuffer(stream, np.uint8)[places]
    modes = heads >> 1 & (1 << (len(blocks) - 1).bit_length()) - 1
    if not len(places) or (places < 0).any() or (heads & 1).any() or (modes >= len(blocks)).any():
        return None
    sizes = np.array(blocks)[modes]
    samples = np.concatenate([[0], (sizes[:-1] + sizes[1:]) // 4])
    return counted_positions(pages, samples, page_of)
