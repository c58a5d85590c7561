"""Which part files a later run of `tag` can still use.

A row of a part file is an outcome of (track, source version, embedding). A later run uses it if the track's source is
still that one, and the newest snapshot has no such outcome itself: `tag` carries outcomes from there. It is needed if

- a ledger that the next run may follow names this source version: the newest one's, or that of a snapshot that a
  rollback undid, because the tracks come back with the next good run; and
- the newest snapshot has not the embedding itself. Embeddings of a trunk that no snapshot was published with are for a
  run to come (`tag --also`, or a run that was stopped); those of a trunk that was replaced are not.

Part files that were written after the last run was published are the work of a run to come, and are not looked at.
"""

import dataclasses
from collections.abc import Sequence

import pyarrow as pa

from transforms import storage
from transforms.extraction.kill_history import KILLED
from transforms.formats.hashing import digest
from transforms.formats.parquet import CheckedFile
from transforms.table.reader import SnapshotReader

_LEDGER = ["track_id", "source_version", "reason", "detail", "embedding_id"]
_ROWS = ["track_id", "source_version", "reason", "detail"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lineage:
    """What the next run may follow.

    Attributes:
      newest: the newest snapshot.
      undone: snapshots that a rollback undid.
      replaced: ids of embeddings of earlier snapshots that a later one replaced.
      published: time of the last commit of a run that was no rollback and no removal of tracks, seconds since 1970.
    """

    newest: SnapshotReader
    undone: Sequence[SnapshotReader]
    replaced: frozenset[str]
    published: float

    def of_bucket(self, bucket: int) -> "BucketNeeds":
        """What is needed of a bucket's part files; its rows of the ledgers are held in memory."""
        wanted: set[tuple[str, str]] = set()
        for reader in (self.newest, *self.undone):
            keys = reader.scan("ledger", _LEDGER[:2], bucket=bucket)
            wanted.update(zip(keys["track_id"].to_pylist(), keys["source_version"].to_pylist(), strict=True))
        ledger = self.newest.scan("ledger", _LEDGER, bucket=bucket)
        columns = (ledger[name].to_pylist() for name in _LEDGER)
        held = {(track, version): rest for track, version, *rest in zip(*columns, strict=True)}
        return BucketNeeds(wanted=wanted, held=held, replaced=self.replaced)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BucketNeeds:
    """What is needed of the part files of a bucket.

    Attributes:
      wanted: (track, source version) of all ledgers that count.
      held: (track, source version) -> reason, detail and embedding of the newest ledger.
      replaced: see `Lineage`.
    """

    wanted: set[tuple[str, str]]
    held: dict[tuple[str, str], list[str | None]]
    replaced: frozenset[str]

    def needs(self, url: str) -> bool:
        """Whether a later run can use a row of this part file. A damaged file is never used.

        Raises:
          storage.StorageError: it cannot be read now.
        """
        data = storage.read_bytes(url)
        if not url.endswith(f"/{digest(data)[:24]}.parquet"):
            return False
        try:
            with CheckedFile(pa.BufferReader(data)) as file:
                embedding = (file.schema_arrow.metadata or {}).get(b"embedding_id", b"").decode()
                rows = file.read(columns=_ROWS, use_threads=False)
        except (pa.ArrowException, OSError, ValueError):
            return False
        return any(
            self._needs(embedding, *row) for row in zip(*(rows[name].to_pylist() for name in _ROWS), strict=True)
        )

    def _needs(self, embedding: str, track: str, version: str, reason: str | None, detail: str | None) -> bool:
        if (track, version) not in self.wanted or embedding in self.replaced:
            return False
        if (track, version) not in self.held:
            return True
        held_reason, held_detail, held_embedding = self.held[track, version]
        if reason is None:
            return held_reason is not None or held_embedding != embedding
        # A remembered reject is in the ledger; only a longer history of killed decoders says more than it.
        return held_reason is not None and (detail or "").startswith(KILLED) and detail != held_detail
