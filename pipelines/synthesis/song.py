"""Renders synthetic songs as stereo samples from recipes. The recipe defines what is played, so the tags are known."""

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.synthesis.instruments import PITCHED, Note, hat, kick, snare

Mode = Literal["major", "minor"]

CHORDS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "major": ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)),
    "minor": ((0, 3, 7), (5, 8, 12), (7, 10, 14), (0, 3, 7)),
}
"""One chord per bar, in semitones above the tonic: I IV V I, with the third of the mode."""

SCALES: dict[str, tuple[int, ...]] = {"major": (0, 2, 4, 7, 9, 12), "minor": (0, 2, 3, 7, 8, 12)}
"""Melody notes, in semitones above the tonic."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timbre:
    """The sound that all recordings of an artist share.

    Attributes:
      tilt: exponent of the harmonics' decay; 0.7 is bright, 1.6 is dull.
      detune: factor on every frequency, about 1.
      swing: delay of off-beats as a fraction of half a beat, 0 to 0.3.
      reverb_s: reverberation time, in which the sound decays by 60 dB, in seconds.
      width: stereo width, 0 (mono) to 1.
      noise: level of the recording's hiss, linear.
    """

    tilt: float
    detune: float
    swing: float
    reverb_s: float
    width: float
    noise: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Song:
    """The recipe of a song.

    Attributes:
      bpm: beats per minute.
      mode: major or minor, for chords and melody.
      tonic: MIDI note of the key, e.g. 57 for A.
      levels: instrument -> linear level; `voice` is an instrument here.
      bright: True leaves the treble unchanged; False attenuates it above 1.2 kHz.
      timbre: timbre of the artist.
      seed: integers that seed the song's random numbers.
    """

    bpm: float
    mode: Mode
    tonic: int
    levels: dict[str, float]
    bright: bool
    timbre: Timbre
    seed: tuple[int, ...]


def hertz(midi: float) -> float:
    """Frequency of a MIDI note in equal temperament, A4 = 69 = 440 Hz."""
    return float(440 * 2 ** ((midi - 69) / 12))


def render(song: Song, duration_s: float, rate: int, channels: int = 2) -> NDArray[np.float32]:
    """Renders a song: float32 [samples, channels] with a peak of 0.8 and without silence.

    Raises:
      ValueError: an instrument does not exist.
    """
    unknown = set(song.levels) - set(PITCHED) - {"drums"}
    if unknown:
        raise ValueError(f"unknown instruments {sorted(unknown)}: choose from {sorted([*PITCHED, 'drums'])}")
    tracks = [
        _drums(song, duration_s, rate, level) if name == "drums" else _part(song, name, duration_s, rate) * level
        for name, level in sorted(song.levels.items())
    ]
    stereo = _place(tracks, song.timbre.width) if channels == 2 else np.sum(tracks, axis=0)[:, None]
    wet = np.stack([_room(channel, song, rate, side) for side, channel in enumerate(stereo.T)], axis=1)
    return np.asarray(0.8 * wet / max(np.abs(wet).max(), 1e-9), np.float32)


def _random(song: Song, what: str) -> np.random.Generator:
    return np.random.default_rng([*song.seed, *what.encode()])


def _mix(total: Note, note: Note, start_s: float, rate: int) -> None:
    """Adds a note to `total` at its time; the part after the end of `total` is cut."""
    start = int(start_s * rate)
    end = min(start + len(note), len(total))
    if start < end:
        total[start:end] += note[: end - start]


def _score(song: Song, name: str, bars: int) -> list[tuple[float, float, int]]:
    """The notes of an instrument: (beat, length in beats, MIDI note) of each."""
    rng = _random(song, f"score of {name}")
    notes: list[tuple[float, float, int]] = []
    riff = [int(step) for step in rng.choice(SCALES[song.mode], 4)]
    for bar in range(bars):
        chord = CHORDS[song.mode][bar % 4]
        beat = 4.0 * bar
        if name == "organ":
            notes += [(beat, 4.0, song.tonic + step) for step in chord]
        elif name == "guitar":
            notes += [(beat + 0.5 * i, 1.0, song.tonic + chord[(0, 1, 2, 1)[i % 4]]) for i in range(8)]
        elif name == "bass":
            notes += [(beat + i, 0.9, song.tonic - 24 + chord[0 if i % 2 == 0 else 2]) for i in range(4)]
        elif name == "bells":
            notes += [(beat + 2.0 * i, 2.0, song.tonic + 12 + chord[(i + bar) % 3]) for i in range(2)]
        else:
            octave = 12 if name == "flute" else 0
            notes += [(beat + i, 1.0, song.tonic + octave + step) for i, step in enumerate(riff)]
    return notes


def _part(song: Song, name: str, duration_s: float, rate: int) -> Note:
    """One pitched instrument through the whole song: float32 [samples]."""
    total = np.zeros(round(duration_s * rate), np.float32)
    beat_s = 60 / song.bpm
    rng = _random(song, f"notes of {name}")
    # Render each note once and reuse it if the score repeats it, as a sampler would.
    made: dict[tuple[float, int], Note] = {}
    for beat, beats, midi in _score(song, name, int(duration_s / beat_s / 4) + 1):
        if (beats, midi) not in made:
            frequency = hertz(midi) * song.timbre.detune
            made[beats, midi] = PITCHED[name](frequency, beats * beat_s, rate, song.timbre.tilt, rng)
        _mix(total, made[beats, midi], _time(song, beat), rate)
    return total


def _drums(song: Song, duration_s: float, rate: int, level: float) -> Note:
    """Kick on 1 and 3, snare on 2 and 4, hats on eighths; float32 [samples]."""
    total = np.zeros(round(duration_s * rate), np.float32)
    rng, tilt = _random(song, "drums"), song.timbre.tilt
    kit = {"kick": kick(rate, tilt), "snare": snare(rate, tilt, rng), "hat": hat(rate, tilt, rng)}
    for half in range(int(duration_s * song.bpm / 30) + 1):
        names = ["hat"] + (["kick" if half % 4 == 0 else "snare"] if half % 2 == 0 else [])
        for name in names:
            _mix(total, level * kit[name], _time(song, half / 2), rate)
    return total


def _time(song: Song, beat: float) -> float:
    """Time of a beat in seconds; off-beats are delayed by the artist's swing."""
    late = 0.5 * song.timbre.swing if beat % 1 == 0.5 else 0.0
    return (beat + late) * 60 / song.bpm


def _place(tracks: list[Note], width: float) -> NDArray[np.float32]:
    """Spreads mono tracks from left to right: float32 [samples, 2]."""
    sides = np.linspace(-width, width, len(tracks)) if len(tracks) > 1 else np.zeros(1)
    left = np.sum([track * np.sqrt(0.5 - 0.5 * side) for track, side in zip(tracks, sides, strict=True)], axis=0)
    right = np.sum([track * np.sqrt(0.5 + 0.5 * side) for track, side in zip(tracks, sides, strict=True)], axis=0)
    return np.stack([left, right], axis=1)


def _room(channel: Note, song: Song, rate: int, side: int) -> NDArray[np.float32]:
    """Adds reverberation, tone and hiss of the recording, in one pass over the spectrum."""
    rng = _random(song, f"room {side}")
    length = int(song.timbre.reverb_s * rate)
    tail = rng.standard_normal(length) * 10 ** np.linspace(0, -3, length)
    response = np.concatenate([[1.0], 0.25 * tail / np.linalg.norm(tail)])
    size = _fast_size(len(channel) + len(response))
    spectrum = np.fft.rfft(channel, size) * np.fft.rfft(response, size)
    if not song.bright:
        spectrum /= np.sqrt(1 + (np.fft.rfftfreq(size, 1 / rate) / 1200) ** 4)
    wet = np.fft.irfft(spectrum, size)[: len(channel)]
    return (wet + song.timbre.noise * rng.standard_normal(len(channel))).astype(np.float32)


def _fast_size(samples: int) -> int:
    """The next length of the form 2^k or 3 * 2^k, for which the Fourier transform is fast."""
    power = 1 << (samples - 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= samples else power
