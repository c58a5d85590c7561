"""Length of a native FLAC by its last frame, whatever its header claims (RFC 9639)."""

import dataclasses

_STREAM_INFO = 8
"""Where the first metadata block's content begins; the total of samples is the last 36 bits of its bytes 10 to 17."""
_TOTAL_AT = _STREAM_INFO + 10
_TOTAL_BITS = 36
_LARGEST_FRAME = 1 << 21
"""How far from the end the last frame's header is looked for."""
_ID3V1 = 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlacFrame:
    """One frame header: its place in the file, what all frames of a stream share, its number and its samples."""

    at: int
    shared: bytes
    number: int
    samples: int

    @property
    def is_variable(self) -> bool:
        """Whether frames differ in size: then `number` counts samples and not frames."""
        return bool(self.shared[1] & 1)


def claimed_samples(data: bytes) -> int:
    """Samples a channel that the header claims, 0 for a length that it doesn't know or a header in another place."""
    if len(data) < _TOTAL_AT + 8 or data[4] & 0x7F:
        return 0
    return int.from_bytes(data[_TOTAL_AT : _TOTAL_AT + 8]) & ((1 << _TOTAL_BITS) - 1)


def with_samples(data: bytes, samples: int) -> bytes:
    """The same file, its header claiming so many samples a channel."""
    others = int.from_bytes(data[_TOTAL_AT : _TOTAL_AT + 8]) >> _TOTAL_BITS << _TOTAL_BITS
    return data[:_TOTAL_AT] + (others | samples).to_bytes(8) + data[_TOTAL_AT + 8 :]


def last_frame(data: bytes) -> tuple[int, int] | None:
    """Samples a channel up to the end of the last frame, and where that begins; None where there is none."""
    first = _frame(data, _audio_start(data))
    if first is None:
        return None
    at = len(data)
    while (at := data.rfind(first.shared[:2], max(first.at, len(data) - _LARGEST_FRAME), at)) >= 0:
        last = _frame(data, at)
        if last is not None and last.shared == first.shared and last.number >= first.number:
            before = last.number if last.is_variable else last.number * first.samples
            return before + last.samples, at
    return None


def ends_whole(data: bytes, at: int) -> bool:
    """Whether the frame at this place reaches to the file's end, a tag behind it excepted, with the right checksum."""
    ends = [len(data)]
    if data.startswith(b"TAG", len(data) - _ID3V1):
        ends.append(len(data) - _ID3V1)
    return any(_crc16(data[at:end]) == 0 for end in ends)


def has_another(data: bytes) -> bool:
    """Whether a second FLAC begins within this file."""
    return data.find(data[:_STREAM_INFO], _STREAM_INFO) >= 0


def _audio_start(data: bytes) -> int:
    """Where the first frame stands: behind the metadata."""
    at, is_last = 4, False
    while not is_last and at + 4 <= len(data):
        is_last = bool(data[at] & 0x80)
        at += 4 + int.from_bytes(data[at + 1 : at + 4])
    return at


def _frame(data: bytes, at: int) -> FlacFrame | None:
    """The frame header at this place, None where there is none."""
    head = data[at : at + 16]
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # the number is coded like a character of UTF-8
    if ones in (1, 8):
        return None
    size_at = 4 + max(1, ones)
    number = head[4] & 0x7F >> ones
    for byte in head[5:size_at]:
        number = number << 6 | byte & 0x3F
    size_code, rate_code = head[2] >> 4, head[2] & 15
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    crc_at = size_at + size_bytes + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if size_code == 0 or rate_code == 15 or crc_at >= len(head) or _crc8(head[:crc_at]) != head[crc_at]:
        return None
    if size_bytes:
        samples = int.from_bytes(head[size_at : size_at + size_bytes]) + 1
    else:
        samples = 192 if size_code == 1 else 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    shared = bytes((head[0], head[1], rate_code, head[3] & 0x0E))
    return FlacFrame(at=at, shared=shared, number=number, samples=samples)


def _crc8(head: bytes) -> int:
    crc = 0
    for byte in head:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def _crc16(frame: bytes) -> int:
    crc = 0
    for byte in frame:
        crc = crc << 8 & 0xFF00 ^ _CRC16[crc >> 8 ^ byte]
    return crc


def _crc16_table() -> tuple[int, ...]:
    table = []
    for crc in range(0, 0x10000, 0x100):
        for _ in range(8):
            crc = (crc << 1 ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
        table.append(crc)
    return tuple(table)


_CRC16 = _crc16_table()
