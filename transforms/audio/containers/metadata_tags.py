"""Tags around MPEG audio: ID3 before it; ID3v1, APE and Lyrics3 after it; all of them within joined files."""

_BEGINNINGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3")

_ID3V1, _ENHANCED, _APE_HEADER, _LYRICS_END = 128, 227, 32, 9
_MOST_LYRICS = 1 << 20


def id3_size(data: bytes) -> int:
    """Bytes of the ID3v2 tags at the start of a file. A tag that claims to fill or exceed the file is not counted."""
    at = 0
    while (size := _id3(data, at)) and at + size < len(data):
        at += size
    return at


def begins_tag(data: bytes, at: int) -> bool:
    """Whether a tag begins here, even one with an impossible size."""
    return data.startswith(_BEGINNINGS, at)


def tags_end(data: bytes, at: int) -> int:
    """The end of the tags that begin at `at`; `at` itself if no tag begins there or it ends beyond the file."""
    while (size := _tag(data, at)) and at + size <= len(data):
        at += size
    return at


def audio_ends(data: bytes) -> list[int]:
    """Offsets where the audio may end: at the end of the file, before an ID3v1 tag, or before an APE tag."""
    ends = [len(data)]
    if data.startswith(b"TAG", len(data) - _ID3V1):
        ends.append(len(data) - _ID3V1)
    footer = ends[-1] - _APE_HEADER
    if data.startswith(b"APETAGEX", footer):
        size, flags = int.from_bytes(data[footer + 12 : footer + 16], "little"), data[footer + 23]
        ends.append(ends[-1] - size - (_APE_HEADER if flags & 0x80 else 0))
    return ends


def _tag(data: bytes, at: int) -> int:
    """Bytes of the single tag at this offset; 0 if there is no tag."""
    if data.startswith(b"TAG+", at):
        return _ENHANCED
    if data.startswith(b"TAG", at):
        return _ID3V1
    if data.startswith(b"APETAGEX", at):
        return _APE_HEADER + int.from_bytes(data[at + 12 : at + 16], "little")
    if data.startswith(b"LYRICSBEGIN", at):
        end = data.find(b"LYRICS", at + 11, at + _MOST_LYRICS)
        return end + _LYRICS_END - at if end >= 0 else 0
    return _id3(data, at)


def _id3(data: bytes, at: int) -> int:
    """Bytes of the ID3v2 tag at this offset; 0 if there is no tag."""
    if data[at : at + 3] != b"ID3" or len(data) < at + 10:
        return 0
    size = 0
    for byte in data[at + 6 : at + 10]:
        size = size << 7 | byte & 0x7F
    return size + (20 if data[at + 5] & 0x10 else 10)
