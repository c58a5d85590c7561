"""Which labelled tracks a bundle was trained, tuned and tested on: kept in it, so that new heads keep to its split."""

import dataclasses
from collections.abc import Iterable, Mapping

import pyarrow as pa

from models.bundles.trunk_bundle import BundleError, TrunkBundle, read_file
from transforms.records.parquet import parquet_bytes
from transforms.records.splits import SPLITS, SplitRatios, assign

FILE = "splits.parquet"

_SCHEMA = pa.schema([(name, pa.string()) for name in ("track_id", "group", "split")])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sides:
    """The split of a bundle: side of each of its labelled tracks, and of each of their groups (artists)."""

    tracks: Mapping[str, str]
    groups: Mapping[str, str]

    def of(self, track_id: str, group: str, official: str | None, ratios: SplitRatios) -> tuple[str, bool]:
        """The side of a labelled track, and whether the bundle's split decided it.

        Args:
          track_id: the track.
          group: its artist, or what stands for it.
          official: the side that the labels' source gives it; None: by the group's hash.
          ratios: shares of the hash's sides.
        """
        known = self.tracks.get(track_id) or self.groups.get(group)
        return (known, True) if known else (official or assign(group, ratios), False)


def to_bytes(splits: Mapping[str, Iterable[tuple[str, str]]]) -> bytes:
    """The file, from (track_id, group) of each side's tracks: the same bytes in whatever order they come."""
    rows = sorted((track, group, split) for split, tracks in splits.items() for track, group in tracks)
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    return parquet_bytes(pa.table([pa.array(column, pa.string()) for column in columns], schema=_SCHEMA))


def read_sides(bundle: TrunkBundle) -> Sides:
    """The split of a bundle; empty where its trunks are ready-made and it has seen no labelled track.

    Raises:
      BundleError: a trunk was trained on tracks that the bundle does not name: no split would be honest.
    """
    if FILE not in bundle.files:
        if learned := [trunk.name for trunk in bundle.trunks if trunk.learned]:
            raise BundleError(
                f"{bundle.url} holds no {FILE}: which tracks its trunk {learned[0]!r} was trained on is not known, and "
                "new heads would be rated on them: train again"
            )
        return Sides(tracks={}, groups={})
    table = _table(read_file(bundle.url, FILE, bundle.files[FILE]))
    tracks, groups, splits = (table.column(name).to_pylist() for name in _SCHEMA.names)
    if unknown := set(splits) - set(SPLITS):
        raise BundleError(f"{bundle.url}: {FILE} names sides {sorted(unknown)}")
    return Sides(tracks=dict(zip(tracks, splits, strict=True)), groups=dict(zip(groups, splits, strict=True)))


def _table(data: bytes) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(data))
