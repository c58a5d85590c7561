"""Finds ids that a catalog has twice, with 8 bytes of memory per row: for readers that never sort the rows."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.catalog.problems import MOST_PROBLEMS, Problem
from transforms.catalog.reader import CatalogShard, read_shard, repeated_ids
from transforms.schemas.catalog import FILE, ROW

_NAMES = ["track_id", FILE, ROW]
_MOST_ROWS = 100_000


def hash_of(text: str) -> int:
    """A 64-bit hash of a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def repeated_in(shards: Sequence[CatalogShard], hashes: npt.ArrayLike) -> list[Problem]:
    """The problems of rows whose id is in an earlier row. Only if there are such rows, the catalog is read again.

    Args:
      shards: the whole catalog.
      hashes: `hash_of` of the id of each row, in any order.

    Returns:
      A problem for the repeated rows of at most `MOST_PROBLEMS` ids.
    """
    found, counts = np.unique(np.asarray(hashes, np.uint64), return_counts=True)
    wanted = set(found[counts > 1][:MOST_PROBLEMS].tolist())
    if not wanted:
        return []
    batches: list[pa.RecordBatch] = []
    for shard in shards:
        for batch, _ in read_shard(shard):
            mask = [hash_of(track) in wanted for track in batch.column("track_id").to_pylist()]
            batches.append(batch.select(_NAMES).filter(pa.array(mask, pa.bool_())))
        if sum(map(len, batches)) > _MOST_ROWS:
            break
    return repeated_ids(pa.Table.from_batches(batches))
