"""Three commands on one large table: `tag` with a new head, `diff` of both snapshots, `tag` after 1 % changed.

The first snapshot and the part files of the changed tracks are filled by the production writers, from ready embeddings,
so that nothing is decoded. The audio files do not exist: a run that opened one would reject its track.

python -m benchmarks.scale --tracks 1000000
"""

import argparse
import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corpus import EMBEDDING_DIM
from benchmarks.processes import Usage, catalog_tagger
from benchmarks.projection import PER_TRACK, TRACKS_ROW
from benchmarks.ready import publish_ready, write_parts
from benchmarks.report import Row
from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import Bundle, load_bundle
from models.bundles.trunk_bundle import read_file
from models.bundles.writing import write_bundle
from transforms.features.spec import FeatureSpec
from transforms.table.snapshots import Snapshot, current_snapshot
from transforms.taxonomy.hierarchy import Taxonomy

ROOT = Path(__file__).resolve().parent.parent
TRACKS = 1_000_000
SHARE = 100
"""One of so many tracks changes in a night: 1 %."""
DIFF_MIB = 4_000_000_000 / 2**20
CATEGORIES = {"genre": ("multiclass", 20), "mood": ("multilabel", 40), "instrument": ("multilabel", 50)}
TRACE = ("strace", "--follow-forks", "--seccomp-bpf", "--trace=open,openat,openat2", "--quiet=all", "--output")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Night:
    """What one command took, and what it left.

    Attributes:
      written: bytes of the table after it, less those before it.
      snapshot: the newest snapshot after it.
    """

    usage: Usage
    written: int
    snapshot: Snapshot


def rows(work: Path, root: Path, tracks: int = TRACKS) -> list[Row]:
    """Figures of all commands."""
    folder = work / f"scale-{tracks}"
    shutil.rmtree(folder, ignore_errors=True)
    first, second = _bundles(work / "scale-bundles")
    catalog, table = publish_ready(folder, first.url, tracks)
    nights = Nights(catalog, table, root)
    found = list(_new_head(nights.run(second.url, _opens(folder)), folder))
    found += _diff(catalog_tagger(["diff", str(table), "1", "2", "--output", str(folder / "diff")], root), tracks)
    changed, parts = _change(catalog, table, second)
    found.append(_row("Stored bytes: part files", parts / changed, "bytes/track"))
    found += _night(nights.run(second.url), changed, tracks)
    shutil.rmtree(folder)
    return found


class Nights:
    """Runs of `tag` over one catalog into one table."""

    def __init__(self, catalog: Path, table: Path, root: Path) -> None:
        self._words = ["tag", "--catalog", str(catalog), "--table", str(table), "--accept-changes"]
        self._table, self._root = table, root

    def run(self, bundle: str, under: Sequence[str] = ()) -> Night:
        """One run; no track may be decoded or lost.

        Args:
          bundle: URL of the bundle.
          under: a command that runs it.

        Raises:
          RuntimeError: it failed, or the counts are others.
        """
        before = _bytes_under(self._table)
        usage = catalog_tagger([*self._words, "--model", bundle], self._root, under)
        snapshot = current_snapshot(str(self._table))
        if snapshot is None or snapshot.run.counts["decoded"] or snapshot.run.counts["rejected"]:
            raise RuntimeError(f"all tracks should be tagged, and none decoded: {snapshot and snapshot.run.counts}")
        return Night(usage=usage, written=_bytes_under(self._table) - before, snapshot=snapshot)


def _bundles(folder: Path) -> tuple[Bundle, Bundle]:
    """Two bundles of one trunk; the heads of the second are a little different, as after another training."""
    shutil.rmtree(folder, ignore_errors=True)
    categories = [
        {"name": name, "kind": kind, "tags": [f"{name}/tag-{number:02d}" for number in range(count)]}
        for name, (kind, count) in CATEGORIES.items()
    ]
    taxonomy = Taxonomy.from_json({"categories": categories})
    first = write_fake_bundle(str(folder / "first"), taxonomy, FeatureSpec(), patch_dim=EMBEDDING_DIM // 2)
    moved = first.heads.weights * np.random.default_rng(1).normal(1, 0.05, first.heads.weights.shape)
    second = dataclasses.replace(first, heads=dataclasses.replace(first.heads, weights=moved))
    files = {name: read_file(first.url, name, sha256) for name, sha256 in first.files.items() if name != "heads.npz"}
    return load_bundle(str(folder / "first")), write_bundle(str(folder / "second"), second, second, files)


def _change(catalog: Path, table: Path, bundle: Bundle) -> tuple[int, int]:
    """Gives one of `SHARE` tracks a new source, whose part files are there; returns how many, and bytes of these."""
    columns = pq.read_table(catalog)
    names = columns["track_id"].to_pylist()
    versions = ["2" if number % SHARE == 0 else "1" for number in range(len(names))]
    place = columns.schema.get_field_index("source_version")
    pq.write_table(columns.set_column(place, "source_version", pa.array(versions)), catalog)
    write_parts(table, bundle, names[::SHARE], version="2")
    return len(names[::SHARE]), _bytes_under(table / "work")


def _opens(folder: Path) -> tuple[str, ...]:
    """The command that writes down which files a command opens; none where strace is not installed."""
    return (*TRACE, str(folder / "opened.txt")) if shutil.which(TRACE[0]) else ()


def opened(trace: Path) -> tuple[int, int]:
    """How many files a traced command opened or tried to open: those of the catalog's audio, and all."""
    lines = [line for line in trace.read_text(encoding="utf-8", errors="replace").splitlines() if "open" in line]
    return sum("audio/track-" in line for line in lines), len(lines)


def _bytes_under(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _row(name: str, value: float, unit: str, note: str = "", target: float | None = None) -> Row:
    return Row(benchmark="scale", name=name, value=value, unit=unit, note=note, target=target)


def _cpu_ms(usage: Usage, tracks: int) -> float:
    return 1000 * usage.cpu_s / tracks


def _new_head(night: Night, folder: Path) -> Iterator[Row]:
    tracks, trace = night.snapshot.run.counts["catalog"], folder / "opened.txt"
    tags = sum(file.rows for file in night.snapshot.files("taxonomy"))
    yield _row(TRACKS_ROW, tracks, "tracks", f"{tags} tags, {EMBEDDING_DIM} embedding values, ten tracks an artist")
    for name in PER_TRACK:
        size = sum(file.bytes for file in night.snapshot.files(name))
        yield _row(f"Published bytes: `{name}`", size / tracks, "bytes/track")
    yield _row("New head: throughput", tracks / night.usage.wall_s, "tracks/s", f"{tracks:,} tracks, nothing decoded")
    yield _row("New head: processor time", _cpu_ms(night.usage, tracks), "ms/track")
    yield _row("New head: peak memory", night.usage.tree_mib, "MiB")
    yield _row("New head: bytes written", night.written / tracks, "bytes/track")
    if trace.exists():
        audio, files = opened(trace)
        yield _row("New head: audio files opened", audio, "files", f"by strace, of {files:,} opens", 0)


def _diff(usage: Usage, tracks: int) -> Iterator[Row]:
    note = f"{tracks:,} tracks, all scores moved"
    yield _row("`diff` of two snapshots: peak memory", usage.tree_mib, "MiB", note, DIFF_MIB)
    yield _row("`diff` of two snapshots: processor time", _cpu_ms(usage, tracks), "ms/track")


def _night(night: Night, changed: int, tracks: int) -> Iterator[Row]:
    note = f"{changed:,} of {tracks:,} tracks changed, their part files were ready"
    yield _row("Night at 1 %: processor time without extraction", _cpu_ms(night.usage, tracks), "ms/track", note)
    yield _row("Night at 1 %: bytes written", night.written / tracks, "bytes/track")
    yield _row("Night at 1 %: peak memory", night.usage.tree_mib, "MiB")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tracks", type=int, default=TRACKS)
    parser.add_argument("--work", type=Path, default=ROOT / ".bench")
    args = parser.parse_args()
    for row in rows(args.work.resolve(), ROOT, args.tracks):
        print(f"{row.name}: {row.value:.4g} {row.unit} {row.note}")


if __name__ == "__main__":
    main()
