"""Memory of local runs: the catalog waits on disk, and ten times the rows take no more memory."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.ready import write_ready
from models.bundles.fake import write_fake_bundle
from tests.support.bounded import run_bounded
from tests.support.processes import ROOT
from tests.support.tiny import TAXONOMY
from transforms.features.spec import FeatureSpec

ROWS, TITLE_BYTES, BUCKETS = 400_000, 1_000, 16
MEGABYTES = 320
"""Address space, with the stacks of Arrow's threads. The catalog's titles alone take 400 MB."""

GROUPING = """
shards = list_shards(sys.argv[1])
with open_scratch() as scratch:
    rows, problems = GroupedRows(scratch, "rows"), FirstProblems()
    roots = SourceRoots(shards[0].root)
    group_catalog(shards, rows, roots, int(sys.argv[2]), problems, check=lambda bucket, rows: [])
    print(problems.sample().count, sum(piece.num_rows for n in rows.numbers() for piece in rows.pieces(n)))
"""
IMPORTS = """
import sys
from pipelines.launch.allocators import return_freed_memory
return_freed_memory()
from pipelines.waves.catalog_rows import group_catalog
from transforms.catalog.problems import FirstProblems
from transforms.catalog.reader import list_shards
from transforms.formats.grouped_rows import GroupedRows
from transforms.storage import SourceRoots
from transforms.storage.scratch import open_scratch
"""


@pytest.mark.long
def test_a_catalog_is_grouped_in_less_memory_than_it_takes(tmp_path: Path) -> None:
    schema = pa.schema([(name, pa.string()) for name in ("track_id", "uri", "title", "source_version")])
    with pq.ParquetWriter(tmp_path / "catalog.parquet", schema, compression="zstd") as writer:
        for start in range(0, ROWS, 4_000):
            names = [f"track-{number}" for number in range(start, start + 4_000)]
            titles = [name.ljust(TITLE_BYTES, ".") for name in names]
            writer.write_table(pa.table([names, names, titles, ["1"] * len(names)], schema=schema))
    found = run_bounded(GROUPING, str(tmp_path / "catalog.parquet"), str(BUCKETS), megabytes=MEGABYTES, imports=IMPORTS)
    assert MEGABYTES << 20 < ROWS * TITLE_BYTES
    assert found.split() == ["0", str(ROWS)]


PEAKS = """
import sys
from pipelines.launch.allocators import return_freed_memory
return_freed_memory()
from pipelines.cli import main
for catalog, table in zip(sys.argv[2::2], sys.argv[3::2], strict=True):
    assert main(["tag", "--catalog", catalog, "--model", sys.argv[1], "--table", table]) == 0
    lines = open("/proc/self/status").read().splitlines()
    print("peak", next(line.split()[1] for line in lines if line.startswith("VmHWM:")), flush=True)
"""


@pytest.mark.long
def test_ten_times_the_rows_take_no_more_memory(tmp_path: Path) -> None:
    bundle = write_fake_bundle(str(tmp_path / "bundle"), TAXONOMY, FeatureSpec(), patch_dim=256)
    few, many = (write_ready(tmp_path / str(rows), bundle.url, rows, bucket_tracks=500) for rows in (2_000, 20_000))
    command = [sys.executable, "-c", PEAKS, bundle.url, *map(str, (*few, *many))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    peaks = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("peak ")]
    assert peaks[1] <= 1.1 * peaks[0]
