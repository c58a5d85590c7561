"""What recording, mixing and coding do to sound: rendered pieces made more like recordings."""

import subprocess
from collections.abc import Sequence

import numpy as np
import soxr
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.signal import oaconvolve

from benchmarks.rhythmic.render import RATE_HZ
from transforms.audio.samples import Float32

CLEAN_SHARE = 0.2


def roughened(samples: Float32, seed: int, backgrounds: Sequence[Float32] = ()) -> Float32:
    """Mono float32 [about n] at 16 kHz as a recording may have it: detuned, wavering, filtered, in a room, with other
    sound under it, driven, coded as MP3. Each is drawn by `seed`; `CLEAN_SHARE` of the pieces stay as they are.
    """
    rng = np.random.default_rng([seed, 11])
    if rng.random() < CLEAN_SHARE:
        return samples
    steps = ((0.4, detuned), (0.15, wavering), (0.5, filtered), (0.25, with_a_kick), (0.4, in_a_room))
    for chance, step in steps:
        if rng.random() < chance:
            samples = step(samples, rng)
    if rng.random() < 0.5:
        samples = mixed(samples, _other(len(samples), rng, backgrounds), rng.uniform(3, 28))
    if rng.random() < 0.3:
        samples = np.tanh(samples / (np.sqrt(np.mean(samples**2)) + 1e-9) * rng.uniform(0.2, 0.9))
    if rng.random() < 0.08:
        samples = as_mp3(samples, int(rng.choice([32, 48, 64])))
    return np.asarray(samples / (np.abs(samples).max() + 1e-9) * rng.uniform(0.1, 0.99), np.float32)


def detuned(samples: Float32, rng: np.random.Generator) -> Float32:
    """Up to 50 cents higher or lower."""
    other = soxr.resample(samples, RATE_HZ, RATE_HZ * 2 ** (rng.uniform(-50, 50) / 1200), quality="MQ")
    return np.asarray(other[: len(samples)], np.float32)


def wavering(samples: Float32, rng: np.random.Generator) -> Float32:
    """Pitch that wavers by 5 to 25 cents, 0.5 to 6 times a second, as of worn tape or of a voice."""
    hz, cents = rng.uniform(0.5, 6), rng.uniform(5, 25)
    time = np.arange(len(samples)) / RATE_HZ
    shift = (2 ** (cents / 1200) - 1) / (2 * np.pi * hz) * np.sin(2 * np.pi * hz * time)
    return np.interp(time + shift, time, samples).astype(np.float32)


def with_a_kick(samples: Float32, rng: np.random.Generator) -> Float32:
    """With a synthetic bass drum on every beat, -6 to 12 dB of the sound, as of dance music."""
    time = np.arange(int(RATE_HZ * 0.25)) / RATE_HZ
    low, sweep, decay = rng.uniform(40, 65), rng.uniform(20, 120), rng.uniform(8, 25)
    stroke = np.sin(2 * np.pi * (low * time - sweep / 35 * np.exp(-35 * time))) * np.exp(-decay * time)
    beats = np.zeros(len(samples), np.float32)
    beats[:: int(RATE_HZ * 60 / rng.uniform(90, 175))] = 1
    return mixed(samples, oaconvolve(beats, stroke.astype(np.float32))[: len(samples)], -float(rng.uniform(-6, 12)))


def filtered(samples: Float32, rng: np.random.Generator) -> Float32:
    """Gains of -12 to 12 dB in seven bands of an octave or more, with straight lines between them."""
    points = np.array([20, 60, 150, 400, 1_000, 2_500, 8_000])
    size = next_fast_len(len(samples), real=True)
    hz = rfftfreq(size, 1 / RATE_HZ)
    gains_db = np.interp(np.log(np.maximum(hz, 20)), np.log(points), rng.uniform(-12, 12, len(points)))
    return irfft(rfft(samples, size) * (10 ** (gains_db / 20)).astype(np.float32), size)[: len(samples)]


def in_a_room(samples: Float32, rng: np.random.Generator) -> Float32:
    """With decaying noise as the response of a room: 0.2 to 3 s for 60 dB, -18 to 3 dB of the direct sound."""
    decay_s = float(rng.uniform(0.2, 3))
    time = np.arange(int(RATE_HZ * decay_s), dtype=np.float32) / RATE_HZ
    tail = rng.standard_normal(len(time), np.float32) * 10 ** (-3 * time / decay_s)
    wet = oaconvolve(samples, tail)[: len(samples)]
    return mixed(samples, wet, -float(rng.uniform(-18, 3)))


def mixed(samples: Float32, other: Float32, below_db: float) -> Float32:
    """The sound with another one of the same length so many dB below it."""
    power, theirs = np.mean(samples**2), np.mean(other**2)
    return np.asarray(samples + other * np.sqrt(power / max(theirs, 1e-12) * 10 ** (-below_db / 10)), np.float32)


def _other(count: int, rng: np.random.Generator, backgrounds: Sequence[Float32]) -> Float32:
    """Noise of some colour, or one of the background sounds, repeated."""
    if len(backgrounds) and rng.random() < 0.5:
        return np.resize(np.roll(backgrounds[rng.integers(len(backgrounds))], int(rng.integers(100_000))), count)
    size = next_fast_len(count, real=True)
    spectrum = rfft(rng.standard_normal(size, np.float32))
    colour = np.maximum(np.arange(len(spectrum), dtype=np.float32), 200) ** np.float32(rng.uniform(0, 1))
    return irfft(spectrum / colour, size)[:count]


def as_mp3(samples: Float32, kbit: int) -> Float32:
    """Coded as MP3 and decoded again by ffmpeg."""
    raw = ["-f", "f32le", "-ar", str(RATE_HZ), "-ac", "1"]
    quiet = ["ffmpeg", "-nostdin", "-v", "error"]
    coded = _piped(
        [*quiet, *raw, "-i", "-", "-b:a", f"{kbit}k", "-f", "mp3", "-"], samples.astype(np.float32).tobytes()
    )
    return np.frombuffer(_piped([*quiet, "-f", "mp3", "-i", "-", *raw, "-"], coded), np.float32)


def _piped(command: list[str], data: bytes) -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout
