"""Keys told by this program: pieces of known key that were kept back, and recordings that have a key or none.

    python -m benchmarks.tonality --pieces KEPT --data ../shared/data/dev

`KEPT` was made by `benchmarks.tonal_corpus --kept` with a sound font and seeds that the fit did not have; recordings
are those that `tonality_fit` keeps back. Printed as Markdown tables with 95 % bootstrap intervals over pieces. Other
programs are compared by `benchmarks.peers`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.rhythmic.render import RATE_HZ
from benchmarks.rhythmic.tables import interval
from benchmarks.tonal_sounds import roughened
from benchmarks.tonality_fit import drums_alone, patches, pieces, recordings
from transforms.audio.samples import Float32
from transforms.features.parameters.key import Tonality, measure_key
from transforms.features.parameters.keys import key_relation, mirex_score

ROUGH_SEED = 900_000
"""Versions made like recordings have seeds from here on; the fit's are lower."""


def told(sounds: Sequence[Float32]) -> list[Tonality]:
    """What is told of each sound."""
    return [measure_key(patches(samples), RATE_HZ) for samples in sounds]


def accuracy_row(title: str, truth: Sequence[str], found: Sequence[Tonality]) -> str:
    """Number, exact, MIREX score, and shares of the usual confusions. A piece without a key is wrong."""
    exact = np.array([t.key == key for t, key in zip(found, truth, strict=True)])
    score = np.array([mirex_score(key, t.key) for t, key in zip(found, truth, strict=True)])
    relations = [key_relation(key, t.key) if t.key else "none" for t, key in zip(found, truth, strict=True)]
    shares = [f"{relations.count(name) / len(relations):.2f}" for name in ("fifth", "relative", "parallel", "other")]
    return f"| {title} | {len(truth)} | {interval(exact)} | {interval(score)} | {' | '.join(shares)} |"


def confidence_rows(truth: Sequence[str], found: Sequence[Tonality], parts: int = 10) -> list[str]:
    """Mean confidence and accuracy of equal parts of the pieces, least confident first."""
    confidence = np.array([t.key_confidence or 0.0 for t in found])
    right = np.array([t.key == key for t, key in zip(found, truth, strict=True)])
    order = np.array_split(np.argsort(confidence, kind="stable"), parts)
    return [
        "| confidence | " + " | ".join(f"{confidence[part].mean():.2f}" for part in order) + " |",
        "| exact | " + " | ".join(f"{right[part].mean():.2f}" for part in order) + " |",
    ]


def print_pieces(folder: Path, backgrounds: Sequence[Float32]) -> None:
    """Accuracy by kind, as rendered and made like recordings, and by confidence."""
    keys, kinds, sounds = zip(*pieces(folder), strict=True)
    rough = [roughened(samples, ROUGH_SEED + number, backgrounds) for number, samples in enumerate(sounds)]
    found = {"as rendered": told(sounds), "like recordings": told(rough)}
    print("| pieces | number | exact | MIREX score | fifth | relative | parallel | other |\n|---" + "|---" * 7 + "|")
    for version, tonalities in found.items():
        for kind in ("all", *sorted(set(kinds))):
            chosen = [i for i in range(len(keys)) if kind in ("all", kinds[i])]
            print(accuracy_row(f"{kind}, {version}", [keys[i] for i in chosen], [tonalities[i] for i in chosen]))
    both = [tonality for tonalities in found.values() for tonality in tonalities]
    print("\n| | | | | | | | | | | |\n|---" + "|---" * 10 + "|", *confidence_rows(keys * 2, both), sep="\n")


def print_recordings(kinds: dict[str, Sequence[Float32]]) -> None:
    """How many sounds of each kind are given a key, and with confidence."""
    print("\n| recordings | number | given a key | confidence above 0.5 |\n|---|---|---|---|")
    for kind, samples in kinds.items():
        confidences = np.array([tonality.key_confidence or 0.0 for tonality in told(samples)])
        print(f"| {kind} | {len(samples)} | {np.mean(confidences > 0):.3f} | {np.mean(confidences > 0.5):.3f} |")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=Path, required=True, metavar="FOLDER", help="pieces kept back from the fit")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="recordings and manifest.csv")
    parser.add_argument("--drums", default="FluidR3_GM.sf2", metavar="FILE", help="sound font of drums")
    args = parser.parse_args()
    kept = recordings(args.data, odd=True)
    other = [samples for is_music, samples in kept if not is_music]
    print_pieces(args.pieces, other)
    kinds: dict[str, Sequence[Float32]] = {"music": [samples for is_music, samples in kept if is_music]}
    kinds |= {"sounds and speech": other, "drums alone": drums_alone(48, args.drums)}
    print_recordings(kinds)


if __name__ == "__main__":
    main()
