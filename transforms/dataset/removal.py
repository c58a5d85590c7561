"""Takes tracks out of a finished dataset: shards and lists are written again, and the manifest with its sums.

New shards come first, then the manifest; then the old shards and the reports of chunks go. A stopped removal is
repeated.
What the manifest counts of tracks by name cannot be told afterwards, and stays: `unknown_tags`, `groups`,
`catalog_digest`.
"""

import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.dataset.example import Example, encode_example
from transforms.dataset.labels import shard_examples
from transforms.dataset.manifest import (
    CONFLICTS_FILE,
    DATASET_FILE,
    REJECTS,
    TIED,
    DatasetError,
    DatasetManifest,
    ShardEntry,
    list_digest,
    read_list,
    read_manifest,
)
from transforms.dataset.page import write_dataset_page
from transforms.dataset.shards import WORK_FOLDER
from transforms.dataset.stats import DatasetStats, split_columns
from transforms.formats.documents import parse_json
from transforms.formats.parquet import parquet_bytes, read_parquet
from transforms.formats.sealing import open_sealed, sealed_bytes
from transforms.formats.tfrecord import frame
from transforms.splits.by_artist import SPLITS

INTENT = "removal.json"
"""Digests of the lists that a removal is about to write, so that a stopped one can be repeated."""

_SHARD = re.compile(rf"({'|'.join(SPLITS)})-[0-9a-f]{{24}}\.tfrecord")
_REPORT = re.compile(r"[0-9a-f]{24}\.json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetFindings:
    """Where tracks are in a dataset.

    Attributes:
      shards: path -> number of examples of the tracks, for listed shards that have any.
      listed: file of a list -> number of rows of the tracks, for those that have any.
      unlisted: shards that the manifest does not list: left by a stopped removal.
      reports: reports of chunks that name one of the tracks, or are damaged.
      stopped: whether a removal was stopped while it wrote the lists.
      ids: the tracks that were found.
      examples: number of examples that were read.
    """

    shards: dict[str, int]
    listed: dict[str, int]
    unlisted: tuple[str, ...]
    reports: tuple[str, ...]
    stopped: bool
    ids: frozenset[str]
    examples: int

    @property
    def found(self) -> int:
        """Number of examples, rows and reports that name one of the tracks, and of shards that nobody lists."""
        rows = sum(self.shards.values()) + sum(self.listed.values())
        return rows + len(self.unlisted) + len(self.reports) + int(self.stopped)


def find_examples(dataset: str, ids: frozenset[str]) -> DatasetFindings:
    """Reads every shard, list and report of a dataset.

    Raises:
      DatasetError: the dataset is unfinished or damaged.
    """
    manifest, wanted = read_manifest(dataset), pa.array(sorted(ids), pa.string())
    shards, listed, found, examples = dict[str, int](), dict[str, int](), set[str](), 0
    for shard in manifest.shards:
        own = [example.track_id for example in shard_examples(dataset, shard)]
        examples += len(own)
        if here := [track for track in own if track in ids]:
            shards[shard.path] = len(here)
            found.update(here)
    for name in _list_names(dataset):
        tracks = _read_list(dataset, manifest, name)["track_id"]
        if here := tracks.filter(pc.is_in(tracks, value_set=wanted)).to_pylist():
            listed[name] = len(here)
            found.update(here)
    paths = {shard.path for shard in manifest.shards} - shards.keys()
    names = (file.url.rpartition("/")[2] for file in storage.list_folder(dataset))
    unlisted = [name for name in names if _SHARD.fullmatch(name) and name not in paths | shards.keys()]
    return DatasetFindings(
        shards=shards,
        listed=listed,
        unlisted=tuple(unlisted),
        reports=tuple(_reports(dataset, ids)),
        stopped=storage.exists(storage.join(dataset, INTENT)),
        ids=frozenset(found),
        examples=examples,
    )


def _reports(dataset: str, ids: frozenset[str]) -> Iterator[str]:
    """Reports of chunks that name one of the tracks, or that are damaged."""
    for file in storage.list_folder(storage.join(dataset, WORK_FOLDER)):
        name = file.url.rpartition("/")[2]
        if _REPORT.fullmatch(name):
            try:
                outcomes = parse_json(storage.read_bytes(file.url))["outcomes"]
                named = any(outcome["track_id"] in ids for outcome in outcomes)
            except (ValueError, TypeError, LookupError):  # damaged: it counts as absent, and names nobody knows whom
                named = True
            if named:
                yield f"{WORK_FOLDER}/{name}"


def take_out(dataset: str, ids: frozenset[str], found: DatasetFindings) -> dict[str, Any]:
    """Takes the tracks out of a dataset; returns what was written again and removed."""
    manifest, stats = read_manifest(dataset), DatasetStats()
    shards, names = list[ShardEntry](), dict[str, str | None]()
    for shard in manifest.shards:
        kept = [example for example in shard_examples(dataset, shard) if example.track_id not in ids]
        for example in kept:
            stats.add_example(shard.split, example, (), ())
        if shard.path not in found.shards:
            shards.append(shard)
            continue
        names[shard.path] = None
        if kept:
            shards.append(_write_shard(dataset, shard, kept))
            names[shard.path] = shards[-1].path
    if found.shards or found.listed or found.stopped:
        changed = _summed(stats, manifest, _without_listed(dataset, manifest, ids))
        changed = dataclasses.replace(changed, shards=tuple(sorted(shards, key=lambda one: one.path)))
        storage.write_bytes(storage.join(dataset, DATASET_FILE), sealed_bytes(changed.to_json()))
        write_dataset_page(dataset, changed)
        storage.delete(storage.join(dataset, INTENT))
    current = {one.path for one in shards}
    removed = [path for path in (*found.shards, *found.unlisted, *found.reports) if path not in current]
    for path in removed:
        storage.delete(storage.join(dataset, path))
    return {"dataset": dataset, "shards": names, "lists": found.listed, "removed": removed}


def _write_shard(dataset: str, shard: ShardEntry, kept: list[Example]) -> ShardEntry:
    """Writes the examples as a new shard, named by its bytes."""
    data = b"".join(frame(encode_example(example)) for example in kept)
    sha256 = hashlib.sha256(data).hexdigest()
    path = f"{shard.split}-{sha256[:24]}.tfrecord"
    storage.write_bytes(storage.join(dataset, path), data)
    patches = sum(len(example.patches) for example in kept)
    return ShardEntry(path=path, split=shard.split, examples=len(kept), patches=patches, bytes=len(data), sha256=sha256)


def _without_listed(dataset: str, manifest: DatasetManifest, ids: frozenset[str]) -> DatasetManifest:
    """The manifest with digests and counts of lists that are written again without the tracks."""
    lists = {name: _kept(_read_list(dataset, manifest, name), ids) for name in _list_names(dataset)}
    digests = {name: list_digest(rows) for name, rows in lists.items()}
    storage.write_bytes(storage.join(dataset, INTENT), sealed_bytes({"lists": digests}))
    for name, rows in lists.items():
        storage.write_bytes(storage.join(dataset, name), parquet_bytes(rows.replace_schema_metadata(), ids={}))
    changed = dataclasses.replace(manifest, lists={name: digests[name] for name in manifest.lists})
    if REJECTS in lists:
        reasons = Counter(lists[REJECTS]["reason"].to_pylist())
        none = {name: reasons[TIED] if name == TIED else count for name, count in manifest.none.items()}
        rejects = {reason: reasons[reason] for reason in manifest.rejects if reasons[reason]}
        changed = dataclasses.replace(changed, rejects=rejects, none=none)
    if CONFLICTS_FILE in lists:
        found = Counter(lists[CONFLICTS_FILE]["category"].to_pylist())
        conflicts = {category: found[category] for category in manifest.conflicts if found[category]}
        changed = dataclasses.replace(changed, conflicts=conflicts)
    return changed


def _kept(rows: pa.Table, ids: frozenset[str]) -> pa.Table:
    return rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=pa.array(sorted(ids), pa.string()))))


def _list_names(dataset: str) -> list[str]:
    return [name for name in (REJECTS, CONFLICTS_FILE) if storage.exists(storage.join(dataset, name))]


def _read_list(dataset: str, manifest: DatasetManifest, name: str) -> pa.Table:
    """The rows of a list, which a stopped removal may have written again already."""
    try:
        return read_list(dataset, manifest, name)
    except DatasetError:
        url, intent = storage.join(dataset, name), storage.join(dataset, INTENT)
        if storage.exists(intent):
            planned = open_sealed(storage.read_bytes(intent)).fields["lists"]
            if list_digest(rows := read_parquet(url)) == planned.get(name):
                return rows
        raise


def _summed(stats: DatasetStats, manifest: DatasetManifest, changed: DatasetManifest) -> DatasetManifest:
    """The manifest with the sums over all examples that are left."""
    tags = len(manifest.taxonomy.tags)
    mean, std = stats.mel_moments()
    splits = {split: stats.splits[split] for split in manifest.splits}
    now = {
        "examples": sum(splits.values()),
        "rejected": sum(changed.rejects.values()),
        "none": sum(changed.none.values()),
    }
    before = {
        "examples": sum(manifest.splits.values()),
        "rejected": sum(manifest.rejects.values()),
        "none": sum(manifest.none.values()),
    }
    lost = sum(before.values()) - sum(now.values())
    counts = {**manifest.counts, **{name: count for name, count in now.items() if name in manifest.counts}}
    return dataclasses.replace(
        changed,
        mel_mean=mean,
        mel_std=std,
        splits=splits,
        tag_positive=split_columns(stats.positive, tags),
        tag_known=split_columns(stats.known, tags),
        counts=counts | {"catalog": manifest.counts["catalog"] - lost},
    )
