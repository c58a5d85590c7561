"""Peak memory of `tag`, cost of an unchanged track and size of the tables, on catalogs of many tiny files.

Memory at a million rows is measured on part files of ready embeddings.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks import corpus
from benchmarks.processes import Usage, catalog_tagger
from benchmarks.ready import write_ready
from benchmarks.report import Row
from transforms.schemas.tables import TABLES
from transforms.table.snapshots import Snapshot, current_snapshot

SMALL, LARGE = 1_000, 20_000
READY = (20_000, 1_000_000)
MOST_GROWTH = 1.2


def rows(work: Path, root: Path, repetitions: int = 3) -> list[Row]:
    """Tags both catalogs, each row its own half-second WAV, then the large one again with nothing changed."""
    bundle = corpus.write_bundle(work / "bundle")
    first: dict[int, Usage] = {}
    for count in (SMALL, LARGE):
        catalog = corpus.noises_catalog(work / f"noises-{count}", count)
        table = work / f"table-{count}"
        shutil.rmtree(table, ignore_errors=True)
        command = ["tag", "--catalog", str(catalog), "--model", str(bundle), "--table", str(table)]
        first[count] = catalog_tagger(command, root)
    again = [catalog_tagger(command, root) for _ in range(repetitions)]
    snapshot = _checked(current_snapshot(str(table)))
    measured = [*_memory(first), *_unchanged(again, snapshot), _size(snapshot)]
    return [*measured, *_ready(work, root, bundle)]


def _ready(work: Path, root: Path, bundle: Path) -> list[Row]:
    """Peak memory over part files of ready embeddings, of few and of many rows."""
    peaks = {}
    for count in READY:
        folder = work / f"ready-{count}"
        shutil.rmtree(folder, ignore_errors=True)
        catalog, table = write_ready(folder, str(bundle), count)
        command = ["tag", "--catalog", str(catalog), "--model", str(bundle), "--table", str(table)]
        peaks[count] = catalog_tagger(command, root).tree_mib
        shutil.rmtree(folder)
    few, many = READY
    note = "part files of ready embeddings, buckets of 20,000"
    rows = [
        Row(benchmark="memory", name=f"Peak memory of `tag`, {count:,} rows, nothing decoded", value=peak, unit="MiB")
        for count, peak in peaks.items()
    ]
    ratio = Row(
        benchmark="memory",
        name=f"Peak memory of `tag`: {many:,} rows over {few:,}",
        value=peaks[many] / peaks[few],
        unit="x",
        note=note,
        target=MOST_GROWTH,
    )
    return [*rows, ratio]


def _checked(snapshot: Snapshot | None) -> Snapshot:
    """The last snapshot, in which everything must be carried and nothing decoded."""
    if snapshot is None or snapshot.run.counts["carried"] != LARGE:
        raise RuntimeError(f"the second run should have carried {LARGE} tracks: {snapshot and snapshot.run.counts}")
    return snapshot


def _memory(usages: dict[int, Usage]) -> list[Row]:
    parts = {
        "launcher and worker": "parent_mib",
        "sandbox children": "children_mib",
        "all processes": "tree_mib",
    }
    return [
        Row(
            benchmark="memory",
            name=f"Peak memory of `tag`, {count:,} catalog rows: {part}",
            value=getattr(usage, attribute),
            unit="MiB",
            note="each its own half-second WAV; one bucket" if part == "all processes" else "",
        )
        for count, usage in usages.items()
        for part, attribute in parts.items()
    ]


def _unchanged(again: Sequence[Usage], snapshot: Snapshot) -> list[Row]:
    rows, decoded = snapshot.run.counts["catalog"], snapshot.run.counts["decoded"]
    return [
        Row.of(
            [1000 * usage.wall_s / rows for usage in again],
            benchmark="memory",
            name="Cost of an unchanged track",
            unit="ms",
            target=1,
            note=f"second run on {rows:,} rows, start-up and publishing included, {decoded} decoded",
        )
    ]


def _size(snapshot: Snapshot) -> Row:
    tracks = snapshot.run.counts["catalog"]
    sizes = {table: sum(file.bytes for file in snapshot.files(table)) for table in TABLES}
    tags = sum(file.rows for file in snapshot.files("taxonomy"))
    return Row(
        benchmark="memory",
        name="Parquet of all tables",
        value=sum(sizes.values()) / tracks,
        unit="bytes/track",
        note=f"{tags} tags, {corpus.EMBEDDING_DIM} embedding values; "
        + ", ".join(f"{t} {sizes[t] / tracks:.0f}" for t in TABLES),
    )
