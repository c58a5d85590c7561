"""The stratified split of a whole catalog, and the deviation of its sides from their shares."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.catalog.problems import CatalogError, Problem
from transforms.catalog.reader import CatalogShard
from transforms.schemas.catalog import FILE, ROW, split_column
from transforms.splits.by_artist import SPLITS, SplitRatios
from transforms.splits.stratify import OPEN, OUT, count_tags, deviations, stratify
from transforms.splits.survey import SIDES, CatalogLabels, SideCodes, rows_of
from transforms.splits.unique_ids import hash_of
from transforms.taxonomy.hierarchy import Taxonomy


def split_catalog(
    catalog: CatalogLabels, taxonomy: Taxonomy, ratios: SplitRatios, previous: dict[int, int] | None = None
) -> SideCodes:
    """Assigns each track to a side.

    Tracks of an earlier split keep their side, and new tracks join the side of their group. If artists that share audio
    have old tracks on two sides, new tracks join their artist's side, and new tracks with shared audio are `OUT`. New
    tracks of an artist whose old tracks are on two sides are `OUT`, too.

    Args:
      catalog: from `read_labels`.
      taxonomy: the taxonomy that it was read with.
      ratios: shares of the sides.
      previous: hash of a track_id -> its side in an earlier split.

    Returns:
      int8 [tracks], positions in `SIDES`.
    """
    old = np.array([(previous or {}).get(int(track), OPEN) for track in catalog.tracks], np.int8)
    names, group = np.unique(catalog.groups, return_inverse=True)
    parted = (_group_sides(group, old, len(names)) == OUT)[group]
    old[parted & catalog.shared & (old == OPEN)] = OUT
    names, group = np.unique(np.where(parted, catalog.artists, catalog.groups), return_inverse=True)
    fixed = _group_sides(group, old, len(names))
    counts = count_tags(catalog.carried, group, len(names), len(taxonomy.tags))
    made = stratify(counts, np.bincount(group, minlength=len(names)), fixed, ratios)
    return np.where(old == OPEN, made[group], old).astype(np.int8)


def _group_sides(group: npt.NDArray[np.int64], old: SideCodes, groups: int) -> SideCodes:
    """The side of each group's old tracks: `OUT` if they are on several sides, `OPEN` if there are none."""
    on = np.zeros((len(SPLITS), groups), np.bool_)
    for side in range(len(SPLITS)):
        on[side, group[old == side]] = True
    count = on.sum(axis=0)
    sides = np.where(count == 0, OPEN, np.where(count > 1, OUT, on.argmax(axis=0)))
    return sides.astype(np.int8)


def report(catalog: CatalogLabels, sides: SideCodes, taxonomy: Taxonomy, ratios: SplitRatios) -> dict[str, Any]:
    """Reports tracks and groups of each side, groups on several sides, and the deviation of each tag's shares.

    Groups are artists here. `hash_split` has the deviations of the catalog's own sides, for comparison.
    """
    names, group = np.unique(catalog.artists, return_inverse=True)
    on = np.stack([np.bincount(group[sides == side], minlength=len(names)) > 0 for side in range(len(SPLITS))])
    tags = len(taxonomy.tags)
    off = deviations(catalog.carried, sides, tags, ratios)
    tracks = np.bincount(catalog.carried.tags, minlength=tags)
    groups = np.bincount(count_tags(catalog.carried, group, len(names), tags).tags, minlength=tags)
    return {
        "tracks": {side: int((sides == i).sum()) for i, side in enumerate(SIDES)},
        "groups": {side: int(on[i].sum()) for i, side in enumerate(SPLITS)},
        "groups_on_several_sides": int((on.sum(axis=0) > 1).sum()),
        **_summary(off),
        "hash_split": _summary(deviations(catalog.carried, catalog.sides, tags, ratios)),
        "redirected_tags": dict(sorted(catalog.redirected.items())),
        "tags": {
            tag: {
                "tracks": int(tracks[i]),
                "groups": int(groups[i]),
                "deviation": {side: round(float(off[s, i]), 4) for s, side in enumerate(SPLITS)},
            }
            for i, tag in enumerate(taxonomy.tag_ids)
        },
    }


def _summary(off: npt.NDArray[np.float64]) -> dict[str, float]:
    size = np.abs(off)
    return {"mean_deviation": round(float(size.mean()), 4), "worst_deviation": round(float(size.max()), 4)}


def previous_sides(shards: Iterable[CatalogShard], column: str) -> dict[int, int]:
    """Hash of each track_id -> side, from a catalog with an earlier split.

    Raises:
      CatalogError: a value is not the name of a side.
    """
    sides: dict[int, int] = {}
    for batch in rows_of(shards):
        for row in batch.select(["track_id", column, FILE, ROW]).to_pylist():
            if row[column] not in SIDES:
                message = f"{row[column]!r} is not a side: write {', '.join(SIDES)}"
                raise CatalogError([Problem(file=row[FILE], row=row[ROW], column=column, message=message)])
            sides[hash_of(row["track_id"])] = SIDES.index(row[column])
    return sides


def with_sides(shards: Iterable[CatalogShard], sides: SideCodes, column: str) -> Iterator[pa.RecordBatch]:
    """The catalog's rows in their order, with a column for their side and without file and row."""
    words = pa.array(SIDES, pa.string())
    done = 0
    for batch in rows_of(shards):
        side = words.take(pa.array(sides[done : done + len(batch)]))
        done += len(batch)
        yield batch.select(batch.schema.names[:-2]).append_column(split_column(column), side)
