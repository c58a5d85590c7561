"""The length of a native FLAC, computed from its last frame instead of its header (RFC 9639)."""

import dataclasses
import re
from collections.abc import Iterator

from transforms.audio.containers.metadata_tags import audio_ends

_STREAM_INFO = 8
"""Offset of the first metadata block's content. The last 36 bits of its bytes 10 to 17 are the number of samples."""
_TOTAL_AT = _STREAM_INFO + 10
_MOST_SAMPLES = (1 << 36) - 1
_MOST_BLOCKS = 1000
"""Most metadata blocks that are skipped."""
_LARGEST_FRAME = 1 << 21
"""Bytes before the end of the file that are searched for the last frame's header."""
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_IN_ROW = 3
"""Frames with consecutive numbers that prove a stream without its header."""
_RATES = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
_RATE_UNITS = {12: (1, 1000), 13: (2, 1), 14: (2, 10)}
"""Code -> bytes of the rate at the end of a frame's header, and what they count in Hz."""
_MID_SIDE = 8
"""The first code of two channels that are stored as a sum and a difference."""
_BITS = {1: 8, 2: 12, 4: 16, 5: 20, 6: 24, 7: 32}
_MOST_TRIED = 16
"""Most candidates, from the last one backwards, whose checksum is tried. Audio may look like a frame header."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlacFrame:
    """A frame header: offset in the file, the bits that all frames of a stream share, frame number and samples.

    `rate_hz` is 0 and `bits` is None if only the file's header tells them.
    """

    at: int
    shared: bytes
    number: int
    samples: int
    rate_hz: int
    channels: int
    bits: int | None

    @property
    def is_variable(self) -> bool:
        """Whether the block size varies. `number` then counts samples and not frames."""
        return bool(self.shared[1] & 1)


def claimed_samples(data: bytes) -> int:
    """Samples per channel that the header claims; 0 if they are unknown or the header is not the first block."""
    if len(data) < _TOTAL_AT + 8 or data[4] & 0x7F:
        return 0
    return int.from_bytes(data[_TOTAL_AT : _TOTAL_AT + 8]) & _MOST_SAMPLES


def with_samples(data: bytes, samples: int) -> bytes:
    """The same file with a header that claims `samples` samples per channel."""
    others = int.from_bytes(data[_TOTAL_AT : _TOTAL_AT + 8]) & ~_MOST_SAMPLES
    return data[:_TOTAL_AT] + (others | samples).to_bytes(8) + data[_TOTAL_AT + 8 :]


def counted_samples(data: bytes) -> tuple[int, int] | None:
    """Samples per channel up to the end of the last frame, and the offset of that frame.

    The last frame is the last frame header of the file if it agrees with the claim. Otherwise it is the frame that
    ends with the file, not counting tags after it. Otherwise it is any frame near the end that agrees with the claim.
    Returns None if there is no such frame, for example in a file that was cut.
    """
    claimed = claimed_samples(data)
    likely: list[tuple[FlacFrame, tuple[int, ...]]] = []
    for last, counts in _last_frames(data):
        if not likely and claimed in counts:
            return claimed, last.at
        likely.append((last, counts))
    ends = audio_ends(data)
    for last, counts in likely[:_MOST_TRIED]:
        if any(_crc16(data[last.at : end]) == 0 for end in ends):
            return (counts[0], last.at) if len(counts) == 1 and counts[0] <= _MOST_SAMPLES else None
    return next(((claimed, last.at) for last, counts in likely if claimed in counts), None)


def _last_frames(data: bytes) -> Iterator[tuple[FlacFrame, tuple[int, ...]]]:
    """Candidates for the last frame header, from the last one backwards, each with possible samples up to its end."""
    first, at = _frame(data, _audio_start(data)), len(data)
    if first is None:
        return
    while (at := data.rfind(first.shared[:2], max(first.at, len(data) - _LARGEST_FRAME), at)) >= 0:
        last = _frame(data, at)
        if last is not None and last.shared == first.shared and last.number >= first.number:
            yield last, _samples(data, first, last)


def has_another(data: bytes, start: int) -> bool:
    """Whether a second FLAC file begins within this one, after `start`."""
    return any(data.find(b"fLaC" + block + b"\0\0\x22", start + 1) >= 0 for block in (b"\0", b"\x80"))


def _samples(data: bytes, first: FlacFrame, last: FlacFrame) -> tuple[int, ...]:
    """Possible samples up to a frame's end. Frame numbers count samples or frames; in old files, it may be either."""
    number = last.number - first.number
    by_samples, by_frames = number + last.samples, number * first.samples + last.samples
    if first.is_variable:
        return (by_samples,)
    least, most = data[_STREAM_INFO : _STREAM_INFO + 2], data[_STREAM_INFO + 2 : _STREAM_INFO + 4]
    return (by_frames,) if least == most else (by_frames, by_samples)


def _audio_start(data: bytes) -> int:
    """Offset of the first frame, which follows the metadata."""
    at = 4
    for _ in range(_MOST_BLOCKS):
        is_last = at + 4 > len(data) or data[at] & 0x80
        at += 4 + int.from_bytes(data[at + 1 : at + 4])
        if is_last:
            break
    return at


def _frame(data: bytes, at: int) -> FlacFrame | None:
    """The frame header at this offset, or None."""
    head = data[at : at + 16]
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # the number is coded like a UTF-8 character
    if ones in (1, 8):
        return None
    size_at = 4 + max(1, ones)
    number = head[4] & 0x7F >> ones
    for byte in head[5:size_at]:
        number = number << 6 | byte & 0x3F
    size_code, rate_code = head[2] >> 4, head[2] & 15
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    rate_bytes, rate_unit = _RATE_UNITS.get(rate_code, (0, 0))
    crc_at = size_at + size_bytes + rate_bytes
    if size_code == 0 or rate_code == 15 or crc_at >= len(head) or _crc8(head[:crc_at]) != head[crc_at]:
        return None
    if size_bytes:
        samples = int.from_bytes(head[size_at : size_at + size_bytes]) + 1
    else:
        samples = 192 if size_code == 1 else 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    shared = bytes((head[0], head[1], rate_code, head[3] & 0x0E))
    return FlacFrame(
        at=at,
        shared=shared,
        number=number,
        samples=samples,
        rate_hz=rate_unit * int.from_bytes(head[crc_at - rate_bytes : crc_at]) if rate_bytes else _RATES[rate_code],
        channels=(head[3] >> 4) + 1 if head[3] >> 4 < _MID_SIDE else 2,
        bits=_BITS.get(head[3] >> 1 & 7),
    )


def find_frames(data: bytes, start: int, stop: int) -> int | None:
    """Offset of the first of several frames with consecutive numbers, in a file whose header is missing; or None."""
    rows: dict[tuple[bytes, int], tuple[int, int]] = {}
    for match in _SYNC.finditer(data, start, stop):
        frame = _frame(data, match.start())
        if frame is None:
            continue
        first, count = rows.pop((frame.shared, frame.number), (frame.at, 0))
        if count + 1 == _IN_ROW:
            return first if _stream_info(data, first) else None
        rows[frame.shared, frame.number + (frame.samples if frame.is_variable else 1)] = first, count + 1
    return None


def with_header(frames: bytes) -> bytes:
    """Frames after a new file header that tells what the first one does, and no length."""
    return b"fLaC\x80\x00\x00\x22" + (_stream_info(frames, 0) or b"") + frames


def _stream_info(data: bytes, at: int) -> bytes | None:
    """A metadata block for the frames from this offset on; None if they do not tell their rate or their bits."""
    frame = _frame(data, at)
    if frame is None or frame.bits is None or not frame.rate_hz:
        return None
    least, most = (16, 0xFFFF) if frame.is_variable else (frame.samples, frame.samples)
    numbers = frame.rate_hz << 44 | frame.channels - 1 << 41 | frame.bits - 1 << 36
    return least.to_bytes(2) + most.to_bytes(2) + bytes(6) + numbers.to_bytes(8) + bytes(16)


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
