"""`tag` with two MusiCNN networks: peak memory, and how many cores it keeps busy. Needs `make musicnn`.

python -m benchmarks.heavy FOLDER    # writes the bundle with both networks
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import corpus
from benchmarks.processes import catalog_tagger, run_python
from benchmarks.report import Row

WHEELS = Path(".tools/musicnn")
TRACKS = 192
"""Songs of 30 s, up to 9 patches each, in three chunks: an odd number for two cores."""


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
    ]


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
    write_pair(sys.argv[1])
