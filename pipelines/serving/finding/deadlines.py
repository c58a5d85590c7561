"""The end of the time that a request may compute: asked for between two parts of the work, and while files are read."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from fastapi import Request

from pipelines.serving.problems import Declined
from pipelines.serving.requests import service_of
from pipelines.serving.rows import KeptReader
from pipelines.serving.snapshots import OpenSnapshot
from transforms.table.snapshots import DataFile

KEPT = "what was read is kept: try again"
ASK_FOR_LESS = "ask for less, or start the service with a larger --query-timeout"


class Deadline:
    """The end of the time that one request may compute.

    Args:
      seconds: from now.
      advice: what to do if they are over.
    """

    def __init__(self, seconds: float, advice: str = KEPT) -> None:
        self._seconds, self._end, self._advice = seconds, time.monotonic() + seconds, advice

    def check(self) -> None:
        """Ends the request if its time is over.

        Raises:
          Problem: the time is over.
        """
        if time.monotonic() > self._end:
            detail = f"the answer was not found within {self._seconds:g} s; {self._advice}"
            raise Declined("query-limit", detail, {"Retry-After": "1"})


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class TimedReader(KeptReader):
    """A snapshot that can be read until a deadline.

    The functions of `discovery` read a snapshot bucket by bucket, and compute between two reads for a time that the
    size of a bucket and of the request limit. So each of them ends soon after the deadline.

    Attributes:
      deadline: asked for before each file, and after each batch of rows.
    """

    deadline: Deadline

    @classmethod
    def until(cls, snapshot: KeptReader, deadline: Deadline) -> "TimedReader":
        """The snapshot with a deadline."""
        made = cls(
            root=snapshot.root,
            manifest=snapshot.manifest,
            buckets=snapshot.buckets,
            kept=snapshot.kept,
            deadline=deadline,
        )
        object.__setattr__(made, "_hashed", snapshot._hashed)  # files are compared with their digests once
        return made

    def scan(self, name: str, columns: Sequence[str] | None = None, **options: Any) -> pa.Table:
        """See `SnapshotReader.scan`."""
        self.deadline.check()
        return super().scan(name, columns, **options)

    def _read(
        self,
        file: DataFile,
        columns: Sequence[str] | None,
        track_ids: Sequence[str] | None,
        dead: pa.Array | None,
        embedding_id: str | None,
    ) -> Iterator[pa.RecordBatch]:
        self.deadline.check()
        for batch in super()._read(file, columns, track_ids, dead, embedding_id):
            yield batch
            self.deadline.check()


def timed_reader(request: Request, opened: OpenSnapshot) -> TimedReader:
    """The snapshot of a request whose answer takes long, with the limit on such answers, from now."""
    return TimedReader.until(opened.reader, Deadline(service_of(request).settings.long_query_s, ASK_FOR_LESS))
