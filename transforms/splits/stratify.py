"""Stratified splits of groups: tags get their shares on every side, groups are not divided, old groups do not move.

This is iterative stratification after Sechidis, Tsoumakas and Vlahavas (2011), on groups instead of examples. The
rarest remaining tag comes first. Its groups, from the largest on, go to the side that lacks most of that tag. Groups
with many tags leave some tags uneven. Afterwards, groups therefore change sides one by one, from the largest on, as
long as this reduces the deviation of all tags from their shares.
"""

import dataclasses
import heapq

import numpy as np
import numpy.typing as npt

from transforms.splits.by_artist import SPLITS, SplitRatios
from transforms.splits.survey import Int64Array, TagRows

Int32 = npt.NDArray[np.int32]
Float64 = npt.NDArray[np.float64]

OPEN = -1
"""Side of a track or group that has no side yet."""

OUT = len(SPLITS)
"""Side of a new track whose group has old tracks on more than one side. The track is in no split."""


_SWEEPS = 20
_SIZE_WEIGHT = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TagCounts:
    """Number of tracks of each group that carry each tag, as sparse rows.

    Attributes:
      starts: int64 [groups + 1], start of each group's entries.
      tags: int32 [entries].
      counts: float64 [entries], number of tracks.
      tag_total: number of tags.
    """

    starts: Int64Array
    tags: Int32
    counts: Float64
    tag_total: int

    def of(self, group: int) -> tuple[Int32, Float64]:
        """Tags and counts of one group."""
        at = slice(self.starts[group], self.starts[group + 1])
        return self.tags[at], self.counts[at]

    @property
    def groups(self) -> Int32:
        """Group of each entry."""
        return np.repeat(np.arange(len(self.starts) - 1, dtype=np.int32), np.diff(self.starts))


def count_tags(carried: TagRows, group: Int64Array, groups: int, tags: int) -> TagCounts:
    """Counts the tags of groups of tracks.

    Args:
      carried: tags of each track.
      group: int64 [tracks], group of each track.
      groups: number of groups.
      tags: number of tags.
    """
    sums = carried.sums(group, groups, tags)
    sums.sort_indices()
    return TagCounts(
        starts=sums.indptr.astype(np.int64),
        tags=sums.indices,
        counts=sums.data.astype(np.float64),
        tag_total=tags,
    )


def stratify(
    counts: TagCounts, sizes: Int64Array, sides: npt.NDArray[np.int8], ratios: SplitRatios
) -> npt.NDArray[np.int8]:
    """Assigns each group to a side.

    Ties are decided by the numbers of the groups. The caller must number them independently of the catalog's order.

    Args:
      counts: tags of each group.
      sizes: int64 [groups], number of tracks.
      sides: int8 [groups], the side of groups that already have one, else `OPEN`. These groups do not move, and their
        tracks count.
      ratios: shares of the sides.

    Returns:
      int8 [groups], positions in `SPLITS`; `OUT` for groups that were `OUT`.
    """
    shares = np.array([getattr(ratios, split) for split in SPLITS])
    dealer = _Dealer(counts, sizes, sides.copy(), shares)
    dealer.deal()
    movable = np.flatnonzero(sides == OPEN)
    return _improve(counts, sizes, dealer.sides, movable[np.argsort(-sizes[movable], kind="stable")], shares)


class _Dealer:
    """Assigns groups to sides, and keeps how many tracks of each tag, and in total, each side still lacks."""

    def __init__(self, counts: TagCounts, sizes: Int64Array, sides: npt.NDArray[np.int8], shares: Float64) -> None:
        self._counts, self._sizes, self.sides = counts, sizes, sides
        self._usable = np.flatnonzero(shares > 0)
        groups = counts.groups
        totals: Float64 = np.bincount(counts.tags, counts.counts, minlength=counts.tag_total).astype(np.float64)
        self._wanted = shares[:, None] * totals
        self._room = shares * float(sizes.sum())
        for side in range(len(SPLITS)):
            held = sides[groups] == side
            self._wanted[side] -= np.bincount(counts.tags[held], counts.counts[held], minlength=counts.tag_total)
            self._room[side] -= float(sizes[sides == side].sum())
        is_open = sides[groups] == OPEN
        left = np.bincount(counts.tags[is_open], counts.counts[is_open], minlength=counts.tag_total)
        self._left: Float64 = left.astype(np.float64)
        # Groups of each tag, those with most tracks of that tag first, equal ones in order of their numbers.
        self._entries = np.lexsort((groups, -counts.counts, counts.tags))
        self._tag_starts = np.searchsorted(counts.tags[self._entries], np.arange(counts.tag_total + 1))
        self._entry_groups = groups

    def deal(self) -> None:
        """Assigns the groups of each tag, the rarest remaining tag first, then the groups without tags."""
        waiting = [(count, tag) for tag, count in enumerate(self._left.tolist()) if count > 0]
        heapq.heapify(waiting)
        while waiting:
            count, tag = heapq.heappop(waiting)
            left = float(self._left[tag])
            if left <= 0:
                continue
            if left < count:  # groups of other tags also carried it: it may now be rarer than the next tag
                heapq.heappush(waiting, (left, tag))
                continue
            self._deal_tag(tag)
        for group in np.flatnonzero(self.sides == OPEN)[np.argsort(-self._sizes[self.sides == OPEN], kind="stable")]:
            self._give(int(group), int(self._usable[np.argmax(self._room[self._usable])]))

    def _deal_tag(self, tag: int) -> None:
        entries = self._entries[self._tag_starts[tag] : self._tag_starts[tag + 1]]
        for group in self._entry_groups[entries].tolist():
            if self.sides[group] == OPEN:
                self._give(group, self._side_that_lacks(tag))

    def _side_that_lacks(self, tag: int) -> int:
        """The side that lacks most of this tag; among equal ones, the side with most room."""
        return int(max(self._usable, key=lambda side: (self._wanted[side, tag], self._room[side], -side)))

    def _give(self, group: int, side: int) -> None:
        tags, counts = self._counts.of(group)
        self.sides[group] = side
        self._wanted[side, tags] -= counts
        self._room[side] -= float(self._sizes[group])
        self._left[tags] -= counts


def _improve(
    counts: TagCounts, sizes: Int64Array, sides: npt.NDArray[np.int8], movable: Int64Array, shares: Float64
) -> npt.NDArray[np.int8]:
    """Moves groups between sides while this reduces the sum of squared deviations, at most `_SWEEPS` times each.

    The size of each side counts like `_SIZE_WEIGHT` tags that every track carries.
    """
    totals = np.bincount(counts.tags, counts.counts, minlength=counts.tag_total)
    held = np.zeros((len(shares), counts.tag_total))
    room = -shares
    groups = counts.groups
    for side in range(len(shares)):
        here = sides[groups] == side
        held[side] = np.bincount(counts.tags[here], counts.counts[here], minlength=counts.tag_total)
        room[side] += sizes[sides == side].sum() / max(sizes.sum(), 1)
    off = held / np.maximum(totals, 1) - shares[:, None]
    parts, part_sizes = counts.counts / totals[counts.tags], sizes / max(sizes.sum(), 1)
    usable = np.flatnonzero(shares > 0)
    for _ in range(_SWEEPS):
        moved = 0
        for group in movable.tolist():
            at = slice(counts.starts[group], counts.starts[group + 1])
            tags, part, size, here = counts.tags[at], parts[at], part_sizes[group], int(sides[group])
            there = off[:, tags]
            change = (there + (part - there[here])) @ part + _SIZE_WEIGHT * size * (size - room[here] + room)
            best = int(usable[np.argmin(change[usable])])
            if best != here and change[best] < -1e-15:
                off[here, tags] -= part
                off[best, tags] += part
                room[here] -= size
                room[best] += size
                sides[group] = best
                moved += 1
        if not moved:
            break
    return sides


def deviations(carried: TagRows, sides: npt.NDArray[np.int8], tags: int, ratios: SplitRatios) -> Float64:
    """Deviation of each side's share of each tag from `ratios`: float64 [sides, tags]; 0 for a tag without tracks.

    Args:
      carried: tags of each track.
      sides: int8 [tracks]. Tracks that are `OUT` count for no side.
      tags: number of tags.
      ratios: shares of the sides.
    """
    inside = np.where(sides < len(SPLITS), sides, -1).astype(np.int64)
    held = carried.sums(inside, len(SPLITS), tags).toarray()
    totals = held.sum(axis=0)
    shares = np.array([getattr(ratios, split) for split in SPLITS])
    deviation: Float64 = np.where(totals > 0, held / np.maximum(totals, 1) - shares[:, None], 0.0)
    return deviation
