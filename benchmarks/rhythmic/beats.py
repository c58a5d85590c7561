"""What a network of beats is worth on pieces of known tempo, and the scalings that fit its confidences.

    python -m benchmarks.rhythmic.pieces --out PIECES
    python -m benchmarks.rhythmic.beats --pieces PIECES [PIECES] --beats BUNDLE [--every 3]

Pieces are heard for their first 30 s. A scaling is a logistic regression from the logit of the evidence to whether the
answer is right, with a weak pull to slope 1 and shift 0.
"""

import argparse
import pathlib
from typing import NamedTuple

import numpy as np

from benchmarks.rhythm import RATE_HZ, read
from benchmarks.rhythmic.tables import accuracy, by_confidence, interval
from models.beats.bundle import load_beat_network, read_beat_bundle
from transforms.features.rhythm.beat_mels import beat_mels

_PULL = 1.0


class Answer(NamedTuple):
    """What a network says about one piece, and the truth: beats a minute, and beats a bar."""

    bpm: float
    confidence: float
    other_bpm: float
    true_bpm: float
    metre_confidence: float | None
    is_metre_right: bool


def answers(folders: list[pathlib.Path], url: str, every: int) -> tuple[int, list[Answer]]:
    """Number of pieces, and what the network says about those in which it hears a beat."""
    bundle, count, found = read_beat_bundle(url), 0, []
    network = load_beat_network(url, bundle.beats_id)
    for folder in folders:
        for truth, samples in read(folder)[::every]:
            count += 1
            mels = beat_mels(samples[: 30 * RATE_HZ, None], RATE_HZ, bundle.given)
            (heard,) = network.hear([mels]) if mels is not None else [None]
            if heard is not None:
                is_right = heard.signature is not None and heard.signature[0] == truth["beats"]
                tempo = (heard.tempo_bpm, heard.tempo_confidence, heard.tempo_alternative_bpm, truth["bpm"])
                found.append(Answer(*tempo, heard.metre_confidence, is_right))
    return count, found


def scaling(evidence: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Slope and shift, by Newton's method."""
    inside = np.clip(evidence, 1e-4, 1 - 1e-4)
    inputs = np.stack([np.log(inside / (1 - inside)), np.ones(len(inside))], axis=1)
    weights = start = np.array([1.0, 0.0])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-inputs @ weights))
        gradient = inputs.T @ (chance - right) + _PULL * (weights - start)
        curve = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + _PULL * np.eye(2)
        weights = weights - np.linalg.solve(curve, gradient)
    return float(weights[0]), float(weights[1])


def main() -> None:
    """Prints figures and scalings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--beats", required=True, help="bundle; its scalings should be [1, 0]")
    parser.add_argument("--every", type=int, default=1, help="hear one piece in so many")
    args = parser.parse_args()
    count, found = answers(args.pieces, args.beats, args.every)
    print(f"{count} pieces, a beat in {len(found)}")
    told, truth = (np.array([getattr(one, name) for one in found]) for name in ("bpm", "true_bpm"))
    confidence = np.array([one.confidence for one in found])
    first, second = accuracy(told, truth)
    other, _ = accuracy(np.array([one.other_bpm for one in found]), truth)
    print(f"tempo, accuracy 1 / 2: {interval(first)} / {interval(second)}; mean confidence {confidence.mean():.3f}")
    print(by_confidence(confidence, first, "tempo", parts=5))
    print(f"of {np.count_nonzero(~first)} wrong tempi, the alternative is right in {np.count_nonzero(other & ~first)}")
    print("tempo_scaling: [{:.2f}, {:.2f}]".format(*scaling(confidence, first)))
    bars = [one for one in found if one.metre_confidence is not None]
    if bars:
        right = np.array([one.is_metre_right for one in bars])
        sure = np.array([one.metre_confidence for one in bars], float)
        print(f"metre, in {len(bars)} pieces: {interval(right)}; mean confidence {sure.mean():.3f}")
        print("metre_scaling: [{:.2f}, {:.2f}]".format(*scaling(sure, right)))


if __name__ == "__main__":
    main()
