"""Calibration error on the test split, before and after calibration, over synthetic catalogs of several seeds.

python -m benchmarks.calibration [--tracks 400] [--seeds 5] [-- flags of `train`]

Each catalog is made by `synthesize`, prepared and trained as a user would; the test split's artists played no part in
heads or calibration. The error is the mean over the tags: chance alone leaves some of it.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.cli import main as catalog_tagger


def errors(tracks: int, seed: int, flags: Sequence[str]) -> tuple[float, float]:
    """Before and after calibration, of one catalog."""
    with tempfile.TemporaryDirectory(prefix="calibration-") as folder:
        steps = [
            ["synthesize", "--output", folder, "--tracks", str(tracks), "--seed", str(seed)],
            ["prepare", "--catalog", f"{folder}/catalog.parquet", "--taxonomy", f"{folder}/taxonomy.yaml"],
            ["train", "--dataset", f"{folder}/dataset", "--output", f"{folder}/bundle", *flags],
        ]
        steps[1] += ["--output", f"{folder}/dataset"]
        for step in steps:
            if code := catalog_tagger(step):
                raise SystemExit(f"{step[0]} ended with {code}")
        found = json.loads((Path(folder) / "bundle" / "metrics.json").read_bytes())["calibration_error"]
    return found["before"], found["after"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("flags", nargs="*", help="of `train`, after --")
    args = parser.parse_args()
    found = []
    for seed in range(args.seeds):
        found.append(errors(args.tracks, seed, args.flags))
        print("seed {}: {:.4f} -> {:.4f}".format(seed, *found[-1]), flush=True)
    before, after = np.array(found).T
    spread = np.std(after - before, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else float("nan")
    print(
        f"train {' '.join(args.flags)}: {before.mean():.4f} -> {after.mean():.4f}, {after.mean() - before.mean():+.4f}"
    )
    print(f"standard error of the difference {spread:.4f}; lower in {np.sum(after < before)} of {len(found)}")


if __name__ == "__main__":
    main()
