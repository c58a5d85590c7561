"""The split of a bundle: its training, validation and test tracks, recorded so that new heads keep the same split."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Self

import pyarrow as pa

from models.bundles.trunk_bundle import BundleError, TrunkBundle, read_file
from transforms.formats.parquet import parquet_bytes, parquet_table
from transforms.schemas.bundle import BUNDLE_SPLITS
from transforms.splits.by_artist import NONE, SPLITS, SplitRatios, assign

SPLIT_FILE = "splits.parquet"

SplitRow = tuple[str, str, str]
"""track_id, group and side of one track."""

_RANKS: dict[str, int] = {NONE: 0, **{split: rank for rank, split in enumerate(SPLITS)}}
"""Rank of a side. The higher it is, the less the bundle has seen of it; `none` is a group with tracks on several."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sides:
    """The split of a bundle: the side of each labelled track and of each group (artist).

    An excluded track is on `none`. So is a group with tracks on several sides: its new tracks are excluded.
    """

    tracks: Mapping[str, str]
    groups: Mapping[str, str]

    @classmethod
    def of_rows(cls, rows: Iterable[SplitRow]) -> Self:
        """The sides of these tracks and of their groups."""
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
          group: key of its artist, else of its album, else of the track.
          official: the side that the source of the labels gives it. `none` excludes it, whatever the bundle's split
            says. Without a side (None), the hash of the group decides.
          ratios: shares of the sides, for the hash.
        """
        if official == NONE:
            return NONE, False
        known = self.tracks.get(track_id) or self.groups.get(group)
        return (known, True) if known else (official or assign(group, ratios), False)

    def allow(self, track_id: str, group: str, split: str) -> bool:
        """Whether another split may put a track on this side without rating it on data that the bundle was fitted on.

        Training tracks may only be training tracks. Validation tracks may not be test tracks. Test tracks may be any.
        """
        own = self.tracks.get(track_id, NONE)
        side = self.groups.get(group) if own == NONE else own
        return side is None or _RANKS[split] <= _RANKS[side]


def to_bytes(splits: Mapping[str, Iterable[tuple[str, str]]], earlier: Iterable[SplitRow] = ()) -> bytes:
    """The bytes of the file, independent of the order of the tracks.

    Args:
      splits: (track_id, group) of the tracks on each side; the side `none` has the excluded tracks.
      earlier: the tracks that trunks were trained on earlier. If a track has several rows, the side that a bundle has
        seen most counts. A side in `splits` overrides them.
    """
    kept = {track: (group, NONE) for track, group in splits.get(NONE, ())}
    by_rank = sorted(earlier, key=lambda row: -_RANKS[row[2]])
    kept |= {track: (group, split) for track, group, split in by_rank}
    kept |= {track: (group, split) for split in SPLITS for track, group in splits.get(split, ())}
    rows = sorted((track, *row) for track, row in kept.items())
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    return parquet_bytes(pa.table([pa.array(column, pa.string()) for column in columns], schema=BUNDLE_SPLITS))


def read_sides(bundle: TrunkBundle) -> Sides:
    """The split of a bundle. It is empty if all trunks are ready-made and the bundle records no split.

    Raises:
      BundleError: a trunk was trained on tracks that the bundle does not record, so every split could rate them.
    """
    return Sides.of_rows(read_rows(bundle))


def is_trained(bundle: TrunkBundle) -> bool:
    """Whether a trunk of the bundle was trained on labelled tracks. If not, all trunks are ready-made."""
    return any(trunk.learned for trunk in bundle.trunks)


def learned_rows(bundle: TrunkBundle, rows: Iterable[SplitRow]) -> list[SplitRow]:
    """The tracks that the bundle's trunks were trained or tuned on; none if all trunks are ready-made."""
    return [row for row in rows if row[2] in ("train", "validation")] if is_trained(bundle) else []


def check_split(bundle: TrunkBundle, sides: Sides, splits: Mapping[str, Iterable[tuple[str, str]]]) -> None:
    """Checks that no split rates tracks that a trunk was trained on as if they were unseen.

    Args:
      bundle: a bundle with a trunk that was trained on labelled tracks.
      sides: its split.
      splits: side of the new split -> (track_id, group) of its tracks.

    Raises:
      BundleError: the bundle's split does not allow some tracks on their side. The message counts them and names some.
    """
    late = [
        f"{track!r} ({split})"
        for split, tracks in splits.items()
        for track, group in tracks
        if not sides.allow(track, group, split)
    ]
    if late:
        raise BundleError(
            f"{bundle.url}: its trunk was trained or tuned on {len(late)} tracks that would be rated as unseen, or on "
            f"other tracks of their artists: {', '.join(late[:3])}{', ...' if len(late) > 3 else ''}; prepare with the "
            "split that it was trained with (`split --previous` keeps it as a catalog grows), or use another trunk"
        )


def read_rows(bundle: TrunkBundle) -> list[SplitRow]:
    """The rows of a bundle's split. It is empty under the same condition as in `read_sides`.

    Raises:
      BundleError: see `read_sides`.
    """
    if SPLIT_FILE not in bundle.files:
        if learned := [trunk.name for trunk in bundle.trunks if trunk.learned]:
            raise BundleError(
                f"{bundle.url} has no {SPLIT_FILE}: the training tracks of its trunk {learned[0]!r} are unknown and "
                "could be rated as unseen: train it again"
            )
        return []
    table = parquet_table(read_file(bundle.url, SPLIT_FILE, bundle.files[SPLIT_FILE]))
    tracks, groups, splits = (table.column(name).to_pylist() for name in BUNDLE_SPLITS.names)
    if unknown := set(splits) - {*SPLITS, NONE}:
        raise BundleError(f"{bundle.url}: {SPLIT_FILE} has unknown sides {sorted(unknown)}: train again")
    return list(zip(tracks, groups, splits, strict=True))
