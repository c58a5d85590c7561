"""Evaluation at scale: seconds and memory of rating 400 tags with intervals over artists.

python -m benchmarks.rating [--tracks 160000] [--tags 400] [--artists 16000] [--resamples 300]

Scores are those of a fair model, the rarest tag is on one track in a thousand. Memory is the highest resident set
beside that of the arrays that are rated.
"""

import argparse
import resource
import time

import numpy as np

from models.evaluation.rating import pooled_reliability, rate_tags
from models.evaluation.resampling import Resamples
from models.scoring.heads import sigmoid


def made(tracks: int, tags: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets float32 [tracks, tags], and scores of a logit that says something of them."""
    rng = np.random.default_rng(0)
    targets, scores = (np.empty((tracks, tags), np.float32) for _ in range(2))
    for tag, share in enumerate(np.geomspace(0.3, 0.001, tags)):
        logit = rng.normal(scale=1.5, size=tracks) + np.log(share / (1 - share)) - 1
        scores[:, tag] = np.round(sigmoid(logit), 4)
        targets[:, tag] = rng.random(tracks) < sigmoid(logit)
    return targets, scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("tracks", 160_000), ("tags", 400), ("artists", 16_000), ("resamples", 300)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    targets, scores = made(args.tracks, args.tags)
    mask, positives = np.ones_like(targets), scores >= 0.3
    before, start = _peak_mb(), time.perf_counter()
    artists = [str(n) for n in np.random.default_rng(1).integers(0, args.artists, args.tracks)]
    rated = rate_tags(targets, mask, scores, positives, Resamples.draw(artists, args.resamples, 0))
    rate_s = time.perf_counter() - start
    pooled_reliability(targets, mask, scores, range(args.tags))
    total_s = time.perf_counter() - start
    print(f"{args.tracks} tracks x {args.tags} tags x {args.resamples} resamples: ", end="")
    print(f"metrics {rate_s:.0f} s, reliability {total_s - rate_s:.0f} s; ", end="")
    print(f"peak memory {_peak_mb() - before:.0f} MB beside the arrays ({before:.0f} MB)")
    print(f"macro ROC-AUC {np.mean(rated.tags['roc_auc'][:, 0]):.4f}, micro {rated.micro['roc_auc'][0]:.4f}")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
