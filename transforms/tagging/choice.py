"""The recorded choice of a run with a budget: the tracks that it extracts. All others are left to later runs."""

import dataclasses

import pyarrow as pa

from transforms import storage
from transforms.formats.parquet import parquet_bytes, read_parquet

_IDS = pa.schema([pa.field("track_id", pa.string(), nullable=False)])


@dataclasses.dataclass(frozen=True)
class Choice:
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
