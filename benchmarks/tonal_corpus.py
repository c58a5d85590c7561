"""The set of pieces of known key that the key classifier is fitted and rated on.

    python -m benchmarks.tonal_corpus --corpus CORPUS --fonts FONT.sf2 [FONT.sf2 ...] --out PIECES
    python -m benchmarks.tonal_corpus --corpus CORPUS --kept --fonts OTHER.sf3 --first-seed 100000 --out KEPT

`CORPUS` holds tunes in ABC notation and scores in MusicXML (the corpus of the music21 package). A quarter of the
titles is for rating (`--kept`), the rest for fitting. Pieces are composed by rule, or played from notation that states
its key and ends on its tonic; some get drums of another style. Each is rendered once, with the fonts in turn.
"""

import argparse
import dataclasses
import json
import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.rhythmic import notation, scores, styles
from benchmarks.rhythmic.render import DRUMS, RATE_HZ, Note, Piece, Renderer
from benchmarks.tonal_pieces import compose
from transforms.features.parameters.keys import key_name

LENGTH_S = 24.0
DRUM_SHARE = 0.3
MINOR_SHARE = 0.4
"""Share of minor keys among the tunes of a collection, where it has as many."""


@dataclasses.dataclass(frozen=True)
class KeyedPiece:
    """A piece, its key, and its kind: `composed`, or the collection it is from."""

    piece: Piece
    key: str
    kind: str


def composed(first: int, count: int) -> Iterator[KeyedPiece]:
    """Pieces of `tonal_pieces` with seeds from `first` on."""
    for seed in range(first, first + count):
        made = compose(seed)
        notes = [Note(a, b - a, channel, pitch, velocity) for a, b, pitch, velocity, channel in made.notes]
        programs = dict(enumerate(made.programs))
        yield KeyedPiece(Piece(f"composed {seed}", "composed", 120.0, 4, 4, programs, notes), made.key, "composed")


def from_tunes(corpus: Path, seed: int, most: int, *, kept: bool) -> Iterator[KeyedPiece]:
    """Tunes in ABC notation that end on their tonic, at most `most` of a collection; collections are folders."""
    for folder in sorted({path.parent for path in corpus.rglob("*.abc")}):
        found = [tune for path in sorted(folder.glob("*.abc")) for tune in notation.tunes(path)]
        found = [t for t in found if t.notes and t.notes[-1][2] % 12 == t.tonic and is_kept(t.title) == kept]
        random.Random(f"{folder.name} {seed}").shuffle(found)
        minor = [tune for tune in found if tune.mode == "minor"][: round(MINOR_SHARE * most)]
        major = [tune for tune in found if tune.mode == "major"][: most - len(minor)]
        for number, tune in enumerate((*minor, *major)):
            yield KeyedPiece(notation.piece(tune, seed + number), key_name(tune.tonic, tune.mode), folder.name)


def from_scores(corpus: Path) -> Iterator[KeyedPiece]:
    """Scores in MusicXML that state a mode and end on its tonic."""
    paths = sorted(path for path in corpus.rglob("*") if path.suffix in (".mxl", ".xml"))
    for path in paths:
        if key := score_key(path):
            kind = path.relative_to(corpus).parts[0]
            yield from (KeyedPiece(piece, key, kind) for piece in scores.pieces([path]))


def score_key(path: Path) -> str | None:
    """The key of a score with one key signature whose lowest part ends on the tonic of the major or minor key of it.

    A stated minor mode is believed only if it agrees; a stated major mode is often a default of the program.
    """
    root = scores.read_root(path)
    stated = {(key.findtext("fifths"), key.findtext("mode")) for key in root.iter("key")}
    fifths, mode = next(iter(stated)) if len(stated) == 1 else (None, None)
    lowest = [pitch for part in root.iter("part") if (pitch := scores.last_pitch(part))]
    if fifths is None or not lowest:
        return None
    above = (min(lowest) - 7 * int(fifths)) % 12
    found = {0: "major", 9: "minor"}.get(above)
    return None if found is None or (mode, found) == ("minor", "major") else key_name(min(lowest) % 12, found)


def is_kept(title: str) -> bool:
    """Whether a title is kept for rating. Composed pieces are kept back by their seeds."""
    return zlib.crc32(title.encode()) % 4 == 0


def with_drums(piece: Piece, seed: int) -> Piece:
    """The piece with the drums of a style, for `DRUM_SHARE` of the pieces that have none."""
    rng = random.Random(f"drums {seed}")
    if rng.random() >= DRUM_SHARE or any(note.channel == DRUMS for note in piece.notes):
        return piece
    loudness = rng.uniform(0.5, 1.2)
    other = styles.make(rng.choice(styles.STYLES), 50_000 + seed)
    hits = [n for n in other.notes if n.channel == DRUMS]
    hits = [dataclasses.replace(n, velocity=min(127, round(n.velocity * loudness))) for n in hits]
    return dataclasses.replace(piece, notes=[*piece.notes, *hits])


def render_all(pieces: list[KeyedPiece], fonts: list[str], out: Path, seed: int) -> None:
    """NNNN.npy (int16 [samples] at 16 kHz) and truth.jsonl. Pieces from notation begin within their first 6 s."""
    out.mkdir(parents=True, exist_ok=True)
    renderers = [Renderer(font) for font in fonts]
    with (out / "truth.jsonl").open("w") as truth:
        for number, each in enumerate(pieces):
            font = number % len(fonts)
            first_s = 0.0 if each.kind == "composed" else random.Random(seed + number).uniform(0.5, 6)
            length_s = 20.0 if each.kind == "composed" else LENGTH_S
            samples = renderers[font].render(with_drums(each.piece, seed + number), first_s + length_s)
            np.save(out / f"{number:04d}.npy", (samples[int(first_s * RATE_HZ) :] * 32_767).astype(np.int16))
            row = {"name": each.piece.name, "kind": each.kind, "key": each.key, "font": Path(fonts[font]).stem}
            truth.write(json.dumps(row) + "\n")
            truth.flush()


def main() -> None:
    """Renders a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, metavar="FOLDER", help="ABC and MusicXML files")
    parser.add_argument("--fonts", nargs="+", required=True, metavar="FILE", help="sound fonts, with their folder")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder to write")
    parser.add_argument("--kept", action="store_true", help="the titles that are kept for rating")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="another seed makes other pieces")
    parser.add_argument("--composed", type=int, default=720, metavar="N", help="composed pieces (720)")
    parser.add_argument("--tunes", type=int, default=120, metavar="N", help="tunes of each collection (120)")
    parser.add_argument("--scores", type=int, default=300, metavar="N", help="scores (300)")
    parser.add_argument("--most", type=int, default=100_000, metavar="N", help="most pieces of all, drawn (all)")
    args = parser.parse_args()
    tunes = [*from_tunes(args.corpus, args.first_seed, args.tunes, kept=args.kept)]
    played = [p for p in from_scores(args.corpus) if is_kept(p.piece.name) == args.kept]
    random.Random("scores").shuffle(played)
    pieces = [*composed(args.first_seed, args.composed), *tunes, *played[: args.scores]]
    random.Random("order").shuffle(pieces)
    render_all(pieces[: args.most], args.fonts, args.out, args.first_seed)


if __name__ == "__main__":
    main()
