"""Throughput of `tag` against a bare loop over the same kernels in the same sandbox.

python -m benchmarks.pipeline CATALOG BUNDLE runs the bare loop.
"""

import concurrent.futures
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from benchmarks import corpus
from benchmarks.processes import Usage, catalog_tagger, run_python
from benchmarks.report import Row
from transforms.features.spec import FeatureSpec

SMALL, LARGE = 128, 640
CHUNK = 64


class Line(NamedTuple):
    """What a command takes: so much to start, and so much for each track."""

    start_s: float
    track_s: float
    track_cpu_s: float


def rows(work: Path, root: Path, repetitions: int = 3) -> list[Row]:
    """Measures the bare loop and `tag`, without and with parameters, in turns on a small and on a large catalog.

    The order changes with each repetition.

    What a track takes is the slope between the two; for `tag` it holds all that grows with the catalog: planning,
    tables and publishing too. What is left at 0 tracks is start-up.
    """
    bundle = corpus.write_bundle(work / "bundle")
    large = corpus.songs_catalog(work / "songs", LARGE)
    catalogs = (corpus.first_rows(large, SMALL), large)
    commands: dict[str, Callable[[Path], Usage]] = {
        "bare": lambda catalog: _bare(catalog, bundle, root),
        "none": lambda catalog: _tag(catalog, bundle, work / "table", root, "none"),
        "default": lambda catalog: _tag(catalog, bundle, work / "table", root, "default"),
    }
    lines: dict[str, list[Line]] = {name: [] for name in commands}
    for repetition in range(repetitions):
        order = sorted(commands, reverse=repetition % 2 > 0)
        usages = [{name: commands[name](catalog) for name in order} for catalog in catalogs]
        for name, found in lines.items():
            found.append(_line(*(usage[name] for usage in usages)))
    return _report(lines["bare"], lines["none"], lines["default"])


def _line(small: Usage, large: Usage) -> Line:
    slope = (large.wall_s - small.wall_s) / (LARGE - SMALL)
    return Line(small.wall_s - SMALL * slope, slope, (large.cpu_s - small.cpu_s) / (LARGE - SMALL))


def _bare(catalog: Path, bundle: Path, root: Path) -> Usage:
    return run_python(["-m", "benchmarks.pipeline", str(catalog), str(bundle)], root)


def _tag(catalog: Path, bundle: Path, table: Path, root: Path, parameters: str) -> Usage:
    shutil.rmtree(table, ignore_errors=True)
    words = ["tag", "--catalog", str(catalog), "--model", str(bundle), "--table", str(table)]
    return catalog_tagger([*words, "--parameters", parameters], root)


def _report(bares: Sequence[Line], tags: Sequence[Line], measuring: Sequence[Line]) -> list[Row]:
    """The rows; `tags` ran without parameters, as the bare loop does, and `measuring` with the default ones."""

    def row(values: Sequence[float], name: str, unit: str, note: str, target: float | None = None) -> Row:
        return Row.of(
            values, benchmark="pipeline", name=name, unit=unit, note=note, target=target, at_least=target is not None
        )

    pairs = list(zip(bares, tags, strict=True))
    return [
        row(
            [100 * bare.track_s / tag.track_s for bare, tag in pairs],
            "Throughput of `tag` against a bare loop over the same kernels in the same sandbox",
            "%",
            f"{LARGE - SMALL} MP3s of 30 s more, start-up apart",
            90,
        ),
        row([100 * bare.track_cpu_s / tag.track_cpu_s for bare, tag in pairs], "The same by processor time", "%", ""),
        row(
            [1 / tag.track_s for tag in tags],
            "`tag --parameters none`, steady state",
            "tracks/s",
            f"stereo MP3s of 30 s, {os.cpu_count()} cores, numpy trunk",
        ),
        row([1 / tag.track_s for tag in measuring], "`tag`, steady state", "tracks/s", "the same with all parameters"),
        row([tag.start_s for tag in tags], "`tag`, start-up", "s", "imports, graph, sandbox"),
    ]


def bare_loop(paths: Sequence[Path], bundle: Path) -> None:
    """Reads, extracts and embeds, and nothing else; the next chunk is extracted while one is embedded."""
    from models.trunks.loading import load_embedder
    from transforms.audio.limits import Limits
    from transforms.extraction.sandbox import Sandbox

    embedder, children = load_embedder(str(bundle)), os.cpu_count() or 1
    with (
        Sandbox(FeatureSpec(), Limits(), children) as sandbox,
        concurrent.futures.ThreadPoolExecutor(2 * children) as threads,
    ):

        def extract(path: Path) -> np.ndarray:
            return sandbox.submit(path.read_bytes()).result().patches

        waiting: Iterator[np.ndarray] = iter(())
        for start in range(0, len(paths), CHUNK):
            found, waiting = waiting, threads.map(extract, paths[start : start + CHUNK])
            embedder.embed(list(found))
        embedder.embed(list(waiting))


def main(catalog: str, bundle: str) -> None:
    uris = pq.read_table(catalog, columns=["uri"])["uri"].to_pylist()
    bare_loop([Path(catalog).parent / uri for uri in uris], Path(bundle))


if __name__ == "__main__":
    main(*sys.argv[1:])
