"""Splits at scale: the real MTG-Jamendo, and a synthesised catalog of any size.

python -m benchmarks.split jamendo --meta ../shared/data/meta.tar.gz
python -m benchmarks.split synthetic [--tracks 1600000] [--artists 200000] [--tags 400] [--tags-per-track 10]
python -m benchmarks.split dense     [...] [--tags-per-track 110]    # the split alone, of labels in memory
"""

import argparse
import json
import resource
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.processes import Usage, catalog_tagger
from transforms.catalog.reader import list_shards
from transforms.formats.hashing import bucket_of
from transforms.schemas.catalog import CATALOG
from transforms.splits.by_artist import SplitRatios, split_of
from transforms.splits.stratified import report
from transforms.splits.stratify import OPEN, count_tags, deviations, stratify
from transforms.splits.survey import TagRows, read_labels
from transforms.taxonomy.hierarchy import load_taxonomy

ROOT = Path(__file__).resolve().parent.parent
RATIOS = "0.6,0.2,0.2"
"""What MTG-Jamendo's official splits aim at."""

BATCH = 50_000


def jamendo(meta: Path, folder: Path) -> Iterator[str]:
    """The official split-0, the hash split and ours side by side; then 10 % more tracks."""
    with tarfile.open(meta) as archive:
        archive.extractall(folder, filter="data")
    tables = folder / "meta" / "mtg-jamendo"
    splits = ["--splits", str(tables / "splits" / "split-0" / "autotagging")]
    files = ["--output", f"{folder}/all.parquet", "--taxonomy", f"{folder}/taxonomy.yaml"]
    catalog_tagger(["import", "mtg-jamendo", str(tables / "autotagging_reconstructed.tsv"), *splits, *files], ROOT)
    everything = pq.read_table(folder / "all.parquet").rename_columns({"split": "official"})
    pq.write_table(everything, folder / "all.parquet")
    first = [bucket_of(track, 11) > 0 for track in everything["track_id"].to_pylist()]
    pq.write_table(everything.filter(pa.array(first)), folder / "old.parquet")
    yield from _jamendo_lines(folder, _split(folder, "all", "ours"))
    _split(folder, "old", "before")
    _split(folder, "all", "after", "--previous", f"{folder}/before.parquet")
    yield _growth(folder)


def _jamendo_lines(folder: Path, usage: Usage) -> Iterator[str]:
    ours = json.loads((folder / "ours.json").read_bytes())
    official, plain = _compared(folder, "official"), _compared(folder, None)
    yield f"{sum(ours['tracks'].values()):,} tracks, {len(ours['tags'])} tags, {RATIOS}; {_cost(usage)}"
    lines = [
        ("stratified", ours),
        ("official split-0", official),
        ("hash of the artist", plain),
    ]
    yield f"{'split':<20}{'shared artists':>15}{'mean deviation':>16}{'worst':>8}  at"
    for name, found in lines:
        worst = max(found["tags"], key=lambda tag: max(map(abs, found["tags"][tag]["deviation"].values())))
        shared, mean = found["groups_on_several_sides"], found["mean_deviation"]
        yield f"{name:<20}{shared:>15}{mean:>16.4f}{found['worst_deviation']:>8.4f}  {worst}"


def _compared(folder: Path, column: str | None) -> dict:
    """The report on official sides, or on those of the artist's hash."""
    ratios, taxonomy = SplitRatios.parse(RATIOS), load_taxonomy(f"{folder}/taxonomy.yaml")
    shards = list_shards(f"{folder}/all.parquet")
    catalog = read_labels(shards, taxonomy, lambda row: split_of(row, ratios, column))
    return report(catalog, catalog.sides, taxonomy, ratios)


def _split(folder: Path, source: str, output: str, *flags: str) -> Usage:
    command = ["split", "--catalog", f"{folder}/{source}.parquet", "--taxonomy", f"{folder}/taxonomy.yaml"]
    files = ["--output", f"{folder}/{output}.parquet", "--report", f"{folder}/{output}.json"]
    return catalog_tagger([*command, *files, "--split-ratios", RATIOS, *flags], ROOT)


def _growth(folder: Path) -> str:
    before, after = (_sides(folder / f"{name}.parquet") for name in ("before", "after"))
    moved = sum(after[track] != side for track, side in before.items())
    added = len(after) - len(before)
    out = sum(side == "none" for side in after.values())
    found = json.loads((folder / "after.json").read_bytes())
    return (
        f"{added:,} tracks ({added / len(before):.0%}) added: {moved} old tracks moved, {out} left out, "
        f"{found['groups_on_several_sides']} shared artists, mean deviation {found['mean_deviation']:.4f}, "
        f"worst {found['worst_deviation']:.4f}"
    )


def _sides(path: Path) -> dict[str, str]:
    table = pq.read_table(path, columns=["track_id", "split"])
    return dict(zip(table["track_id"].to_pylist(), table["split"].to_pylist(), strict=True))


def synthetic(args: argparse.Namespace, folder: Path) -> Iterator[str]:
    """`split` and `labels` on a catalog of artists with tastes of their own."""
    write_catalog(folder, args.tracks, args.artists, args.tags, args.tags_per_track)
    usage = _split(folder, "all", "ours")
    found = json.loads((folder / "ours.json").read_bytes())
    size = f"{args.tracks:,} tracks of {args.artists:,} artists, {args.tags} tags, {args.tags_per_track} a track"
    yield f"split: {size}; {_cost(usage)}"
    yield (
        f"{found['groups_on_several_sides']} shared artists, mean deviation {found['mean_deviation']:.5f}, worst "
        f"{found['worst_deviation']:.5f} (hash split: {found['hash_split']['mean_deviation']:.4f}, "
        f"{found['hash_split']['worst_deviation']:.4f})"
    )
    command = ["labels", "--catalog", f"{folder}/all.parquet", "--taxonomy", f"{folder}/taxonomy.yaml"]
    usage = catalog_tagger([*command, "--output", f"{folder}/labels", "--min-artists", "50"], ROOT)
    yield f"labels: {_cost(usage)}"


def dense(args: argparse.Namespace) -> Iterator[str]:
    """Deciding the sides of tracks with very many tags, in this process; reading them is left out."""
    rng = np.random.default_rng(0)
    tracks, artists, per_track = args.tracks, args.artists, args.tags_per_track
    artist, taste = _artists(rng, tracks, artists, args.tags, per_track)
    starts, parts = [np.zeros(1, np.int64)], []
    for first in range(0, tracks, BATCH):
        carried = np.zeros((min(BATCH, tracks - first), args.tags), np.bool_)
        who = artist[first : first + BATCH]
        np.put_along_axis(carried, taste[who[:, None], rng.integers(0, 3 * per_track, (len(who), per_track))], True, 1)
        parts.append(np.nonzero(carried)[1].astype(np.int16))
        starts.append(carried.sum(axis=1).cumsum() + starts[-1][-1])
    rows = TagRows(starts=np.concatenate(starts), tags=np.concatenate(parts))
    del parts
    began = time.perf_counter()
    counts = count_tags(rows, artist, artists, args.tags)
    sides = stratify(counts, np.bincount(artist, minlength=artists), np.full(artists, OPEN, np.int8), SplitRatios())
    off = np.abs(deviations(rows, sides[artist], args.tags, SplitRatios()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield (
        f"{len(rows.tags):,} labels of {tracks:,} tracks, {args.tags} tags, {len(counts.tags):,} pairs of artist and "
        f"tag; {time.perf_counter() - began:.0f} s, peak {peak:,.0f} MiB with the labels; mean deviation "
        f"{off.mean():.5f}, worst {off.max():.5f}"
    )


def _artists(rng: np.random.Generator, tracks: int, artists: int, tags: int, per_track: int) -> tuple:
    """Artist of each track, and the tags that each artist prefers: tag n is n times rarer than the first."""
    frequency = 1 / np.arange(1, tags + 1)
    taste = rng.choice(tags, (artists, 3 * per_track), p=frequency / frequency.sum()).astype(np.int16)
    artist = ((rng.pareto(1.2, tracks) + rng.random(tracks)) * artists / 20).astype(np.int64) % artists
    return artist, taste


def write_catalog(folder: Path, tracks: int, artists: int, tags: int, per_track: int) -> None:
    """Artists of very different sizes, each with tags that it prefers."""
    rng = np.random.default_rng(0)
    ids = [f"tag/t{i:03d}" for i in range(tags)]
    (folder / "taxonomy.yaml").write_text(
        json.dumps({"categories": [{"name": "tag", "kind": "multilabel", "tags": ids}]}), encoding="utf-8"
    )
    artist, taste = _artists(rng, tracks, artists, tags, per_track)
    schema = pa.schema([CATALOG.field(name) for name in ("track_id", "uri", "artist_id", "tags")])
    with pq.ParquetWriter(folder / "all.parquet", schema, compression="zstd") as writer:
        for first in range(0, tracks, BATCH):
            who = artist[first : first + BATCH]
            chosen = taste[who[:, None], rng.integers(0, 3 * per_track, (len(who), per_track))]
            writer.write_table(_rows(first, who, chosen, ids, schema))


def _rows(first: int, who: np.ndarray, chosen: np.ndarray, ids: list[str], schema: pa.Schema) -> pa.Table:
    rows = [np.unique(row) for row in chosen]
    values = pa.array(ids).take(pa.array(np.concatenate(rows)))
    fields = list(schema.field("tags").type.value_type)
    entries = pa.StructArray.from_arrays([values, pa.nulls(len(values), pa.float32())], fields=fields)
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int32)
    numbers = range(first, first + len(who))
    return pa.table(
        [
            pa.array([f"{i:07d}" for i in numbers]),
            pa.array([f"{i % 100}/{i}.mp3" for i in numbers]),
            pa.array([f"artist{a}" for a in who.tolist()]),
            pa.ListArray.from_arrays(pa.array(starts), entries).cast(schema.field("tags").type),
        ],
        schema=schema,
    )


def _cost(usage: Usage) -> str:
    return f"{usage.wall_s:.0f} s ({usage.cpu_s:.0f} s of processor), {usage.tree_mib:,.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("jamendo").add_argument("--meta", type=Path, required=True, help="archive of real metadata")
    for kind, most in (("synthetic", 10), ("dense", 110)):
        made = kinds.add_parser(kind)
        for name, default in (("tracks", 1_600_000), ("artists", 200_000), ("tags", 400), ("tags-per-track", most)):
            made.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="split-") as name:
        for line in _lines(args, Path(name)):
            print(line, flush=True)


def _lines(args: argparse.Namespace, folder: Path) -> Iterator[str]:
    if args.kind == "jamendo":
        return jamendo(args.meta, folder)
    return synthetic(args, folder) if args.kind == "synthetic" else dense(args)


if __name__ == "__main__":
    main()
