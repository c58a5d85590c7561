"""MP3s as several encoders, cutters and joiners leave them, generated from a seed."""

import io
from fractions import Fraction

import av
import numpy as np
import soundfile

from tests.support.synth import music
from transforms.audio.containers.mpeg import mpeg_frame, scan_mpeg

RATES = (44_100, 48_000, 32_000, 22_050, 24_000, 16_000, 11_025, 8_000)
LOW_RATES_KBIT = (8, 16, 24, 32, 48, 64, 96, 144)
"""The first two are for one channel: of parts of a few bits, libsndfile drops some, with and without a message."""
FULL_RATES_KBIT = (32, 48, 64, 96, 128, 160, 192, 256, 320)


def samples_of(rng, rate, channels):
    """Two to four seconds with pauses and attacks, which take blocks of every length: float32 [samples, channels]."""
    samples = music(rng.uniform(2.0, 4.0), rate, channels)
    for _ in range(int(rng.integers(0, 6))):
        at, length = int(rng.integers(len(samples))), int(rng.integers(50, rate // 2))
        part = samples[at : at + length]
        part[:] = 0 if rng.random() < 0.5 else rng.uniform(-0.5, 0.5, part.shape)
    return samples


def by_libsndfile(samples, rate, rng):
    """LAME with a LAME tag."""
    mode = ("CONSTANT", "VARIABLE", "AVERAGE")[rng.integers(3)]
    buffer = io.BytesIO()
    options = {"bitrate_mode": mode, "compression_level": rng.uniform(0.05, 0.95)}
    with soundfile.SoundFile(buffer, "w", rate, samples.shape[1], "MPEG_LAYER_III", format="MP3", **options) as file:
        file.write(samples)
    return buffer.getvalue()


def by_ffmpeg(samples, rate, rng, **options):
    """LAME with the length tag of ffmpeg's muxer, or without one."""
    buffer, channels = io.BytesIO(), samples.shape[1]
    of_muxer = {"write_xing": str(rng.integers(2)), "id3v2_version": ("0", "3")[rng.integers(2)]}
    of_encoder = {"joint_stereo": str(rng.integers(2)), "reservoir": str(rng.integers(2)), "abr": str(rng.integers(2))}
    kbit = rng.choice(FULL_RATES_KBIT if rate > 24_000 else LOW_RATES_KBIT[2 * channels - 2 :])
    with av.open(buffer, "w", format="mp3", options=of_muxer) as container:
        layout = ("mono", "stereo")[channels - 1]
        stream = container.add_stream("libmp3lame", rate=rate, layout=layout, options={**of_encoder, **options})
        stream.bit_rate = int(kbit) * 1000
        whole = np.ascontiguousarray(samples.T * 32_767, np.int16)
        frame = av.AudioFrame.from_ndarray(whole, format="s16p", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return buffer.getvalue()


def by_a_stuffer(samples, rate, rng):
    """Without a reservoir; the audio of each frame is filled up with ones, as the ISO's model encoder does it."""
    plain = by_ffmpeg(samples, rate, rng, reservoir="0")
    data = bytearray(plain)
    for at in scan_mpeg(plain).starts[1:]:
        _stuff(data, at)
    return bytes(data)


def _stuff(data, at):
    """Adds the bits that a frame leaves over to the audio of its last channel, if it has audio."""
    frame = mpeg_frame(bytes(data[at : at + 4]))
    side = at + 4 + 2 * (not data[at + 1] & 1)
    body, stop = side + frame.side_info, at + frame.size
    info = int.from_bytes(data[side:body])
    full = frame.version == 3
    first, step = ((20, 18)[frame.channels == 1], 59) if full else ((10, 9)[frame.channels == 1], 63)
    places = [first + i * step for i in range(frame.channels * (2 if full else 1))]
    shifts = [8 * frame.side_info - place - 12 for place in places]
    lengths = [info >> shift & 0xFFF for shift in shifts]
    left = min(8 * (stop - body) - sum(lengths), 4095 - lengths[-1])
    if lengths[-1] + left < 64:  # of parts of a few bits, libsndfile makes noise
        return
    info += left << shifts[-1]
    data[side:body] = info.to_bytes(frame.side_info)
    used, count = sum(lengths), 8 * (stop - body)
    ones = (1 << left) - 1 << count - used - left
    data[body:stop] = (int.from_bytes(data[body:stop]) | ones).to_bytes(stop - body)


ENCODERS = (by_libsndfile, by_ffmpeg, by_ffmpeg, by_a_stuffer)


def cut(data, rng):
    """Without decoding, at any bytes."""
    return data[int(rng.integers(len(data) // 2)) : -int(rng.integers(1, len(data) // 4))]


def cut_at_frames(data, rng):
    starts = scan_mpeg(data).starts
    return data[starts[len(starts) // 4] : starts[len(starts) * 3 // 4]]


def lose_the_end(data, rng):
    return data[: -int(rng.integers(1, len(data) // 2))]


def lose_the_tag(data, rng):
    return data[scan_mpeg(data).starts[1] :]


def join(data, rng):
    """The same kind of stream again, after a tag or without one."""
    return data + (b"", b"TAG" + bytes(125))[rng.integers(2)] + data


def add_junk(data, rng):
    return rng.integers(0, 255, int(rng.integers(1, 3000)), dtype=np.uint8).tobytes() + data


def leave(data, rng):
    return data


CHANGES = (leave, cut, cut_at_frames, lose_the_end, lose_the_tag, join, add_junk)


def stream(seed):
    """The stream of a seed, and its recipe in words."""
    rng = np.random.default_rng(seed)
    rate, channels = int(rng.choice(RATES)), int(rng.integers(1, 3))
    encoder, change = ENCODERS[rng.integers(len(ENCODERS))], CHANGES[rng.integers(len(CHANGES))]
    data = change(encoder(samples_of(rng, rate, channels), rate, rng), rng)
    return data, f"{seed}: {encoder.__name__}, {rate} Hz, {channels} channel(s), {change.__name__}"
