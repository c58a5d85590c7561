"""What each trunk costs, and how much of a training step's time the input pipeline takes.

python -m benchmarks.trunks inference    # patches a second of every trunk as tagging runs it: JSON
python -m benchmarks.trunks training     # steps from shards in turns with steps on one batch in memory: JSON
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import run_python
from benchmarks.report import Row
from transforms.features.spec import FeatureSpec

SPEC = FeatureSpec()
TRACKS, SHARD = 64, 8
ROUNDS, TRAINING_ROUNDS = 5, 3
SECONDS = 1.5
"""How long one measurement of one trunk takes, about."""


def rows(work: Path, root: Path) -> list[Row]:
    """One row a trunk with its cost, and the input pipeline against a batch that is there already."""
    inference = _measured("inference", work, root)
    training = _measured("training", work, root)
    found = [_trunk_row(name, facts) for name, facts in inference.items()]
    shares = [100 * real / synthetic for real, synthetic in zip(training["shards"], training["memory"], strict=True)]
    note = "compact, float32, all cores; GPU not measured"
    fields: dict[str, Any] = {"benchmark": "trunks"}
    return [
        *found,
        Row.of(training["memory"], name="Training on one batch in memory", unit="patches/s", note=note, **fields),
        Row.of(shares, name="Training from shards, of that", unit="%", note="same run, in turns", **fields),
        Row.of(
            training["reading"],
            name="Input pipeline alone",
            unit="patches/s",
            note="read, parse, shuffle, augment; all cores",
            **fields,
        ),
    ]


def _measured(what: str, work: Path, root: Path) -> dict[str, Any]:
    """What a process of its own measures: TensorFlow takes its number of threads once."""
    output = run_python(["-m", "benchmarks.trunks", what, str(work)], root).output
    return json.loads(output.splitlines()[-1])


def _trunk_row(name: str, facts: dict[str, Any]) -> Row:
    cost = "nothing learned"
    if facts["parameters"]:
        cost = f"{facts['parameters']:,} parameters, {facts['multiply_adds'] / 1e6:.1f} M multiply-adds a patch"
    note = f"{cost}, {facts['values']} values; one thread, padded batches of 32; GPU not measured"
    return Row.of(facts["rates"], benchmark="trunks", name=f"Trunk {name}", unit="patches/s", note=note)


def inference(work: Path) -> dict[str, Any]:
    """Patches a second of every trunk, measured in turns."""
    from benchmarks.trunk_cost import multiply_adds, parameters
    from models.embedding.embedder import BATCH
    from models.embedding.statistics import LATEST, STATISTICS_BY_VERSION
    from models.trunks import keras_trunk
    from models.trunks import networks as trunks

    keras_trunk.limit_threads(1)
    patches = np.random.default_rng(0).normal(-40, 10, (BATCH, *SPEC.patch_shape)).astype(np.float32)
    found: dict[str, dict[str, Any]] = {}
    run: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    for name, builder in trunks.TRUNKS.items():
        if builder is None:
            run[name] = lambda rows: STATISTICS_BY_VERSION[LATEST](rows, SPEC.compression)
            found[name] = {"parameters": 0, "multiply_adds": 0, "values": len(run[name](patches))}
            continue
        model = builder(SPEC, [-40.0] * SPEC.n_mels, [10.0] * SPEC.n_mels)
        run[name] = keras_trunk.as_function(model)
        costs = {"parameters": parameters(model), "multiply_adds": multiply_adds(model)}
        found[name] = {**costs, "values": model.output_shape[-1]}
    for _ in range(ROUNDS):
        for name, function in run.items():
            found[name].setdefault("rates", []).append(_rate(lambda f=function: f(patches), BATCH))
    return found


def _rate(once: Callable[[], Any], patches: int) -> float:
    """Patches a second of processor time, after a call that warms up: other processes on the machine count less."""
    once()
    calls, start = 0, time.process_time()
    while calls < 2 or time.process_time() - start < SECONDS:
        once()
        calls += 1
    return calls * patches / (time.process_time() - start)


def training(work: Path) -> dict[str, list[float]]:
    """Patches a second of training steps from shards and from memory, and of the input pipeline alone."""
    from models.training import data

    manifest, paths = _dataset(work / "trunks")
    sampling, step, epochs = data.Sampling(patches_per_track=16), _step(manifest), iter(range(10**9))

    def batches() -> Any:
        return data.epoch_batches(paths, manifest, sampling, next(epochs))

    held, steps = next(iter(batches())), data.steps_of_epoch(manifest, sampling)
    found: dict[str, list[float]] = {"shards": [], "memory": [], "reading": []}
    for _ in range(TRAINING_ROUNDS):
        found["memory"].append(_pass((held for _ in range(steps)), step))
        found["shards"].append(_pass(batches(), step))
        found["reading"].append(_pass(batches(), lambda batch: None))
    return found


def _step(manifest: Any) -> Callable[[Any], Any]:
    """A training step of the smallest trunk: the one that waits for its input first."""
    import keras
    import tensorflow as tf

    from models.scoring.heads import layout_of
    from models.training.losses import masked_loss, with_outputs
    from models.trunks import networks as trunks

    layout = layout_of(manifest.taxonomy)
    model = with_outputs(trunks.build_network("compact", SPEC, manifest.mel_mean, manifest.mel_std), layout)
    model.compile(optimizer=keras.optimizers.AdamW(1e-3), loss=[masked_loss(layout)], jit_compile=False)
    step = tf.function(model.train_step)
    return lambda batch: step((batch[0], (batch[1],)))


def _pass(batches: Any, step: Callable[[Any], Any]) -> float:
    """Patches a second of all batches but the first, which starts the pipeline."""
    patches, start = 0, 0.0
    for number, batch in enumerate(batches):
        step(batch)
        if number == 0:
            start = time.perf_counter()
        else:
            patches += len(batch[0])
    return patches / (time.perf_counter() - start)


def _dataset(folder: Path) -> tuple[Any, list[str]]:
    """A training split of noise under the default feature spec, in shards."""
    from pipelines.synthesis.catalog import taxonomy
    from transforms.dataset.manifest import DatasetManifest, ShardEntry
    from transforms.splits.by_artist import SplitRatios
    from transforms.taxonomy.hierarchy import Taxonomy

    known = Taxonomy.from_json(taxonomy())
    folder.mkdir(parents=True, exist_ok=True)
    shards, tags = [], len(known.tags)
    for number in range(TRACKS // SHARD):
        raw = _shard(known, number)
        path = folder / f"train-{number}.tfrecord"
        path.write_bytes(raw)
        digest = hashlib.sha256(raw).hexdigest()
        shards.append(
            ShardEntry(path=path.name, split="train", examples=SHARD, patches=SHARD * 16, bytes=len(raw), sha256=digest)
        )
    manifest = DatasetManifest(
        feature_spec=SPEC,
        taxonomy=known,
        split_ratios=SplitRatios(),
        split_column=None,
        chunk_tracks=SHARD,
        catalog_digest="0" * 64,
        shards=tuple(shards),
        mel_mean=(-40.0,) * SPEC.n_mels,
        mel_std=(10.0,) * SPEC.n_mels,
        splits={"train": TRACKS},
        tag_positive={"train": (1,) * tags},
        tag_known={"train": (TRACKS,) * tags},
        counts={"catalog": TRACKS},
        rejects={},
        none={},
        conflicts={},
        unknown_tags={},
    )
    return manifest, [str(folder / shard.path) for shard in shards]


def _shard(taxonomy: Any, number: int) -> bytes:
    from transforms.dataset.example import Example, encode_example
    from transforms.formats.tfrecord import frame

    rng, tags = np.random.default_rng(number), len(taxonomy.tags)

    def example(track: int) -> Example:
        return Example(
            track_id=f"track-{number}-{track}",
            group=f"artist-{number}-{track}",
            duration_s=48.0,
            patches=rng.normal(-40, 10, (16, *SPEC.patch_shape)).astype(np.float16),
            starts_s=np.arange(16, dtype=np.float32),
            targets=rng.integers(0, 2, tags).astype(np.float32),
            mask=np.ones(tags, np.float32),
            feature_id=SPEC.feature_id,
            taxonomy_id=taxonomy.taxonomy_id,
        )

    return b"".join(frame(encode_example(example(track))) for track in range(SHARD))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    measure = {"inference": inference, "training": training}[sys.argv[1]]
    print(json.dumps(measure(Path(sys.argv[2]))))
