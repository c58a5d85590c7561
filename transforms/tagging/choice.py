"""The recorded choice of a run with a budget: the tracks that it extracts. All others are left to later runs.

The choice is made once for a parent snapshot, a tagger and a budget. A run that was killed finds it again.
"""

import contextlib
import dataclasses
import math
from typing import Any, Self

import pyarrow as pa

from transforms import storage
from transforms.formats.hashing import short_id
from transforms.formats.parquet import parquet_bytes, read_parquet
from transforms.formats.sealing import read_record, sealed_bytes
from transforms.table.snapshots import Ids
from transforms.table.versions import TableError

_IDS = pa.schema([pa.field("track_id", pa.string(), nullable=False)])


@dataclasses.dataclass(frozen=True)
class ChosenTracks:
    """The chosen tracks, in one file per bucket.

    Attributes:
      folder: folder of the files.
    """

    folder: str

    def write(self, bucket: int, track_ids: pa.Array) -> None:
        """Writes the chosen tracks of a bucket."""
        storage.write_bytes(self._url(bucket), parquet_bytes(pa.table([track_ids], schema=_IDS)))

    def of_bucket(self, bucket: int) -> pa.Array:
        """The chosen tracks of a bucket; none if it had no tracks when the choice was made.

        Raises:
          storage.StorageError: the file cannot be read.
        """
        try:
            return read_parquet(self._url(bucket), ["track_id"])["track_id"].combine_chunks()
        except storage.NotFound:
            return pa.array([], pa.string())

    def _url(self, bucket: int) -> str:
        return storage.join(self.folder, f"bucket={bucket:04d}.parquet")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """What a run may cost, and which tracks go first.

    Attributes:
      max_core_hours: processor time.
      first: condition on rows of the ledger, in SQL; None: the oldest go first.
    """

    max_core_hours: float
    first: str | None = None

    def name(self, parent: int | None, ids: Ids, *, retry_rejects: bool, parameters_id: str = "") -> str:
        """Name of the choice that is made with this budget. `parameters_id`: parameters that are due."""
        given = (str(parent), ids.tagger_id, repr(self.max_core_hours), str(retry_rejects), self.first or "")
        return short_id("choice", *given, *([parameters_id] if parameters_id else []))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackChoice:
    """How a choice was made.

    Attributes:
      budget: the budget.
      folder: folder of its files, relative to the root of the table.
      tracks: tracks that needed extraction.
      chosen: those that the run extracts.
      core_seconds_per_track: expected processor time of one of them.
      core_seconds_fixed: expected processor time of the run without them.
    """

    budget: Budget
    folder: str
    tracks: int
    chosen: int
    core_seconds_per_track: float
    core_seconds_fixed: float

    @property
    def nights(self) -> int:
        """Runs until no track is left, if each has this budget and the costs stay as they are."""
        return math.ceil(self.tracks / self.chosen) if self.chosen else int(self.tracks > 0)

    def to_json(self) -> dict[str, Any]:
        """The choice as a JSON object, for plans and reports."""
        return {**dataclasses.asdict(self.budget), **dataclasses.asdict(self), "nights": self.nights}

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The choice that `to_json` described."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: obj[name] for name in names} | {"budget": Budget(**obj["budget"])})


def recorded_choice(root: str, name: str) -> TrackChoice | None:
    """The choice of this name, if an earlier launch has made it. A damaged record counts as none."""
    try:
        return read_record(_record(root, name), "a choice of tracks", TrackChoice.from_json, TableError)
    except (storage.NotFound, TableError):
        return None


def record_choice(root: str, name: str, choice: TrackChoice) -> TrackChoice:
    """Records a choice whose files are written; returns the one that counts, which another launch may have made."""
    data = sealed_bytes(choice.to_json())
    with contextlib.suppress(storage.AlreadyExists):
        storage.create(_record(root, name), data)
    if (found := recorded_choice(root, name)) is not None:
        return found
    storage.write_bytes(_record(root, name), data)  # it was damaged
    return choice


def _record(root: str, name: str) -> str:
    return storage.join(root, "work", f"{name}.json")
