"""Ogg pages, as far as giving a stream a fixed serial number: encoders draw it from the clock."""

import struct


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_TABLE = _crc_table()


def page_crc(page: bytes) -> int:
    """Checksum of an Ogg page whose own checksum field is zero (RFC 3533, polynomial 0x04c11db7)."""
    crc = 0
    for byte in page:
        crc = ((crc << 8) & 0xFFFFFFFF) ^ _TABLE[(crc >> 24) ^ byte]
    return crc


def page_length(data: bytes, start: int) -> int:
    """Bytes of the page that begins at `start`.

    Raises:
      ValueError: no page begins there.
    """
    if data[start : start + 4] != b"OggS" or len(data) < start + 27:
        raise ValueError(f"no Ogg page at byte {start}")
    segments = data[start + 26]
    return 27 + segments + sum(data[start + 27 : start + 27 + segments])


def with_serial(data: bytes, serial: int) -> bytes:
    """The same Ogg file with another stream serial number in every page, checksums recomputed."""
    pages, start = [], 0
    while start < len(data):
        length = page_length(data, start)
        page = bytearray(data[start : start + length])
        page[14:18] = struct.pack("<I", serial)
        page[22:26] = bytes(4)
        page[22:26] = struct.pack("<I", page_crc(bytes(page)))
        pages.append(bytes(page))
        start += length
    return b"".join(pages)
