"""Formats that are refused by their names: no audio, or audio that no decoder reads."""

import re

from transforms.audio.errors import FormatNotAllowed, UnsupportedCodec

_TEXT = (
    (b"#EXTM3U", "an HLS or M3U playlist"),
    (b"ffconcat", "an ffconcat playlist"),
    (b"[playlist]", "a PLS playlist"),
    (b"[Reference]", "an ASX reference"),
    (b"v=0\n", "an SDP session description"),
    (b"v=0\r\n", "an SDP session description"),
    (b"FILE ", "a cue sheet"),
    (b"REM ", "a cue sheet"),
    (b"TITLE ", "a cue sheet"),
    (b"PERFORMER ", "a cue sheet"),
    (b"file:", "a list of files"),
    (b"http:", "a list of addresses"),
    (b"https:", "a list of addresses"),
    (b"<", "XML or HTML"),
    (b"{", "JSON"),
    (b"version https://git-lfs", "a git-lfs pointer"),
)
"""Beginnings of texts, after white space."""

NO_AUDIO = (
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b\x08", "a gzip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x7fELF", "a program"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"MThd", "a MIDI file"),
    (8, b"RMID", "a MIDI file"),
    (8, b"sfbk", "a SoundFont"),
    (0, b"Extended Module: ", "a tracker module (XM)"),
    (0, b"IMPM", "a tracker module (IT)"),
    (44, b"SCRM", "a tracker module (S3M)"),
    (1080, b"M.K.", "a tracker module (MOD)"),
    (0, b"PSID", "a Commodore 64 tune"),
    (0, b"RSID", "a Commodore 64 tune"),
    (0, b"NESM\x1a", "a Nintendo tune"),
    (0, b"Vgm ", "a tune for a sound chip (VGM)"),
    (0, b"\x00\x00\x01\xb3", "MPEG video without sound"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "MXF video"),
)
"""Offset, bytes, and what they are."""

NO_DECODER = (
    (0, b"OFR ", "OptimFROG"),
    (0, b"LA02", "LA (Lossless Audio)"),
    (0, b"LA03", "LA (Lossless Audio)"),
    (0, b"LA04", "LA (Lossless Audio)"),
    (0, b"LPAC", "LPAC"),
    (0, b"RKA", "RKAU"),
    (0, b"OSQ ", "OSQ"),
    (0, b"BONK", "Bonk"),
    (0, b"ADIF", "AAC with an ADIF header"),
    (0, b"MP+", "Musepack of a version before 7"),
    (0, b"TWIN97012000", "TwinVQ (VQF)"),
    (0, b"qoaf", "QOA"),
    (0, b"ea3\x03", "Sony OpenMG (ATRAC)"),
    (0, b"EA3\x01", "Sony OpenMG (ATRAC)"),
    (4, b"\x57\x90\x75\x36", "Audible (AA)"),
    (8, b"XWMA", "xWMA"),
    (0, b"nut/multimedia", "NUT"),
    (0, b"\xb7\xd8\x00\x20\x37\x49\xda\x11", "WTV"),
    (0, b" paf", "Ensoniq PARIS"),
    (0, b"fap ", "Ensoniq PARIS"),
    (0, b"2BIT", "AVR"),
    (0, b"PVF1", "PVF"),
    (0, b"\x64\xa3\x01\x00", "IRCAM"),
    (0, b"\x00\x01\xa3\x64", "IRCAM"),
)
"""Offset, bytes, and the name of a format of audio that is not read."""


_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
"""Bytes that no text has. A stream that begins in mid-frame begins with any byte, for example with `<`."""

NOT_READ = tuple(dict.fromkeys([*(name for _, _, name in NO_DECODER), "AC-4"]))
"""Names of the formats of audio that are not read."""

_PROGRAMS = (b"PE\0\0", b"NE", b"LE", b"LX")
_AC4 = {b"\xac\x40": 4, b"\xac\x41": 6}
"""Sync word of a frame of AC-4 -> bytes of the frame besides its body: its size, and in the second form a checksum."""


def _is_program(data: bytes, at: int) -> bool:
    """Whether it is a program of Windows: `MZ`, and at offset 60 the place of another header."""
    if not data.startswith(b"MZ", at):
        return False
    place = int.from_bytes(data[at + 60 : at + 64], "little")
    return place >= 64 and data.startswith(_PROGRAMS, at + place)


def _is_ac4(data: bytes, at: int) -> bool:
    """Whether it is AC-4 (ETSI TS 103 190, annex G): two frames, the second where the first ends; or one whole file."""
    sync = data[at : at + 2]
    if sync not in _AC4:
        return False
    size, more = int.from_bytes(data[at + 2 : at + 4], "big"), 0
    if size == 0xFFFF:
        size, more = int.from_bytes(data[at + 4 : at + 7], "big"), 3
    end = at + _AC4[sync] + more + size
    return data[end : end + 2] == sync or end == len(data)


def refuse_foreign(data: bytes, at: int) -> None:
    """Refuses a known format whose header is at this offset.

    Raises:
      FormatNotAllowed: it is not audio, or audio of another kind than recordings.
      UnsupportedCodec: it is a recording in a format that is not read.
    """
    head = data[at : at + 2048]
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, what in _TEXT:
        if text.startswith(magic) and not _BINARY.search(text[:64].rstrip(b"\0")):
            raise FormatNotAllowed(f"it is {what}")
    for offset, magic, what in NO_AUDIO:
        if head.startswith(magic, offset):
            raise FormatNotAllowed(f"it is {what}")
    if _is_program(data, at):
        raise FormatNotAllowed("it is a program")
    if _is_ac4(data, at):
        raise UnsupportedCodec("it is AC-4, which is not read: convert it to FLAC")
    for offset, magic, name in NO_DECODER:
        if head.startswith(magic, offset):
            raise UnsupportedCodec(f"it is {name}, which is not read: convert it to FLAC")
