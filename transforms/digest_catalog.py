"""DigestCatalog: one digest for all rows of a catalog, whatever their order."""

import apache_beam as beam

from transforms.dataset.plan import add_digests, rows_digest
from transforms.formats.arrow import from_ipc


class DigestCatalog(beam.PTransform[beam.PCollection[bytes], beam.PCollection[str]]):
    """Arrow batches in, one digest out.

    Args:
      column: further column that counts too: the one with official splits.
    """

    def __init__(self, column: str | None) -> None:
        super().__init__()
        self._column = column

    def expand(self, batches: beam.PCollection[bytes]) -> beam.PCollection[str]:
        """Digests of batches are added up: the order of adding does not matter."""
        parts = batches | "DigestRows" >> beam.Map(lambda data, name: rows_digest(from_ipc(data), name), self._column)
        total: beam.PCollection[str] = parts | "AddDigests" >> beam.CombineGlobally(add_digests)
        return total
