"""Standard MIDI files: tempi and signatures read, a melody added, and all of it rendered by FluidSynth's player."""

import bisect
import ctypes
import dataclasses
import itertools
import struct
from collections.abc import Sequence

import numpy as np

from benchmarks.rhythmic.render import RATE_HZ, Renderer
from transforms.audio.samples import Float32

_BLOCK = 64
DEFAULT_US = 500_000
"""Microseconds a quarter note where a file states no tempo: 120 a minute."""


@dataclasses.dataclass(frozen=True)
class Song:
    """What a file says.

    Attributes:
      division: ticks a quarter note.
      tempi: (tick, microseconds a quarter note), in order.
      signatures: (tick, beats a bar, unit), in order.
      notes: (tick, channel, pitch, ticks until it ends), in order.
    """

    division: int
    tempi: list[tuple[int, int]]
    signatures: list[tuple[int, int, int]]
    notes: list[tuple[int, int, int, int]]

    def second(self, tick: int) -> float:
        """When a tick is."""
        at, last, pace = 0.0, 0, DEFAULT_US
        for start, us in self.tempi:
            if start >= tick:
                break
            at, last, pace = at + (start - last) * pace / self.division / 1e6, start, us
        return at + (tick - last) * pace / self.division / 1e6

    def quarters_a_minute(self, from_s: float, to_s: float) -> float | None:
        """The tempo of an excerpt where it is one; None where it changes by more than 1 %."""
        starts = [(self.second(tick), us) for tick, us in self.tempi] or [(0.0, DEFAULT_US)]
        before = [us for at, us in starts if at <= from_s][-1:] or [DEFAULT_US]
        paces = before + [us for at, us in starts if from_s < at < to_s]
        return None if max(paces) > 1.01 * min(paces) else 60e6 / paces[0]

    def signature(self, from_s: float, to_s: float) -> tuple[int, int] | None:
        """The one time signature of an excerpt; None where none is stated or it changes."""
        starts = [(self.second(tick), (beats, unit)) for tick, beats, unit in self.signatures]
        stated = [each for at, each in starts if at <= from_s + 0.1][-1:]
        found = {*stated, *(each for at, each in starts if from_s + 0.1 < at < to_s)}
        return found.pop() if stated and len(found) == 1 else None


def read(data: bytes) -> Song:
    """A file of format 0 or 1.

    Raises:
      ValueError: it is no such file, or counts time in frames.
    """
    if data[:4] != b"MThd" or len(data) < 14:
        raise ValueError("no standard MIDI file")
    division = struct.unpack(">H", data[12:14])[0]
    if division == 0 or division & 0x8000:
        raise ValueError(f"division={division:#x}: time in frames is not read")
    song, at = Song(division, [], [], []), 8 + struct.unpack(">I", data[4:8])[0]
    while at + 8 <= len(data):
        size = struct.unpack(">I", data[at + 4 : at + 8])[0]
        if data[at : at + 4] == b"MTrk":
            _track(data[at + 8 : at + 8 + size], song)
        at += 8 + size
    for rows in (song.tempi, song.signatures, song.notes):
        rows.sort()
    return song


def _track(data: bytes, song: Song) -> None:
    at, tick, status = 0, 0, 0
    sounding: dict[tuple[int, int], int] = {}
    while at < len(data):
        step, at = _number(data, at)
        tick += step
        if data[at] & 0x80:
            status, at = data[at], at + 1
        if status == 0xFF:
            kind, (size, at) = data[at], _number(data, at + 1)
            _meta(kind, data[at : at + size], tick, song)
            at += size
        elif status in (0xF0, 0xF7):
            size, at = _number(data, at)
            at += size
        else:
            _voice(status, data[at : at + 2], tick, sounding, song)
            at += 1 if status & 0xE0 == 0xC0 else 2


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where the next byte is."""
    value = 0
    while True:
        value, at = value << 7 | data[at] & 0x7F, at + 1
        if not data[at - 1] & 0x80:
            return value, at


def _meta(kind: int, body: bytes, tick: int, song: Song) -> None:
    if kind == 0x51 and len(body) == 3:
        song.tempi.append((tick, int.from_bytes(body, "big")))
    elif kind == 0x58 and len(body) >= 2:
        song.signatures.append((tick, body[0], 2 ** body[1]))


def _voice(status: int, body: bytes, tick: int, sounding: dict[tuple[int, int], int], song: Song) -> None:
    if status >> 4 not in (8, 9) or len(body) < 2:
        return
    of = (status & 15, body[0])
    if of in sounding:
        start = sounding.pop(of)
        song.notes.append((start, *of, tick - start))
    if status >> 4 == 9 and body[1]:
        sounding[of] = tick


def with_melody(data: bytes, channel: int, program: int, notes: Sequence[tuple[float, float, int, int]]) -> bytes:
    """The file with one more track: (start, end) in quarter notes, pitch, velocity."""
    division = struct.unpack(">H", data[12:14])[0]
    events = [(round(start * division), 0x90, pitch, velocity) for start, _, pitch, velocity in notes]
    events += [(round(end * division), 0x80, pitch, 0) for _, end, pitch, _ in notes]
    body, last = bytes([0, 0xC0 | channel, program]), 0
    for tick, kind, pitch, velocity in sorted(events):
        body += _coded(tick - last) + bytes([kind | channel, pitch, velocity])
        last = tick
    body += b"\0\xff\x2f\0"
    tracks = struct.unpack(">H", data[10:12])[0]
    head = data[:8] + struct.pack(">HHH", 1, tracks + 1, division)
    return head + data[14:] + b"MTrk" + struct.pack(">I", len(body)) + body


def _coded(value: int) -> bytes:
    found = [value & 0x7F]
    while value := value >> 7:
        found.append(value & 0x7F | 0x80)
    return bytes(reversed(found))


class Player(Renderer):
    """FluidSynth's own player of MIDI files, with all their controllers, at 16 kHz.

    What is written is counted in samples, so a file that never ends a note ends none the less.
    """

    def play(self, data: bytes, from_s: float, length_s: float) -> Float32:
        """Mono float32 [length_s * 16000] of a file, from `from_s` on."""
        library = self._library
        library.new_fluid_player.restype = ctypes.c_void_p
        library.fluid_synth_system_reset(self._synth)
        player = ctypes.c_void_p(library.new_fluid_player(self._synth))
        library.fluid_player_add_mem(player, data, ctypes.c_size_t(len(data)))
        library.fluid_player_play(player)
        skipped, count = int(from_s * RATE_HZ) // _BLOCK * _BLOCK, int(length_s * RATE_HZ)
        out = np.zeros((skipped + count, 2), np.int16)
        place = ctypes.c_void_p(out.ctypes.data)
        library.fluid_synth_write_s16(self._synth, len(out), place, 0, 2, place, 1, 2)
        library.fluid_player_stop(player)
        library.delete_fluid_player(player)
        library.fluid_synth_all_sounds_off(self._synth, -1)
        return out[skipped:].mean(1, dtype=np.float32) / 32_768


def busiest(song: Song, length_s: float) -> float:
    """Where an excerpt begins that is not the start of the piece: its first note after a quarter of the notes."""
    starts = [song.second(tick) for tick, *_ in song.notes[:: max(1, len(song.notes) // 200)]]
    later = starts[len(starts) // 4] if starts else 0.0
    end = starts[-1] if starts else 0.0
    return max(0.0, min(later, end - length_s))


def fewest_notes(song: Song, from_s: float, length_s: float) -> int:
    """Notes that begin in the emptiest fifth of an excerpt: music that pauses has few."""
    starts = sorted(song.second(tick) for tick, *_ in song.notes)
    edges = [bisect.bisect(starts, from_s + length_s * part / 5) for part in range(6)]
    return min(b - a for a, b in itertools.pairwise(edges))
