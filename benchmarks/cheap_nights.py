"""Bytes that nights write when few tracks change, with the assembly and the writer of `tag`, without audio.

    python -m benchmarks.cheap_nights  # 30 nights of 1 % and of 0.01 %, two buckets of 20,000 tracks

Each night gives some tracks new audio: new embeddings, and so new scores. They are spread evenly over all buckets,
artists and albums. 33 tags, 256 embedding values, artists of 20 tracks and albums of 10.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import Bundle
from transforms.aggregates.files import pieces_of_bucket, write_groups
from transforms.aggregates.pieces import split_pieces, tag_keys, with_numbers
from transforms.features.spec import FeatureSpec
from transforms.formats.arrow import group_numbers
from transforms.formats.hashing import digest, short_id
from transforms.levels.writing import Compaction
from transforms.publishing.commit import publish
from transforms.publishing.gates import GateLimits
from transforms.schemas.catalog import CATALOG
from transforms.schemas.tables import GROUPED_BY
from transforms.table.snapshots import Run, Snapshot
from transforms.table.versions import open_table
from transforms.tagging.assembly import PublishedRows, assemble_bucket, score_bucket
from transforms.tagging.bucket_files import write_bucket, write_table_file
from transforms.tagging.outcomes.prior import OUTCOME, PriorOutcomes
from transforms.tagging.tagger import ids_of
from transforms.taxonomy.hierarchy import Taxonomy

TAGS, DIM = 33, 256
ARTIST_TRACKS, ALBUM_TRACKS = 20, 10


class Night(NamedTuple):
    """One night.

    Attributes:
      written: bytes of all files that it wrote: of tables, and for readers of Iceberg.
      rewrite: bytes of all tables.
      files: number of files of its snapshot.
      positions: bytes of `written` that are position deletes.
      metadata: bytes of `written` that are Iceberg's metadata.
    """

    written: int
    rewrite: int
    files: int
    positions: int
    metadata: int

    @property
    def share(self) -> float:
        """Bytes written per byte of a rewrite."""
        return self.written / self.rewrite


@dataclasses.dataclass
class Catalog:
    """Tracks with invented embeddings; `change` gives some of them new ones.

    Args:
      tracks: their number.
      buckets: number of buckets.
    """

    tracks: int
    buckets: int

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(7)
        self.ids = np.array(sorted(digest(str(n))[:16] for n in range(self.tracks)))
        self.bucket = group_numbers(self.ids.tolist(), self.buckets)
        order = self._rng.permutation(self.tracks)
        self.artist, self.album = order // ARTIST_TRACKS, order // ALBUM_TRACKS
        self.version = np.ones(self.tracks, int)
        self.run = np.full(self.tracks, None, object)
        self.embeddings = self._invented(self.tracks)

    def _invented(self, count: int) -> np.ndarray:
        return self._rng.normal(size=(count, DIM)).astype(np.float16).astype(np.float32)

    def change(self, count: int) -> None:
        """Gives so many tracks, chosen at random, new audio."""
        chosen = self._rng.choice(self.tracks, count, replace=False)
        self.version[chosen] += 1
        self.run[chosen] = None
        self.embeddings[chosen] = self._invented(count)

    def inputs(self, bucket: int) -> tuple[pa.Table, pa.Table]:
        """Catalog rows and outcomes of a bucket, sorted by id."""
        own = np.flatnonzero(self.bucket == bucket)
        ids, count = self.ids[own].tolist(), len(own)
        versions = [f"{version}-{track[:8]}" for version, track in zip(self.version[own], ids, strict=True)]
        rows = {
            "track_id": ids,
            "uri": [f"audio/{track[:2]}/{track}.mp3" for track in ids],
            "source_version": versions,
            "artist_id": [f"artist-{n:07d}" for n in self.artist[own]],
            "album_id": [f"album-{n:07d}" for n in self.album[own]],
            "title": [f"Title {track[:6]}" for track in ids],
        }
        offsets = np.arange(count + 1, dtype=np.int32) * DIM
        outcomes = {
            "track_id": ids,
            "source_version": versions,
            "source_bytes": [1_000_000 + int(track[:5], 16) for track in ids],
            "source_sha256": [digest(version) for version in versions],
            "decoded_fraction": [1.0] * count,
            "duration_s": [200.0 + int(track[:2], 16) for track in ids],
            "sample_rate": [44_100] * count,
            "channels": [2] * count,
            "carried": [run is not None for run in self.run[own]],
            "run_id": list(self.run[own]),
            "embedding": pa.ListArray.from_arrays(offsets, self.embeddings[own].reshape(-1)),
        }
        return _table(rows, CATALOG, count), _table(outcomes, OUTCOME, count)


def _table(given: Mapping[str, object], schema: pa.Schema, count: int) -> pa.Table:
    columns = [given.get(field.name, [None] * count) for field in schema]
    arrays = [
        column.cast(field.type) if isinstance(column, pa.Array) else pa.array(column, field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.table(arrays, schema=schema)


def bundle_of(folder: Path) -> Bundle:
    """A bundle with random heads: voice, genres and moods."""
    categories = [
        {"name": "voice", "kind": "binary", "tags": ["voice/vocal", "voice/instrumental"]},
        {"name": "genre", "kind": "multiclass", "tags": [f"genre/g{n:02d}" for n in range(11)]},
        {"name": "mood", "kind": "multilabel", "tags": [f"mood/m{n:02d}" for n in range(TAGS - 13)]},
    ]
    taxonomy = Taxonomy.from_json({"categories": categories})
    return write_fake_bundle(str(folder), taxonomy, FeatureSpec(), patch_dim=DIM // 2)


def publish_night(root: str, catalog: Catalog, bundle: Bundle, parent: Snapshot | None, rule: Compaction) -> Snapshot:
    """Assembles, writes and publishes one night."""
    known = PriorOutcomes(
        root=root,
        parent=parent and parent.number,
        ids=ids_of(bundle),
        due_again=frozenset(),
        buckets=catalog.buckets,
        compaction=rule,
    )
    run_id, publication = short_id("run", str(known.order)), PublishedRows()
    reports = []
    streams: dict[int, dict[str, list[bytes]]] = {}
    for bucket in range(catalog.buckets):
        rows, outcomes = catalog.inputs(bucket)
        scored = score_bucket(rows, outcomes, bundle)
        tables = assemble_bucket(rows, outcomes, {}, bundle, run_id, publication, scored)
        reports.append(write_bucket(known, bucket, tables, run_id))
        for name, pieces in pieces_of_bucket(scored, bundle.taxonomy).items():
            for number, stream in split_pieces(with_numbers(pieces, catalog.buckets)):
                streams.setdefault(number, {key: [] for key in GROUPED_BY})[name].append(stream)
    catalog.run[catalog.run == None] = run_id  # noqa: E711
    files = [file for report in reports for file in report.files]
    files.append(write_table_file(known, -1, "taxonomy", bundle.taxonomy_rows().sort_by("tag"), run_id))
    for number, own in streams.items():
        files += write_groups(known, number, own, tag_keys(bundle.taxonomy), publication, run_id)
    names = ("catalog", "tagged", "carried", "rejected", "unavailable")
    counts = {name: sum(report.counts.get(name, 0) for report in reports) for name in names}
    run = Run(
        run_id=run_id,
        parent=known.parent,
        ids=known.ids,
        counts={**counts, "decoded": counts["tagged"], "reused": 0},
        reasons={},
        options=publication.to_json(),
        files=tuple(files),
    )
    return publish(root, run, GateLimits())


def simulate(
    folder: Path, share: float, *, nights: int, tracks: int, buckets: int, rule: Compaction | None = None
) -> Iterator[Night]:
    """Yields nights after the first one, which writes all tables.

    Args:
      folder: gets the table and the bundle.
      share: share of the tracks that change each night.
      nights: their number.
      tracks: number of tracks.
      buckets: number of buckets.
      rule: when buckets are compacted.
    """
    bundle, catalog, rule = bundle_of(folder / "bundle"), Catalog(tracks, buckets), rule or Compaction()
    root = str(folder / "table")
    open_table(root, buckets)
    snapshot = publish_night(root, catalog, bundle, None, rule)
    whole = sum(file.bytes for file in snapshot.run.files)
    for _ in range(nights):
        catalog.change(round(share * tracks))
        before = _iceberg_bytes(root)
        snapshot = publish_night(root, catalog, bundle, snapshot, rule)
        added = {folder: size - before[folder] for folder, size in _iceberg_bytes(root).items()}
        tables = sum(file.bytes for file in snapshot.run.written)
        yield Night(
            written=tables + sum(added.values()),
            rewrite=whole,
            files=len(snapshot.run.files),
            positions=added["deletes"],
            metadata=added["metadata"],
        )


def _iceberg_bytes(root: str) -> dict[str, int]:
    """Folder -> bytes of its files, of all tables. None of them is ever removed by a night."""
    return {
        folder: sum(path.stat().st_size for path in Path(root).glob(f"iceberg/*/{folder}/*"))
        for folder in ("deletes", "metadata")
    }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--tracks", type=int, default=40_000)
    parser.add_argument("--buckets", type=int, default=2)
    parser.add_argument("--compact-share", type=float, default=Compaction().share)
    args = parser.parse_args()
    print("| changed a night | mean | position deletes | Iceberg's metadata | first night | most later | files |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for share in (0.01, 0.0001):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            rule = Compaction(share=args.compact_share)
            found = list(
                simulate(Path(folder), share, nights=args.nights, tracks=args.tracks, buckets=args.buckets, rule=rule)
            )
        shares = [night.share for night in found]
        positions, metadata = (
            np.mean([getattr(night, name) / night.rewrite for night in found]) for name in ("positions", "metadata")
        )
        print(
            f"| {share:.2%} | {np.mean(shares):.1%} | {positions:.2%} | {metadata:.2%} | {shares[0]:.1%} |"
            f" {max(shares[1:]):.1%} | {found[-1].files} | <!-- {time.monotonic() - began:.0f} s -->",
            flush=True,
        )


if __name__ == "__main__":
    main()
