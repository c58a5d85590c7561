"""Some tracks of a snapshot, as masks over the tracks of each bucket."""

import bisect
import dataclasses
import functools
import heapq
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipelines.serving.rows import KeptReader
from transforms.discovery.search.texts import RowMask


@dataclasses.dataclass(frozen=True, eq=False)
class TrackMasks:
    """Some tracks of a snapshot.

    Attributes:
      snapshot: theirs.
      masks: for each bucket, which of its tracks, in the order of their ids.
    """

    snapshot: KeptReader
    masks: Sequence[RowMask]

    def __len__(self) -> int:
        return sum(int(mask.sum()) for mask in self.masks)

    @functools.cached_property
    def ids(self) -> pa.ChunkedArray:
        """Their ids, by bucket."""
        parts = [self._ids(bucket).filter(pa.array(mask)) for bucket, mask in enumerate(self.masks) if mask.any()]
        return pa.chunked_array(parts, pa.string())

    def first(self, limit: int, behind: str | None, *, is_descending: bool) -> list[str]:
        """The first ids, or those behind one, in ascending or descending order."""
        parts = [self._first(bucket, limit, behind, is_descending) for bucket in range(len(self.masks))]
        return list(heapq.merge(*parts, reverse=is_descending))[:limit]

    def _first(self, bucket: int, limit: int, behind: str | None, is_descending: bool) -> list[str]:
        places, ids = np.flatnonzero(self.masks[bucket]), self._ids(bucket)
        if behind is not None:
            side = bisect.bisect_left if is_descending else bisect.bisect_right
            place = side(range(len(ids)), behind, key=lambda n: ids[n].as_py())
            places = places[places < place] if is_descending else places[places >= place]
        places = places[::-1][:limit] if is_descending else places[:limit]
        found: list[str] = ids.take(pa.array(places)).to_pylist()
        return found

    def _ids(self, bucket: int) -> pa.Array:
        return self.snapshot.bucket_ids(bucket)
