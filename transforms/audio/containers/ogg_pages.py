"""Ogg pages: checksums, and fixed stream serial numbers in place of those that encoders derive from the clock."""

import struct
import zlib
from collections.abc import Iterator

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def page_crc(page: bytes) -> int:
    """Checksum of an Ogg page whose own checksum field is zero (RFC 3533, polynomial 0x04c11db7).

    It is zlib's CRC with reversed bits and without inversion.
    """
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(_REVERSED), "big")


def with_checksum(page: bytes) -> bytes:
    """The same Ogg page with its correct checksum."""
    blank = page[:22] + bytes(4) + page[26:]
    return page[:22] + struct.pack("<I", page_crc(blank)) + page[26:]


def page_length(data: bytes, start: int) -> int:
    """Length in bytes of the page that begins at `start`.

    Raises:
      ValueError: no page begins there.
    """
    if data[start : start + 4] != b"OggS" or len(data) < start + 27:
        raise ValueError(f"no Ogg page at byte {start}")
    segments = data[start + 26]
    return 27 + segments + sum(data[start + 27 : start + 27 + segments])


def first_packets(data: bytes, at: int) -> Iterator[bytes]:
    """The first 64 bytes of each stream that begins at `at`: streams that play together begin one after another."""
    while data.startswith(b"OggS", at) and len(data) >= at + 27 and data[at + 5] & 2:
        packet = at + 27 + data[at + 26]
        yield data[packet : packet + 64]
        at += page_length(data, at)


def with_serial(data: bytes, serial: int) -> bytes:
    """The same Ogg file with stream serial number `serial` in every page and recomputed checksums."""
    pages, start = [], 0
    while start < len(data):
        length = page_length(data, start)
        page = data[start : start + length]
        pages.append(with_checksum(page[:14] + struct.pack("<I", serial) + page[18:]))
        start += length
    return b"".join(pages)
