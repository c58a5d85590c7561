"""Notes to samples with FluidSynth's library: one sound font loaded once, many pieces rendered."""

import ctypes
import dataclasses
import pathlib
import random

import numpy as np

from transforms.audio.samples import Float32

RATE_HZ = 16_000
DRUMS = 9
"""The channel of percussion in General MIDI, counted from 0."""
SOUND_FONTS = ("FluidR3_GM.sf2", "TimGM6mb.sf2")
FOLDER = pathlib.Path("/usr/share/sounds/sf2")
_BLOCK = 32


@dataclasses.dataclass(frozen=True)
class Note:
    """Times in seconds from the start of the piece, pitch and velocity as in MIDI (0 to 127)."""

    start_s: float
    length_s: float
    channel: int
    pitch: int
    velocity: int


@dataclasses.dataclass(frozen=True)
class Piece:
    """Notes whose tempo (felt beats a minute) and time signature are known. `style` is what held-out parts are by."""

    name: str
    style: str
    bpm: float
    beats_per_bar: int
    beat_unit: int
    programs: dict[int, int]
    notes: list[Note]
    steady: bool = True


class Renderer:
    """A FluidSynth synthesiser at 16 kHz with one sound font."""

    def __init__(self, sound_font: str) -> None:
        self._library = ctypes.CDLL("libfluidsynth.so.3")
        for function in ("new_fluid_settings", "new_fluid_synth"):
            getattr(self._library, function).restype = ctypes.c_void_p
        settings = ctypes.c_void_p(self._library.new_fluid_settings())
        self._library.fluid_settings_setnum(settings, b"synth.sample-rate", ctypes.c_double(RATE_HZ))
        self._library.fluid_settings_setint(settings, b"synth.chorus.active", 0)
        self._synth = ctypes.c_void_p(self._library.new_fluid_synth(settings))
        if self._library.fluid_synth_sfload(self._synth, str(FOLDER / sound_font).encode(), 1) < 0:
            raise FileNotFoundError(f"{FOLDER / sound_font}: install fluid-soundfont-gm and timgm6mb-soundfont")

    def render(self, piece: Piece, length_s: float) -> Float32:
        """Mono float32 [length_s * 16000]. Notes sound until the piece ends; nothing of it sounds in the next one."""
        count = int(length_s * RATE_HZ) // _BLOCK
        out = np.zeros((count * _BLOCK, 2), np.int16)
        self._library.fluid_synth_system_reset(self._synth)
        for channel, program in piece.programs.items():
            self._library.fluid_synth_program_change(self._synth, channel, program)
        at = 0
        events = (event for event in _events(piece.notes) if event[0] < count)
        for block, on, note in sorted(events, key=lambda event: event[:2]):
            at = self._write(out, at, block)
            if on:
                self._library.fluid_synth_noteon(self._synth, note.channel, note.pitch, note.velocity)
            else:
                self._library.fluid_synth_noteoff(self._synth, note.channel, note.pitch)
        self._write(out, at, count)
        self._library.fluid_synth_all_sounds_off(self._synth, -1)
        self._write(np.zeros((8 * _BLOCK, 2), np.int16), 0, 8)
        return out.mean(1, dtype=np.float32) / 32_768

    def _write(self, out: np.ndarray, start: int, stop: int) -> int:
        if stop <= start:
            return start
        part = out[start * _BLOCK : stop * _BLOCK]
        place = ctypes.c_void_p(part.ctypes.data)
        self._library.fluid_synth_write_s16(self._synth, len(part), place, 0, 2, place, 1, 2)
        return stop


def _events(notes: list[Note]) -> list[tuple[int, int, Note]]:
    """(block, 0 for off or 1 for on, note): of events in one block, notes end before others begin."""
    scale = RATE_HZ / _BLOCK
    events = [(int(note.start_s * scale), 1, note) for note in notes]
    return events + [
        (max(int((note.start_s + note.length_s) * scale), int(note.start_s * scale) + 1), 0, note) for note in notes
    ]


def humanised(notes: list[Note], spread_s: float, rng: random.Random) -> list[Note]:
    """Notes with normally distributed errors of time and velocity."""
    return [
        dataclasses.replace(
            note,
            start_s=max(0.0, note.start_s + rng.gauss(0, spread_s)),
            velocity=min(127, max(20, round(note.velocity + rng.gauss(0, 6)))),
        )
        for note in notes
    ]
