"""DigestCatalog: computes one digest of all rows of a catalog, independent of their order."""

import apache_beam as beam

from transforms.dataset.plan import add_digests, rows_digest
from transforms.formats.arrow import from_ipc


class DigestCatalog(beam.PTransform[beam.PCollection[bytes], beam.PCollection[str]]):
    """Takes Arrow batches, returns one digest.

    Args:
      column: column with official splits, which the digest includes; None if there is none.
    """

    def __init__(self, column: str | None) -> None:
        super().__init__()
        self._column = column

    def expand(self, batches: beam.PCollection[bytes]) -> beam.PCollection[str]:
        """Adds the digests of the batches; the order does not matter."""
        parts = batches | "DigestRows" >> beam.Map(lambda data, name: rows_digest(from_ipc(data), name), self._column)
        total: beam.PCollection[str] = parts | "AddDigests" >> beam.CombineGlobally(add_digests)
        return total
