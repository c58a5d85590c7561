"""Permanent failures of one track: one class per reason, in one place."""

from typing import ClassVar, Literal

Stage = Literal["read", "probe", "decode", "features"]
Retry = Literal["never", "extractor", "next_run"]


class TrackError(Exception):
    """Permanent failure of one track: recorded in the ledger, never retried within a run.

    Class attributes:
      reason: value of the ledger's `reason` column.
      stage: where on the way from bytes to patches it is found.
      retry: `never` (until the source changes), `extractor` (when the extractor changes too) or `next_run`.
      sentence: what an analyst reads about it.
    """

    reason: ClassVar[str]
    stage: ClassVar[Stage]
    retry: ClassVar[Retry] = "extractor"
    sentence: ClassVar[str]
