"""Files as users have them and encoders do not write them: DSD, frames in samples, wrong tags, several streams."""

import functools
import struct

import numpy as np

from tests.support.synth import encode
from transforms.audio.containers.ogg_pages import with_checksum

_DSD_HZ = 2_822_400
_DSF_BLOCK = 4096


def id3(size: int, content: bytes) -> bytes:
    """An ID3v2 tag with this content, which claims `size` bytes of it."""
    return b"ID3\x04\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + content


def wav_of(frames: bytes, format: str = "WAV") -> bytes:
    """A 16-bit stereo file whose samples are the bytes of a coded stream."""
    samples = np.frombuffer(frames + bytes(-len(frames) % 4), "<i2").reshape(-1, 2)
    return encode(samples.astype(np.float32) / 32_768, format=format)


@functools.cache
def _dsd_bits(seconds: float) -> np.ndarray:
    """440 Hz at half of full scale by a sigma-delta modulator of the second order: one bit a sample."""
    bits = np.empty(round(seconds * _DSD_HZ) // (8 * _DSF_BLOCK) * 8 * _DSF_BLOCK, np.uint8)
    first = second = out = 0.0
    for i, value in enumerate((0.5 * np.sin(2 * np.pi * 440 / _DSD_HZ * np.arange(len(bits)))).tolist()):
        first += value - out
        second += first - out
        out = 1.0 if second >= 0 else -1.0
        bits[i] = out > 0
    return bits


def dsf_file(seconds: float) -> bytes:
    """A stereo DSF: blocks of 4096 bytes of each channel in turn, the first bit lowest."""
    bits = _dsd_bits(seconds)
    channel = np.packbits(bits, bitorder="little").reshape(-1, _DSF_BLOCK)
    audio = np.hstack([channel, channel]).tobytes()
    head = b"fmt " + struct.pack("<QIIIIIIQII", 52, 1, 0, 2, 2, _DSD_HZ, 1, len(bits), _DSF_BLOCK, 0)
    data = b"data" + struct.pack("<Q", 12 + len(audio)) + audio
    return b"DSD " + struct.pack("<QQQ", 28, 28 + len(head) + len(data), 0) + head + data


def dff_file(seconds: float) -> bytes:
    """A stereo DSDIFF: bytes of the channels in turn, the first bit highest."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return name + struct.pack(">Q", len(content)) + content

    channel = np.packbits(_dsd_bits(seconds))
    properties = b"SND " + chunk(b"FS  ", struct.pack(">I", _DSD_HZ)) + chunk(b"CHNL", b"\0\2SLFTSRGT")
    properties += chunk(b"CMPR", b"DSD \x0enot compressed\0")
    content = b"DSD " + chunk(b"FVER", b"\1\5\0\0") + chunk(b"PROP", properties)
    return chunk(b"FRM8", content + chunk(b"DSD ", np.stack([channel, channel], 1).tobytes()))


def shorten_file(samples: np.ndarray, rate: int, block: int = 256) -> bytes:
    """A Shorten of version 2 without prediction; samples are int16 [samples, channels], whole blocks of them."""
    wav = encode(samples.astype(np.float32) / 32_768, rate)[:44]
    bits: list[str] = []

    def rice(value: int, low: int) -> None:
        bits.append("0" * (value >> low) + "1" + (f"{value & (1 << low) - 1:0{low}b}" if low else ""))

    for value, low in ((5, 3), (samples.shape[1], 2), (block, 8), (0, 0), (0, 0), (0, 0)):
        rice(low, 2)
        rice(value, low)
    rice(9, 2)
    rice(len(wav), 5)
    for byte in wav:
        rice(byte, 8)
    for first in range(0, len(samples) // block * block, block):
        for channel in samples[first : first + block].T.tolist():
            rice(0, 2)
            rice(12, 3)
            for sample in channel:
                rice(2 * sample if sample >= 0 else -2 * sample - 1, 13)
    rice(4, 2)
    text = "".join(bits)
    return b"ajkg\2" + int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))


def ogg_page(packet: bytes, serial: int, sequence: int, flags: int) -> bytes:
    """A page with one packet of fewer than 255 bytes."""
    head = struct.pack("<4sBBqIIIBB", b"OggS", 0, flags, 0, serial, sequence, 0, 1, len(packet))
    return with_checksum(head + packet)


def ogg_pages_of(data: bytes) -> list[bytes]:
    """The pages of an Ogg file."""
    starts = [i for i in range(len(data)) if data.startswith(b"OggS\0", i)]
    return [data[first:last] for first, last in zip(starts, [*starts[1:], len(data)], strict=True)]


def with_skeleton(ogg: bytes, first_packet: bytes = b"fishead\0" + bytes(56)) -> bytes:
    """The same file, with a second stream that begins before the audio and ends after its first pages."""
    first, second, *rest = ogg_pages_of(ogg)
    begin, end = ogg_page(first_packet, 77, 0, 2), ogg_page(b"fisbone\0" + bytes(44), 77, 1, 4)
    return b"".join([begin, first, second, end, *rest])
