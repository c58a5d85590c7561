"""All labels of a catalog in memory, a few bytes per track, for splits and for the report on labels."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.catalog import limits
from transforms.catalog.problems import FirstProblems, Problem, ProblemSample
from transforms.catalog.reader import CatalogShard, read_shard
from transforms.schemas.catalog import FILE, ROW
from transforms.schemas.reports import LABEL_CONFLICTS
from transforms.splits.by_artist import NONE, SPLITS, group_of
from transforms.splits.unique_ids import hash_of, repeated_in
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.targets import encode_targets

SIDES = (*SPLITS, NONE)
"""Names of the sides, in the order of their numbers."""

MOST_UNKNOWN = 10_000
"""Most names of unknown tags that are counted."""

MOST_CONFLICTS = 1_000_000
"""Most conflicts that are listed. All of them are counted."""

_BATCH = 10_000

Hashes = npt.NDArray[np.uint64]
Int64Array = npt.NDArray[np.int64]
SideCodes = npt.NDArray[np.int8]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TagRows:
    """The tags that each track carries, as sparse rows.

    Attributes:
      starts: int64 [tracks + 1], start of each track's tags.
      tags: integers [pairs], ascending within a track.
    """

    starts: Int64Array
    tags: npt.NDArray[np.integer[Any]]

    @property
    def tracks(self) -> int:
        """Number of tracks."""
        return len(self.starts) - 1

    def sums(self, rows: Int64Array, count: int, tags: int) -> Any:
        """Number of tracks that carry each tag, per group of tracks: a sparse int32 array [count, tags].

        Args:
          rows: int64 [tracks], group of each track; negative for a track in no group.
          count: number of groups.
          tags: number of tags.
        """
        from scipy.sparse import csr_array

        order = np.argsort(rows, kind="stable")
        order = order[np.searchsorted(rows[order], 0) :]
        starts = np.searchsorted(rows[order], np.arange(count + 1))
        ones = np.broadcast_to(np.int32(1), len(self.tags))
        carried = csr_array((ones, self.tags.astype(np.int32), self.starts), (self.tracks, tags))
        gathered = csr_array((np.ones(len(order), np.int32), order, starts), (count, self.tracks))
        return gathered @ carried


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogLabels:
    """The labels of a whole catalog.

    Attributes:
      tracks: uint64 [tracks], hash of each track_id.
      artists: uint64 [tracks], hash of the track's `group_key`.
      groups: uint64 [tracks], hash of the group that a split keeps together: artists that share audio are one group.
      shared: bool [tracks], whether another artist has a track with the same audio.
      sides: int8 [tracks], positions in `SIDES`.
      carried: tags of each track with a target over 0.
      known: bool [tracks, categories], whether the category is known for the track.
      weights: float64 [tags], sum of the targets.
      conflicts: `LABEL_CONFLICTS` rows of the first conflicts.
      conflict_counts: category -> number of all its conflicts.
      unknown: tags that the taxonomy does not have -> number of tracks; the first `MOST_UNKNOWN` names, cut if long.
      redirected: earlier ids of tags that were replaced -> number of tracks.
      problems: number of the problems of rows that cannot be read, and the first of them.
    """

    tracks: Hashes
    artists: Hashes
    groups: Hashes
    shared: npt.NDArray[np.bool_]
    sides: SideCodes
    carried: TagRows
    known: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float64]
    conflicts: pa.Table
    conflict_counts: Counter[str]
    unknown: Counter[str]
    redirected: Counter[str]
    problems: ProblemSample


def read_labels(
    shards: Iterable[CatalogShard],
    taxonomy: Taxonomy,
    side_of: Callable[[dict[str, Any]], str],
    bytes_column: str | None = None,
) -> CatalogLabels:
    """Reads a catalog once; an id that occurs twice is a problem.

    Args:
      shards: shards of the catalog.
      taxonomy: defines the tags.
      side_of: returns the side of a row. A ValueError becomes a problem of that row.
      bytes_column: further column with a digest of the audio's bytes. Tracks with the same digest are in one group.
    """
    reader, shards = _Reader(taxonomy, side_of, bytes_column), list(shards)
    for shard in shards:
        for batch, problems in read_shard(shard):
            reader.problems.add(problems)
            for row in batch.to_pylist():
                reader.add(row)
    labels = reader.labels()
    reader.problems.add(repeated_in(shards, labels.tracks))
    return dataclasses.replace(labels, problems=reader.problems.sample())


class _Reader:
    """Collects rows one by one."""

    def __init__(self, taxonomy: Taxonomy, side_of: Callable[[dict[str, Any]], str], bytes_column: str | None) -> None:
        self._taxonomy, self._side_of, self._bytes_column = taxonomy, side_of, bytes_column
        self._starts = np.array([part.start for part in taxonomy.slices.values()])
        self._type = np.int16 if len(taxonomy.tags) < 2**15 else np.int32
        self._tracks: list[int] = []
        self._groups: list[int] = []
        self._digests: list[int] = []
        self._sides: list[int] = []
        self._tags: list[npt.NDArray[Any]] = []
        self._known: list[bytes] = []
        self._weights = np.zeros(len(taxonomy.tags))
        self._conflicts: list[dict[str, Any]] = []
        self._conflict_batches: list[pa.RecordBatch] = []
        self._conflict_counts: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._redirected: Counter[str] = Counter()
        self.problems = FirstProblems()

    def add(self, row: dict[str, Any]) -> None:
        try:
            side = self._side_of(row)
        except ValueError as error:
            self.problems.add([Problem(file=row[FILE], row=row[ROW], column=None, message=str(error))])
            return
        said = [(entry["tag"], entry["weight"]) for entry in row["tags"] or ()]
        labels = encode_targets(said, self._taxonomy)
        self._tracks.append(hash_of(row["track_id"]))
        self._groups.append(hash_of(group_of(row)))
        digest = row[self._bytes_column] if self._bytes_column else None
        self._digests.append(hash_of(str(digest)) if digest else 0)
        self._sides.append(SIDES.index(side))
        self._tags.append(np.flatnonzero(labels.targets).astype(self._type))
        self._known.append((np.maximum.reduceat(labels.mask, self._starts) > 0).tobytes())
        self._weights += labels.targets
        self._redirected.update(labels.redirected)
        for tag in labels.unknown:
            self._count_unknown(tag)
        for name in labels.conflicts:
            self._add_conflict(row, name, said)

    def _count_unknown(self, tag: str) -> None:
        name = _cut(tag, limits.NAME_CHARS)
        if name in self._unknown or len(self._unknown) < MOST_UNKNOWN:
            self._unknown[name] += 1

    def _add_conflict(self, row: dict[str, Any], name: str, said: list[tuple[str, float | None]]) -> None:
        self._conflict_counts[name] += 1
        if self._conflict_counts.total() > MOST_CONFLICTS:
            return
        kind = next(category.kind for category in self._taxonomy.categories if category.name == name)
        tags = _cut("|".join(tag if weight is None else f"{tag}:{weight:g}" for tag, weight in said), limits.NAME_CHARS)
        place = {"file": row[FILE], "row": row[ROW]}
        self._conflicts.append({"track_id": row["track_id"], "category": name, "kind": kind, "tags": tags, **place})
        if len(self._conflicts) == _BATCH:
            self._conflict_batches.append(pa.RecordBatch.from_pylist(self._conflicts, schema=LABEL_CONFLICTS))
            self._conflicts = []

    def labels(self) -> CatalogLabels:
        """The labels of all added rows."""
        rest = pa.RecordBatch.from_pylist(self._conflicts, schema=LABEL_CONFLICTS)
        sizes = np.array([len(tags) for tags in self._tags], np.int64)
        artists, digests = np.array(self._groups, np.uint64), np.array(self._digests, np.uint64)
        known = np.frombuffer(b"".join(self._known), np.bool_).reshape(-1, len(self._starts))
        return CatalogLabels(
            tracks=np.array(self._tracks, np.uint64),
            artists=artists,
            groups=joined(artists, digests),
            shared=shared_audio(artists, digests),
            sides=np.array(self._sides, np.int8),
            carried=TagRows(
                starts=np.concatenate([np.zeros(1, np.int64), sizes.cumsum()]),
                tags=np.concatenate([*self._tags, np.array([], self._type)]),
            ),
            known=known,
            weights=self._weights,
            conflicts=pa.Table.from_batches([*self._conflict_batches, rest], LABEL_CONFLICTS),
            conflict_counts=self._conflict_counts,
            unknown=self._unknown,
            redirected=self._redirected,
            problems=self.problems.sample(),
        )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def joined(groups: Hashes, digests: Hashes) -> Hashes:
    """Merges groups that share a digest (0: unknown). The smallest hash of the merged groups is the new one."""
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
    merged: Hashes = smallest[parts][group]
    return merged


def shared_audio(groups: Hashes, digests: Hashes) -> npt.NDArray[np.bool_]:
    """Whether a track of another group has the same digest (0: unknown): bool [tracks]."""
    known = np.flatnonzero(digests)
    audio, digest = np.unique(digests[known], return_inverse=True)
    one = np.zeros(len(audio), np.uint64)
    one[digest] = groups[known]
    several = np.zeros(len(audio), np.bool_)
    several[digest[groups[known] != one[digest]]] = True
    shared = np.zeros(len(groups), np.bool_)
    shared[known] = several[digest]
    return shared


def rows_of(shards: Iterable[CatalogShard]) -> Iterator[pa.RecordBatch]:
    """Yields the catalog's batches without their problems."""
    for shard in shards:
        yield from (batch for batch, _ in read_shard(shard))
