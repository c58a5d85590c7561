"""Music of Debian's packages whose files state tempo and metre: MIDI files of games, and recordings with a tempo map.

    python -m benchmarks.rhythmic.packaged --midi FOLDER [FOLDER ...] --songs FOLDER [FOLDER ...] --out PIECES

MIDI files are those of `openttd-openmsx`, `simutrans-data` and `planetblupi-music-midi`; songs are those of
`fretsonfire-songs-muldjord` and `fretsonfire-songs-sectoid`: folders with `notes.mid`, whose tempo map players tap to,
and the recording as `song.ogg` and `guitar.ogg`. Of each file one excerpt is used, if its tempo does not change in it
and if it does not pause.
"""

import argparse
import json
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.rhythmic import midi
from benchmarks.rhythmic.render import RATE_HZ, SOUND_FONTS
from transforms.audio.samples import Float32

LENGTH_S = 30.0
FEWEST_NOTES = 8
"""Notes that begin in the emptiest fifth of an excerpt."""
_METRES = ((2, 4), (4, 4), (2, 2), (3, 4), (3, 2), (6, 8), (9, 8), (12, 8), (5, 4))


def truth_of(song: midi.Song, from_s: float) -> dict[str, object] | None:
    """Felt tempo and signature of an excerpt; None where the tempo changes. A dotted quarter is a beat of 6/8."""
    quarters, signature = song.quarters_a_minute(from_s, from_s + LENGTH_S), song.signature(from_s, from_s + LENGTH_S)
    if quarters is None:
        return None
    compound = signature in ((6, 8), (9, 8), (12, 8))
    found: dict[str, object] = {"bpm": quarters / 1.5 if compound else quarters, "steady": True}
    return found | ({"beats": signature[0], "unit": signature[1]} if signature in _METRES else {})


def from_midi(folders: list[Path], fonts: list[str]) -> Iterator[tuple[dict[str, object], Float32]]:
    """Every usable MIDI file of folders, rendered with the fonts by turns."""
    players = [midi.Player(font) for font in fonts]
    number = 0
    for folder in folders:
        for path in sorted(folder.rglob("*.mid")):
            try:
                song = midi.read(path.read_bytes())
            except (ValueError, IndexError) as error:
                print(f"left out: {path.name}: {error}")
                continue
            start = midi.busiest(song, LENGTH_S)
            truth = truth_of(song, start)
            if truth is None or midi.fewest_notes(song, start, LENGTH_S) < FEWEST_NOTES:
                continue
            number += 1
            samples = players[number % len(players)].play(path.read_bytes(), start, LENGTH_S)
            yield truth | _named(path.name, f"midi {folder.parent.name}"), samples


def from_songs(folders: list[Path]) -> Iterator[tuple[dict[str, object], Float32]]:
    """Every recording with a tempo map, the middle of it."""
    for path in sorted(each for folder in folders for each in folder.rglob("notes.mid")):
        parts = [_decoded(path.with_name(name)) for name in ("song.ogg", "guitar.ogg")]
        length = min(len(part) for part in parts)
        start = max(0.0, (length / RATE_HZ - LENGTH_S) / 2)
        truth = truth_of(midi.read(path.read_bytes()), start)
        if truth is None:
            print(f"left out: {path.parent.name}: its tempo changes")
            continue
        first = int(start * RATE_HZ)
        samples = sum(part[first : first + int(LENGTH_S * RATE_HZ)] for part in parts)
        truth = {key: truth[key] for key in ("bpm", "steady")}
        yield truth | _named(path.parent.name, "recorded metal"), np.asarray(samples / 2, np.float32)


def _named(name: str, style: str) -> dict[str, object]:
    return {"name": name, "style": style, "family": name, "group": name, "half": zlib.crc32(name.encode()) % 2}


def _decoded(path: Path) -> Float32:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-ac", "1", "-ar", str(RATE_HZ), "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)


def main() -> None:
    """Writes NNNN.npy (int16 [samples] at 16 kHz) and truth.jsonl."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--midi", type=Path, nargs="*", default=[], metavar="FOLDER", help="folders of MIDI files")
    parser.add_argument("--songs", type=Path, nargs="*", default=[], metavar="FOLDER", help="folders of recorded songs")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder to write")
    parser.add_argument(
        "--fonts", nargs="+", default=SOUND_FONTS, metavar="FILE", help="sound fonts, by turns; names or paths"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "truth.jsonl").open("w") as truths:
        pieces = (piece for part in (from_midi(args.midi, args.fonts), from_songs(args.songs)) for piece in part)
        for number, (truth, samples) in enumerate(pieces):
            np.save(args.out / f"{number:04d}.npy", (np.clip(samples, -1, 1) * 32_767).astype(np.int16))
            truths.write(json.dumps(truth) + "\n")
            truths.flush()


if __name__ == "__main__":
    main()
