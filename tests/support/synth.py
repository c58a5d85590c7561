"""Audio made in code, and the files that hold it."""

import functools
import io
from fractions import Fraction

import av
import numpy as np
import soundfile

from transforms.features.spec import FeatureSpec

SPEC = FeatureSpec()


def sine(seconds: float = 3.0, rate: int = 44_100, hz: float = 440.0, channels: int = 1) -> np.ndarray:
    """float32 [samples, channels]; half of full scale."""
    t = np.arange(round(seconds * rate)) / rate
    return np.repeat(0.5 * np.sin(2 * np.pi * hz * t)[:, None], channels, axis=1).astype(np.float32)


def music(seconds: float, rate: int = 44_100, channels: int = 2) -> np.ndarray:
    """Something with a different spectrum at every moment, the same on every machine: float32 [samples, channels]."""
    t = np.arange(round(seconds * rate)) / rate
    sweep = np.sin(2 * np.pi * (100 + 40 * t) * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 0.7 * t))
    chord = sum(np.sin(2 * np.pi * f * t + np.sin(5 * t)) for f in (220.0, 554.37, 1318.5, 3322.4))
    left, right = 0.2 * sweep + 0.1 * chord, 0.25 * sweep - 0.05 * chord
    return np.stack([left if c % 2 == 0 else right for c in range(channels)], axis=1).astype(np.float32)


def encode(samples: np.ndarray, rate: int = 44_100, format: str = "WAV", subtype: str | None = None) -> bytes:
    """A file's bytes. Written a second at a time: libsndfile's Vorbis encoder overflows its stack on more."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate, samples.shape[1], subtype, format=format) as file:
        for start in range(0, len(samples), rate):
            file.write(samples[start : start + rate])
    return buffer.getvalue()


FORMATS = {
    "wav": ("WAV", "PCM_16", 44_100),
    "aiff": ("AIFF", "PCM_16", 44_100),
    "caf": ("CAF", "PCM_16", 44_100),
    "flac": ("FLAC", "PCM_16", 44_100),
    "mp3": ("MP3", "MPEG_LAYER_III", 44_100),
    "vorbis": ("OGG", "VORBIS", 44_100),
    "opus": ("OGG", "OPUS", 48_000),
}
"""Kind by its magic -> libsndfile's format and subtype, and a rate that it takes."""


@functools.cache
def music_file(kind: str, seconds: float, channels: int = 2) -> bytes:
    """`music` in one of FORMATS."""
    format, subtype, rate = FORMATS[kind]
    return encode(music(seconds, rate, channels), rate, format, subtype)


AV_FORMATS = {
    "mp4": ("ipod", "aac"),
    "mp4 alac": ("ipod", "alac"),
    "aac": ("adts", "aac"),
    "asf": ("asf", "wmav2"),
    "matroska": ("matroska", "flac"),
    "ac3": ("ac3", "ac3"),
    "eac3": ("eac3", "eac3"),
    "mp2": ("mp2", "mp2"),
    "wavpack": ("wv", "wavpack"),
    "tta": ("tta", "tta"),
}
"""Kinds that ffmpeg's libraries read -> muxer and codec."""


OTHER_AV_FORMATS = {
    "mpeg-transport": ("mpegts", "aac"),
    "mpeg-program": ("mpeg", "mp2"),
    "avi": ("avi", "ac3"),
    "realmedia": ("rm", "ac3"),
    "aac-latm": ("latm", "aac"),
    "spdif": ("spdif", "ac3"),
    "flv": ("flv", "mp3"),
    "voc": ("voc", "pcm_s16le"),
}
"""Kinds of other programs: video files, broadcasts, a digital output, old sound cards."""


_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")


@functools.cache
def av_file(
    kind: str, seconds: float, rate: int = 44_100, *, channels: int = 2, begins_s: float = 0.0, **options: str
) -> bytes:
    """`music` in one of AV_FORMATS or OTHER_AV_FORMATS, whose first sample is at `begins_s` of the container's time."""
    muxer, codec = (AV_FORMATS | OTHER_AV_FORMATS)[kind]
    samples = (music(seconds, rate, channels) * 32_767).astype(np.int16)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=muxer, options=options) as container:
        layout = _LAYOUTS[channels - 1]
        stream = container.add_stream(codec, rate=rate, layout=layout, bit_rate=64_000 * channels)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            packet.pts += round(begins_s / packet.time_base)
            packet.dts += round(begins_s / packet.time_base)
            container.mux(packet)
    return buffer.getvalue()
