"""The set of pieces that rhythm is fitted and rated on: rendered once, kept as 16-bit arrays with a table of truths."""

import argparse
import json
import pathlib
import random
from collections.abc import Collection, Iterator

import numpy as np

from benchmarks.rhythmic import notation, scores, styles
from benchmarks.rhythmic.render import RATE_HZ, SOUND_FONTS, Piece, Renderer

TUNES_A_METRE = {"2/4": 80, "4/4": 80, "2/2": 60, "3/4": 110, "6/8": 100, "9/8": 25, "3/2": 6, "12/8": 2}


def by_rule(each: int, first_seed: int) -> Iterator[Piece]:
    """`each` pieces of every style."""
    for seed in range(first_seed, first_seed + each):
        yield from (styles.make(style, seed) for style in styles.STYLES)


def from_notation(
    corpus: pathlib.Path, each: dict[str, int], first_seed: int, besides: Collection[str] = ()
) -> Iterator[Piece]:
    """Tunes of a folder of ABC files, `each` by signature; another seed takes others and plays them differently."""
    left = dict(each)
    found = [tune for path in sorted(corpus.rglob("*.abc")) for tune in notation.tunes(path)]
    random.Random(f"tunes {first_seed}").shuffle(found)
    for seed, tune in enumerate(found):
        if left.get(tune.metre, 0) > 0 and tune.title not in besides:
            left[tune.metre] -= 1
            yield notation.piece(tune, first_seed + seed)


def from_scores(corpus: pathlib.Path) -> Iterator[Piece]:
    """Every usable score in MusicXML of a folder."""
    yield from scores.pieces(sorted(path for path in corpus.rglob("*") if path.suffix in (".mxl", ".xml")))


def main() -> None:
    """Renders the set into a folder: NNNN.npy (int16 [samples] at 16 kHz) and truth.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=pathlib.Path, required=True, help="folder with ABC and MusicXML files")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder to write")
    parser.add_argument("--each", type=int, default=14, help="pieces a style")
    parser.add_argument("--first-seed", type=int, default=0, help="another seed makes other pieces")
    parser.add_argument("--share", type=float, default=1.0, help="share of the usual number of tunes")
    parser.add_argument(
        "--besides", type=pathlib.Path, action="append", default=[], help="leave out this folder's titles"
    )
    flags = parser.parse_args()
    known = {json.loads(line)["name"] for each in flags.besides for line in (each / "truth.jsonl").open()}
    pieces = [
        *by_rule(flags.each, flags.first_seed),
        *from_notation(
            flags.corpus, {m: round(n * flags.share) for m, n in TUNES_A_METRE.items()}, flags.first_seed, known
        ),
        *(piece for piece in from_scores(flags.corpus) if piece.name not in known),
    ]
    random.Random("order").shuffle(pieces)
    render_all(pieces, flags.out)


def render_all(pieces: list[Piece], out: pathlib.Path) -> None:
    """Sound fonts alternate; three pieces of four last 30 s, the others 20 s."""
    out.mkdir(parents=True, exist_ok=True)
    renderers = [Renderer(font) for font in SOUND_FONTS]
    with (out / "truth.jsonl").open("w") as truth:
        for number, piece in enumerate(pieces):
            length_s = (30, 30, 30, 20)[number % 4]
            start = RATE_HZ * (number % 3)
            samples = renderers[number % 7 % 2].render(piece, length_s + 2)[start : start + length_s * RATE_HZ]
            np.save(out / f"{number:04d}.npy", (samples * 32_767).astype(np.int16))
            row = {"name": piece.name, "style": piece.style, "bpm": piece.bpm, "steady": piece.steady}
            truth.write(json.dumps(row | {"beats": piece.beats_per_bar, "unit": piece.beat_unit}) + "\n")
            truth.flush()


if __name__ == "__main__":
    main()
