"""Assigns sides to labelled tracks by a bundle's split, with the same rules as `prepare`."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import pyarrow.compute as pc

from models.bundles.split_record import Sides, SplitRow
from transforms.splits.by_artist import NONE, SPLITS, SplitRatios, tied_sides
from transforms.table.reader import SnapshotReader


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeptSplit:
    """The side of each labelled track.

    Attributes:
      sides: track_id -> side; `none` for excluded tracks.
      new: tracks on a side that the bundle's split did not decide.
    """

    sides: Mapping[str, str]
    new: frozenset[str]


def keep_split(
    labels: Iterable[tuple[str, str, str | None]],
    known: Sides,
    learned: Iterable[SplitRow],
    snapshot: SnapshotReader,
    ratios: SplitRatios,
) -> KeptSplit:
    """Sides by a bundle's split. Tracks whose bytes are on more than one side are excluded from all of them.

    Args:
      labels: track_id, group and official side of each labelled track.
      known: the bundle's split.
      learned: the tracks that its trunks were trained on. Their bytes count too, even without labels.
      snapshot: a snapshot of the table; its ledger has the digests.
      ratios: shares of the sides, for groups that the bundle's split does not contain.
    """
    found = {track: known.of(track, group, official, ratios) for track, group, official in labels}
    sides = {track: side for track, (side, _) in found.items()}
    split = {track: side for track, _, side in learned} | {t: side for t, side in sides.items() if side != NONE}
    for track in _tied(snapshot, split):
        sides[track] = NONE
    new = (track for track, (_, decided) in found.items() if not decided and sides[track] in SPLITS)
    return KeptSplit(sides={track: sides[track] for track in found}, new=frozenset(new))


def _tied(snapshot: SnapshotReader, sides: Mapping[str, str]) -> Iterator[str]:
    """The tracks whose bytes are on more than one side."""
    digests = dict(_digests(snapshot, sides))
    tied = tied_sides((digest, sides[track]) for track, digest in digests.items())
    return (track for track, digest in digests.items() if digest in tied)


def _digests(snapshot: SnapshotReader, tracks: Iterable[str]) -> Iterator[tuple[str, str]]:
    """track_id and SHA-256 of the bytes, for each of these tracks that is not rejected."""
    for rows in snapshot.batches("ledger", ["track_id", "status", "source_sha256"], track_ids=tracks):
        rows = rows.filter(pc.and_(pc.not_equal(rows["status"], "rejected"), pc.is_valid(rows["source_sha256"])))
        yield from zip(rows["track_id"].to_pylist(), rows["source_sha256"].to_pylist(), strict=True)
