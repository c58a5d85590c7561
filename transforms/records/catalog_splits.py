"""A stratified split of a whole catalog: which side each track is on, and how even the sides came out."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.records.problems import Problem
from transforms.records.splits import NONE, SPLITS, SplitRatios, assign, group_of
from transforms.records.stratify import OPEN, OUT, count_tags, deviations, stratify
from transforms.records.taxonomy import Taxonomy
from transforms.records.tracks import CatalogShard, read_shard

SIDES = (*SPLITS, NONE)
"""Names of the sides, by number: `OUT` is `none`."""

Hashes = npt.NDArray[np.uint64]
Sides = npt.NDArray[np.int8]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogTags:
    """What a split needs to know of a catalog, a few bytes a track.

    Attributes:
      tracks: uint64 [tracks], hash of each track_id.
      groups: uint64 [tracks], hash of what a track must not be parted from.
      hash_sides: int8 [tracks], the side that the plain hash split would give: for comparison.
      pair_tracks: int64 [pairs], track of each (track, tag) pair, broader tags included.
      pair_tags: int64 [pairs], its tag.
      problems: rows that cannot be read.
    """

    tracks: Hashes
    groups: Hashes
    hash_sides: Sides
    pair_tracks: npt.NDArray[np.int64]
    pair_tags: npt.NDArray[np.int64]
    problems: list[Problem]


def read_tags(
    shards: Iterable[CatalogShard], taxonomy: Taxonomy, ratios: SplitRatios, bytes_column: str | None
) -> CatalogTags:
    """Reads a catalog once.

    Args:
      shards: of the catalog.
      taxonomy: whose tags are to be even.
      ratios: shares of the sides.
      bytes_column: further column with a digest of the audio's bytes: tracks that share it are not parted either.
    """
    meaning = _meanings(taxonomy)
    tracks, groups, digests, sides, pairs = [], [], [], [], []
    problems: list[Problem] = []
    for row in _rows(shards, problems):
        key = group_of(row)
        tags = {tag for entry in row["tags"] or () if entry["weight"] != 0 for tag in meaning(entry["tag"])}
        pairs.append(np.array(sorted(tags), np.int16 if len(taxonomy.tags) < 2**15 else np.int32))
        tracks.append(_hash(row["track_id"]))
        groups.append(_hash(key))
        digests.append(_hash(str(row[bytes_column])) if bytes_column and row[bytes_column] else 0)
        sides.append(SPLITS.index(assign(key, ratios)))
    return CatalogTags(
        tracks=np.array(tracks, np.uint64),
        groups=_joined(np.array(groups, np.uint64), np.array(digests, np.uint64)),
        hash_sides=np.array(sides, np.int8),
        pair_tracks=np.repeat(np.arange(len(pairs)), [len(tags) for tags in pairs]),
        pair_tags=np.concatenate([*pairs, np.array([], np.int16)]).astype(np.int64),
        problems=problems,
    )


def _rows(shards: Iterable[CatalogShard], problems: list[Problem]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        for batch, found in read_shard(shard):
            problems += found
            yield from batch.to_pylist()


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _meanings(taxonomy: Taxonomy) -> Callable[[str], tuple[int, ...]]:
    """What a catalog's tag says: its position and those of its broader tags; nothing for an unknown one."""
    found: dict[str, tuple[int, ...]] = {}

    def meaning(tag: str) -> tuple[int, ...]:
        if tag not in found:
            resolved = taxonomy.resolve(tag)
            place = None if resolved is None else taxonomy.index[resolved]
            found[tag] = () if place is None else (place, *taxonomy.ancestors[place])
        return found[tag]

    return meaning


def _joined(groups: Hashes, digests: Hashes) -> Hashes:
    """Groups that share a digest (0: unknown) become one: the smallest hash of them names it."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, group = np.unique(groups, return_inverse=True)
    known = np.flatnonzero(digests)
    if not len(known):
        return groups
    audio, digest = np.unique(digests[known], return_inverse=True)
    size = len(names) + len(audio)
    links = coo_array((np.ones(len(known), np.int8), (group[known], len(names) + digest)), (size, size))
    parts = connected_components(links, directed=False)[1][: len(names)]
    smallest = np.full(parts.max() + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, parts, names)
    found: Hashes = smallest[parts][group]
    return found


def split_catalog(
    catalog: CatalogTags, taxonomy: Taxonomy, ratios: SplitRatios, previous: dict[int, int] | None = None
) -> Sides:
    """The side of each track.

    Args:
      catalog: from `read_tags`.
      taxonomy: the same.
      ratios: shares of the sides.
      previous: hash of a track_id -> its side in an earlier split: it stays. New tracks join their group's side; where
        old tracks of a group are on two sides, its new ones are `OUT`.

    Returns:
      int8 [tracks], positions in `SIDES`.
    """
    names, group = np.unique(catalog.groups, return_inverse=True)
    old = np.array([(previous or {}).get(int(track), OPEN) for track in catalog.tracks], np.int8)
    fixed = _group_sides(group, old, len(names))
    counts = count_tags(group[catalog.pair_tracks], catalog.pair_tags, len(names), len(taxonomy.tags))
    made = stratify(counts, np.bincount(group, minlength=len(names)), fixed, ratios)
    return np.where(old == OPEN, made[group], old).astype(np.int8)


def _group_sides(group: npt.NDArray[np.int64], old: Sides, groups: int) -> Sides:
    """The side of groups that have old tracks: `OUT` where these are on several, `OPEN` where there are none."""
    on = np.zeros((len(SPLITS), groups), np.bool_)
    for side in range(len(SPLITS)):
        on[side, group[old == side]] = True
    count = on.sum(axis=0)
    found = np.where(count == 0, OPEN, np.where(count > 1, OUT, on.argmax(axis=0)))
    return found.astype(np.int8)


def report(catalog: CatalogTags, sides: Sides, taxonomy: Taxonomy, ratios: SplitRatios) -> dict[str, Any]:
    """How even a split is: tracks and groups of each side, groups on several sides, deviation of each tag's shares."""
    names, group = np.unique(catalog.groups, return_inverse=True)
    on = np.stack([np.bincount(group[sides == side], minlength=len(names)) > 0 for side in range(len(SPLITS))])
    off = _off(catalog, sides, taxonomy, ratios)
    tracks = np.bincount(catalog.pair_tags, minlength=len(taxonomy.tags))
    pairs = np.unique(group[catalog.pair_tracks] * len(taxonomy.tags) + catalog.pair_tags)
    groups = np.bincount(pairs % len(taxonomy.tags), minlength=len(taxonomy.tags))
    return {
        "tracks": {side: int((sides == i).sum()) for i, side in enumerate(SIDES)},
        "groups": {side: int(on[i].sum()) for i, side in enumerate(SPLITS)},
        "groups_on_several_sides": int((on.sum(axis=0) > 1).sum()),
        **_summary(off),
        "hash_split": _summary(_off(catalog, catalog.hash_sides, taxonomy, ratios)),
        "tags": {
            tag: {
                "tracks": int(tracks[i]),
                "groups": int(groups[i]),
                "deviation": {side: round(float(off[s, i]), 4) for s, side in enumerate(SPLITS)},
            }
            for i, tag in enumerate(taxonomy.tag_ids)
        },
    }


def _off(catalog: CatalogTags, sides: Sides, taxonomy: Taxonomy, ratios: SplitRatios) -> npt.NDArray[np.float64]:
    return deviations(sides[catalog.pair_tracks], catalog.pair_tags, len(taxonomy.tags), ratios)


def _summary(off: npt.NDArray[np.float64]) -> dict[str, float]:
    size = np.abs(off)
    return {"mean_deviation": round(float(size.mean()), 4), "worst_deviation": round(float(size.max()), 4)}


def previous_sides(shards: Iterable[CatalogShard], column: str) -> dict[int, int]:
    """Hash of each track_id -> side, from a catalog that was split before.

    Raises:
      ValueError: a word that is no side.
    """
    sides: dict[int, int] = {}
    for shard in shards:
        for batch, _ in read_shard(shard):
            for track, word in zip(batch["track_id"].to_pylist(), batch[column].to_pylist(), strict=True):
                if word not in SIDES:
                    raise ValueError(f"{shard.file.url}: track {track!r} is on side {word!r}: {', '.join(SIDES)}")
                sides[_hash(track)] = SIDES.index(word)
    return sides


def with_sides(shards: Iterable[CatalogShard], sides: Sides, column: str) -> Iterator[pa.RecordBatch]:
    """The catalog's rows in their order with a column that names their side, without file and row."""
    words = pa.array(SIDES, pa.string())
    done = 0
    for shard in shards:
        for batch, _ in read_shard(shard):
            names = batch.schema.names[:-2]
            side = words.take(pa.array(sides[done : done + len(batch)]))
            done += len(batch)
            yield batch.select(names).append_column(column, side)
