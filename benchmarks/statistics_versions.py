"""What the fixed statistics cost: milliseconds a track of 16 patches on one core, each version in turn.

python -m benchmarks.statistics_versions
"""

import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

from models.embedding.statistics import STATISTICS_BY_VERSION
from transforms.features.spec import FeatureSpec

PATCHES, ROUNDS, CALLS = 16, 15, 10


def measure() -> dict[int, float]:
    """Median over the rounds of the processor time of a call, in ms, by version."""
    spec = FeatureSpec()
    patches = np.random.default_rng(0).normal(-40, 15, (PATCHES, *spec.patch_shape)).astype(np.float16)
    taken: dict[int, list[float]] = {version: [] for version in STATISTICS_BY_VERSION}
    with threadpool_limits(1):
        for _ in range(ROUNDS):
            for version, function in STATISTICS_BY_VERSION.items():
                start = time.process_time()
                for _ in range(CALLS):
                    function(patches, spec.compression)
                taken[version].append((time.process_time() - start) / CALLS * 1000)
    return {version: statistics.median(values) for version, values in taken.items()}


if __name__ == "__main__":
    for version, milliseconds in measure().items():
        print(f"version {version}: {milliseconds:.1f} ms for {PATCHES} patches")
