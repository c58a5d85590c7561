"""Which labelled tracks a bundle was trained, tuned and tested on: kept in it, so that new heads keep to its split."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Self

import pyarrow as pa

from models.bundles.trunk_bundle import BundleError, TrunkBundle, read_file
from transforms.formats.parquet import parquet_bytes
from transforms.schemas.bundle import BUNDLE_SPLITS
from transforms.splits.by_artist import NONE, SPLITS, SplitRatios, assign

SPLIT_FILE = "splits.parquet"

SplitRow = tuple[str, str, str]
"""track_id, group and side of one track."""

_RANKS: dict[str, int] = {NONE: 0, **{split: rank for rank, split in enumerate(SPLITS)}}
"""The higher, the less a bundle has seen of a side; `none` is a group with tracks on several."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sides:
    """The split of a bundle: side of each of its labelled tracks, and of each of their groups (artists).

    A track that was kept out is on `none`, and so is a group with tracks on several sides: its new tracks stay out.
    """

    tracks: Mapping[str, str]
    groups: Mapping[str, str]

    @classmethod
    def of_rows(cls, rows: Iterable[SplitRow]) -> Self:
        """The sides of tracks, and of their groups."""
        tracks: dict[str, str] = {}
        groups: dict[str, str] = {}
        for track, group, side in rows:
            tracks[track] = side
            if side != NONE and groups.setdefault(group, side) != side:
                groups[group] = NONE
        return cls(tracks=tracks, groups=groups)

    def of(self, track_id: str, group: str, official: str | None, ratios: SplitRatios) -> tuple[str, bool]:
        """The side of a labelled track, and whether the bundle's split decided it.

        Args:
          track_id: the track.
          group: its artist, or what stands for it.
          official: the side that the labels' source gives it; `none` keeps it out whatever the bundle's split says;
            None: by the group's hash.
          ratios: shares of the hash's sides.
        """
        if official == NONE:
            return NONE, False
        known = self.tracks.get(track_id) or self.groups.get(group)
        return (known, True) if known else (official or assign(group, ratios), False)

    def allow(self, track_id: str, group: str, split: str) -> bool:
        """Whether a track may be on a side of another split: the bundle was fitted no more on it, or on its group.

        Training tracks may be training tracks alone, validation tracks no test tracks; test tracks may be any.
        """
        own = self.tracks.get(track_id, NONE)
        side = self.groups.get(group) if own == NONE else own
        return side is None or _RANKS[split] <= _RANKS[side]


def to_bytes(splits: Mapping[str, Iterable[tuple[str, str]]], earlier: Iterable[SplitRow] = ()) -> bytes:
    """The file: the same bytes in whatever order tracks come.

    Args:
      splits: (track_id, group) of each side's tracks, and of those that are kept out as `none`.
      earlier: what trunks had learned from before. Of a track with several rows the most seen side counts, and a side
        in `splits` before them.
    """
    kept = {track: (group, NONE) for track, group in splits.get(NONE, ())}
    by_rank = sorted(earlier, key=lambda row: -_RANKS[row[2]])
    kept |= {track: (group, split) for track, group, split in by_rank}
    kept |= {track: (group, split) for split in SPLITS for track, group in splits.get(split, ())}
    rows = sorted((track, *row) for track, row in kept.items())
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    return parquet_bytes(pa.table([pa.array(column, pa.string()) for column in columns], schema=BUNDLE_SPLITS))


def read_sides(bundle: TrunkBundle) -> Sides:
    """The split of a bundle; empty where its trunks are ready-made and it has seen no labelled track.

    Raises:
      BundleError: a trunk was trained on tracks that the bundle does not name: no split would be honest.
    """
    return Sides.of_rows(read_rows(bundle))


def is_trained(bundle: TrunkBundle) -> bool:
    """Whether a trunk of the bundle was trained on labelled tracks; else all of them are ready-made."""
    return any(trunk.learned for trunk in bundle.trunks)


def learned_rows(bundle: TrunkBundle, rows: Iterable[SplitRow]) -> list[SplitRow]:
    """Those of a bundle's tracks that its trunks were trained or tuned on; none where all of them are ready-made."""
    return [row for row in rows if row[2] in ("train", "validation")] if is_trained(bundle) else []


def check_split(bundle: TrunkBundle, sides: Sides, splits: Mapping[str, Iterable[tuple[str, str]]]) -> None:
    """Makes sure that a trunk's training tracks are rated nowhere as if it had not seen them.

    Args:
      bundle: with a trunk that was trained on labelled tracks.
      sides: its split.
      splits: (track_id, group) of the tracks on the sides of a new split.

    Raises:
      BundleError: some are on a later side than the bundle's split allows; counts them and names some.
    """
    late = [
        f"{track!r} ({split})"
        for split, tracks in splits.items()
        for track, group in tracks
        if not sides.allow(track, group, split)
    ]
    if late:
        raise BundleError(
            f"{bundle.url}: its trunk was trained or tuned on {len(late)} tracks that would be rated as if unseen, or "
            f"on others of their artists: {', '.join(late[:3])}{', ...' if len(late) > 3 else ''}; prepare with the "
            "split that it was trained with (`split --previous` keeps it as a catalog grows), or take another trunk"
        )


def read_rows(bundle: TrunkBundle) -> list[SplitRow]:
    """The tracks of a bundle's split, as `read_sides` knows them.

    Raises:
      BundleError: see `read_sides`.
    """
    if SPLIT_FILE not in bundle.files:
        if learned := [trunk.name for trunk in bundle.trunks if trunk.learned]:
            raise BundleError(
                f"{bundle.url} holds no {SPLIT_FILE}: which tracks its trunk {learned[0]!r} was trained on is not "
                "known, and they would be rated as if unseen: train again"
            )
        return []
    table = _table(read_file(bundle.url, SPLIT_FILE, bundle.files[SPLIT_FILE]))
    tracks, groups, splits = (table.column(name).to_pylist() for name in BUNDLE_SPLITS.names)
    if unknown := set(splits) - {*SPLITS, NONE}:
        raise BundleError(f"{bundle.url}: {SPLIT_FILE} names sides {sorted(unknown)}")
    return list(zip(tracks, groups, splits, strict=True))


def _table(data: bytes) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(data))
