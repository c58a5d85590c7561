"""`tag` with two MusiCNN networks: peak memory, and how many cores it keeps busy. Needs `make musicnn`.

python -m benchmarks.heavy FOLDER          # writes the bundle with both networks
python -m benchmarks.heavy FOLDER speed    # patches/s of each network with its batch and with 32: JSON
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import corpus
from benchmarks.processes import catalog_tagger, run_python
from benchmarks.report import Row

WHEELS = Path(".tools/musicnn")
TRACKS = 192
"""Songs of 30 s, up to 9 patches each, in three chunks: an odd number for two cores."""

FIXED_BATCH, ROUNDS = 32, 5


def rows(work: Path, root: Path) -> list[Row]:
    """One run; none where the package is missing."""
    if not list(WHEELS.glob("musicnn-*.whl")):
        return []
    bundle, table = work / "musicnn-pair", work / "table-pair"
    run_python(["-m", "benchmarks.heavy", str(bundle)], root)
    catalog = corpus.songs_catalog(work / f"songs-{TRACKS}", TRACKS)
    shutil.rmtree(table, ignore_errors=True)
    usage = catalog_tagger(
        ["tag", "--catalog", str(catalog), "--model", str(bundle), "--table", str(table)],
        root,
    )
    note = f"{TRACKS} MP3s of 30 s, up to 9 patches each; start-up included"
    return [
        Row(
            benchmark="heavy",
            name="Peak memory of `tag` with two MusiCNN networks",
            value=usage.tree_mib,
            unit="MiB",
            note=note,
            target=1024,
        ),
        Row(
            benchmark="heavy",
            name="Processor time of `tag` with two MusiCNN networks over wall time",
            value=usage.cpu_s / usage.wall_s,
            unit=f"of {os.cpu_count()} cores",
            note=note,
        ),
        *_speeds(run_python(["-m", "benchmarks.heavy", str(bundle), "speed"], root).output),
    ]


def _speeds(output: str) -> list[Row]:
    """A row for each network, of the JSON that `measure_speed` printed last."""
    return [
        Row.of(
            found["ratios"],
            benchmark="heavy",
            name=f"`{name}` with its batch of {found['batch']} against batches of {FIXED_BATCH}",
            unit="x",
            note="patches/s of processor time, one thread, in turns",
            target=1.0,
            at_least=True,
        )
        for name, found in json.loads(output.splitlines()[-1]).items()
    ]


def measure_speed(url: str) -> dict[str, dict]:
    """By the name of each network: its batch, and its speed with it over that with 32, in rounds that take turns."""
    from models.bundles.trunk_bundle import load_trunks
    from models.trunks.onnx_trunk import OnnxTrunk

    bundle, measured = load_trunks(url), {}
    patches = np.random.default_rng(0).normal(-40, 9, (FIXED_BATCH, *bundle.spec.patch_shape)).astype(np.float32)
    for trunk in bundle.trunks:
        run = OnnxTrunk(Path(url, trunk.files["onnx"]).read_bytes(), 1)
        run(patches[: trunk.batch])
        ratios = []
        for number in range(ROUNDS):
            sizes = (trunk.batch, FIXED_BATCH) if number % 2 else (FIXED_BATCH, trunk.batch)
            seconds = {size: _processor_s(run, patches, size) for size in sizes}
            ratios.append(seconds[FIXED_BATCH] / seconds[trunk.batch])
        measured[trunk.name] = {"batch": trunk.batch, "ratios": ratios}
    return measured


def _processor_s(run: Callable[[np.ndarray], np.ndarray], patches: np.ndarray, size: int) -> float:
    start = time.process_time()
    for first in range(0, len(patches), size):
        run(patches[first : first + size])
    return time.process_time() - start


def write_pair(url: str) -> None:
    """A bundle with both MusiCNN networks, and heads that nobody fitted."""
    from models.bundles.tagger_bundle import TagFacts, Tagging
    from models.bundles.trunk_bundle import Embedding
    from models.bundles.writing import write_bundle
    from models.embedding.pooling import Pooling
    from models.scoring.heads import Heads
    from models.training.chosen_trunks import choose_trunks
    from models.trunks.musicnn import SPEC, write_musicnn_bundle
    from models.trunks.musicnn_package import read_package

    with tempfile.TemporaryDirectory() as folder:
        bundles = [write_musicnn_bundle(f"{folder}/{one.dataset}", one) for one in read_package(WHEELS)]
        chosen = choose_trunks([one.url for one in bundles], SPEC.feature_id, fine_tune=False, train=_never)
    taxonomy = bundles[0].taxonomy
    embedding = Embedding(spec=SPEC, pooling=Pooling(statistics="none"), trunks=tuple(trunk.facts for trunk in chosen))
    dim, tags = embedding.embedding_dim, len(taxonomy.tag_ids)
    weights = np.random.default_rng(0).normal(0, dim**-0.5, (dim, tags))
    heads = Heads(
        mean=np.zeros(dim),
        scale=np.ones(dim),
        weights=weights,
        bias=np.zeros(tags),
        slope=np.ones(tags),
        offset=np.zeros(tags),
    )
    facts = tuple(TagFacts(tag=tag, threshold=0.5) for tag in taxonomy.tag_ids)
    files = {name: data for trunk in chosen for name, data in trunk.files.items()}
    shutil.rmtree(url, ignore_errors=True)
    write_bundle(
        url,
        embedding,
        Tagging(taxonomy=taxonomy, heads=heads, tags=facts),
        {**files, "MODEL_CARD.md": b"# Both MusiCNN networks, with heads that nobody fitted\n"},
    )


def _never(name: str, model: object) -> None:
    raise AssertionError(f"{name} was trained")


if __name__ == "__main__":
    if sys.argv[2:] == ["speed"]:
        print(json.dumps(measure_speed(sys.argv[1])))
    else:
        write_pair(sys.argv[1])
