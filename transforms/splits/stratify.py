"""Stratified splits of groups: every tag gets its share on every side, no group is cut, no old track moves.

Iterative stratification after Sechidis, Tsoumakas and Vlahavas (2011), on groups instead of examples: the rarest tag
that is left is dealt first, its largest groups first, each to the side that lacks most of that tag. Groups that carry
many tags leave some of them uneven: afterwards groups change sides one by one, large ones first, as long as that
brings all tags together closer to their shares.
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
"""Side of a track that has none yet."""

OUT = len(SPLITS)
"""Side of a new track whose group has old tracks on more than one side: it stays out."""


_SWEEPS = 20
_SIZE_WEIGHT = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TagCounts:
    """How often each group carries each tag, as sparse rows.

    Attributes:
      starts: int64 [groups + 1], where each group's entries start.
      tags: int32 [entries].
      counts: float64 [entries], tracks.
      tag_total: how many tags there are.
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
    """Counts from tracks.

    Args:
      carried: tags of each track.
      group: int64 [tracks], group of each.
      groups: how many groups there are.
      tags: how many tags there are.
    """
    found = carried.sums(group, groups, tags)
    found.sort_indices()
    return TagCounts(
        starts=found.indptr.astype(np.int64),
        tags=found.indices,
        counts=found.data.astype(np.float64),
        tag_total=tags,
    )


def stratify(
    counts: TagCounts, sizes: Int64Array, sides: npt.NDArray[np.int8], ratios: SplitRatios
) -> npt.NDArray[np.int8]:
    """The side of each group.

    Args:
      counts: tags of each group.
      sizes: int64 [groups], tracks.
      sides: int8 [groups], the side of groups that have one already, else `OPEN`. They stay, and what they hold
        counts. Groups are numbered in an order that does not depend on the catalog's: ties are decided by it.
      ratios: shares of the sides.

    Returns:
      int8 [groups], positions in `SPLITS`, and `OUT` where it was given.
    """
    shares = np.array([getattr(ratios, split) for split in SPLITS])
    dealer = _Dealer(counts, sizes, sides.copy(), shares)
    dealer.deal()
    movable = np.flatnonzero(sides == OPEN)
    return _improve(counts, sizes, dealer.sides, movable[np.argsort(-sizes[movable], kind="stable")], shares)


class _Dealer:
    """Deals groups to sides; keeps what each side still wants of each tag, and of tracks."""

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
        # Groups of each tag, largest share of that tag first; equal ones in order of their numbers.
        self._entries = np.lexsort((groups, -counts.counts, counts.tags))
        self._tag_starts = np.searchsorted(counts.tags[self._entries], np.arange(counts.tag_total + 1))
        self._entry_groups = groups

    def deal(self) -> None:
        """Tag by tag, the rarest that is left first; then the groups without any tag."""
        waiting = [(count, tag) for tag, count in enumerate(self._left.tolist()) if count > 0]
        heapq.heapify(waiting)
        while waiting:
            count, tag = heapq.heappop(waiting)
            left = float(self._left[tag])
            if left <= 0:
                continue
            if left < count:  # other tags' groups took some of it: it may be rarer than the next one now
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
        """The side that wants most of this tag; of equal ones the one with most room."""
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
    """Moves groups as long as the sum of squared deviations from the shares falls, at most `_SWEEPS` times each.

    The sizes of the sides count like `_SIZE_WEIGHT` tags that every track carries.
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
    """How far each side's share of each tag is from what was asked: float64 [sides, tags], 0 where nobody carries it.

    Args:
      carried: tags of each track.
      sides: int8 [tracks]; tracks that are out count for no side.
      tags: how many tags there are.
      ratios: shares of the sides.
    """
    inside = np.where(sides < len(SPLITS), sides, -1).astype(np.int64)
    held = carried.sums(inside, len(SPLITS), tags).toarray()
    totals = held.sum(axis=0)
    shares = np.array([getattr(ratios, split) for split in SPLITS])
    found: Float64 = np.where(totals > 0, held / np.maximum(totals, 1) - shares[:, None], 0.0)
    return found
