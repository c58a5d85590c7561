"""ONNX Runtime against TensorFlow on one core: patches a second of every trunk, and what a worker pays first.

python -m benchmarks.inference .bench onnx    # one engine in this process: JSON
"""

import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import run_python
from benchmarks.report import Row

ENGINES = {"onnx": "ONNX Runtime", "tensorflow": "TensorFlow"}
ROUNDS = 3
SECONDS = 2.0
"""How long one measurement of one trunk takes, about."""

WHEELS = Path(".tools/musicnn")


def rows(work: Path, root: Path) -> list[Row]:
    """Each engine's speed on each trunk, measured in turns, and their ratio; start and memory of each."""
    run_python(["-m", "benchmarks.inference", str(work), "make"], root)
    found: dict[str, list[dict[str, Any]]] = {engine: [] for engine in ENGINES}
    for _ in range(ROUNDS):
        for engine, runs in found.items():
            output = run_python(["-m", "benchmarks.inference", str(work), engine], root).output
            runs.append(json.loads(output.splitlines()[-1]))
    return [*_speeds(found), *_starts(found)]


def _speeds(found: dict[str, list[dict[str, Any]]]) -> list[Row]:
    made = []
    for trunk in found["onnx"][0]["rates"]:
        rates = {engine: [run["rates"][trunk] for run in runs] for engine, runs in found.items()}
        ratios = [onnx / tf for onnx, tf in zip(rates["onnx"], rates["tensorflow"], strict=True)]
        slower = f"TensorFlow {statistics.median(rates['tensorflow']):.3g} patches/s"
        fields: dict[str, Any] = {
            "benchmark": "inference",
            "note": f"{slower}; one core by processor time, padded batches of 32",
        }
        made.append(Row.of(rates["onnx"], name=f"`{trunk}` by ONNX Runtime", unit="patches/s", **fields))
        made.append(Row.of(ratios, name=f"`{trunk}`: ONNX Runtime against TensorFlow", unit="x", **fields))
    return made


def _starts(found: dict[str, list[dict[str, Any]]]) -> list[Row]:
    fields: dict[str, Any] = {"benchmark": "inference", "note": "a new process, the `compact` trunk, one batch"}
    made = []
    for engine, name in ENGINES.items():
        for what, unit in (("start", "s"), ("memory", "MiB")):
            values = [run[f"{what}_{unit.lower()}"] for run in found[engine]]
            made.append(Row.of(values, name=f"{name}: {what} to the first embedding", unit=unit, **fields))
    return made


def make(work: Path) -> None:
    """Writes a bundle of every network in the registry, and the imported ones where their package is."""
    from models.bundles.trunk_bundle import Embedding
    from models.bundles.writing import write_trunk_bundle
    from models.embedding.pooling import Pooling
    from models.trunks import keras_trunk
    from models.trunks import networks as trunks
    from transforms.features.spec import FeatureSpec

    spec = FeatureSpec()
    for name, builder in trunks.TRUNKS.items():
        place = work / "inference" / name
        if builder is None or (place / "bundle.json").exists():
            continue
        model = builder(spec, [-40.0] * spec.n_mels, [10.0] * spec.n_mels)
        facts, files = keras_trunk.export_trunk(model, name, learned=False)
        embedding = Embedding(spec=spec, pooling=Pooling(statistics="none"), trunks=(facts,))
        write_trunk_bundle(str(place), embedding, files)
    if list(WHEELS.glob("musicnn-*.whl")) and not (work / "inference" / "musicnn-msd").exists():
        from models.trunks.musicnn import write_musicnn_bundle
        from models.trunks.musicnn_package import read_package

        for checkpoint in read_package(WHEELS):
            if checkpoint.dataset == "msd":  # both are one network with other weights
                write_musicnn_bundle(str(work / "inference" / "musicnn-msd"), checkpoint)


def measure(work: Path, engine: str) -> dict[str, Any]:
    """Start, memory and patches a second of one engine."""
    start = time.perf_counter()
    from models.embedding.embedder import BATCH
    from models.trunks.loading import load_embedder

    places = sorted(place.parent for place in (work / "inference").glob("*/bundle.json"))
    first = load_embedder(str(work / "inference" / "compact"), inference=engine)
    patches = np.random.default_rng(0).normal(-40, 10, (BATCH, 187, 96)).astype(np.float32)
    first.embed_patches(patches)
    found: dict[str, Any] = {
        "start_s": time.perf_counter() - start,
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    embedders = {place.name: load_embedder(str(place), inference=engine) for place in places}
    found["rates"] = {name: _rate(embedder, patches) for name, embedder in embedders.items()}
    return found


def _rate(embedder: Any, patches: np.ndarray) -> float:
    """Patches a second of processor time, which a busy machine changes little, after a batch that warms up."""
    embedder.embed_patches(patches)
    calls, start = 0, time.process_time()
    while calls < 2 or time.process_time() - start < SECONDS:
        embedder.embed_patches(patches)
        calls += 1
    return calls * len(patches) / (time.process_time() - start)


if __name__ == "__main__":
    folder, what = Path(sys.argv[1]), sys.argv[2]
    print("{}" if what == "make" and make(folder) is None else json.dumps(measure(folder, what)))
