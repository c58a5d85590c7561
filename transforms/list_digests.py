"""ListDigests: waits for the chunks of each bucket, then lists the digests of its outcomes and of their sources."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.typehints import no_annotations

from transforms.formats.arrow import from_ipc, to_ipc
from transforms.name_run import outcome_digest
from transforms.schemas.parameters import PARAMETERS_ID
from transforms.tagging.outcomes.assembled import assembled
from transforms.tagging.outcomes.prior import PriorOutcomes

_COLUMNS = ("track_id", "source_version", "reason", "detail", "stage", "source_sha256", "carried", "run_id")


def digested_columns(known: PriorOutcomes) -> tuple[str, ...]:
    """Columns of outcomes that the id of a run depends on."""
    return (*_COLUMNS, PARAMETERS_ID) if known.has_parameters else _COLUMNS


class Digests(NamedTuple):
    """Output of `ListDigests`.

    Attributes:
      sources: per bucket, IPC of track_id, source_sha256 and bucket of the tracks whose bytes were read.
      outcomes: per bucket, one digest of its catalog rows and their outcomes.
    """

    sources: beam.PCollection[bytes]
    outcomes: beam.PCollection[str]


class ListDigests(beam.PTransform[beam.PCollection[tuple[int, dict[str, Any]]], Digests]):
    """Takes (bucket, {"rows": [IPC], "parts": [url]}), returns `Digests`.

    Grouping with `parts` delays the stage until the chunks of the bucket are done.
    """

    def __init__(self, known: PriorOutcomes) -> None:
        super().__init__()
        self._known = known

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, buckets: beam.PCollection[tuple[int, dict[str, Any]]]) -> Digests:
        """Looks up the outcomes of each bucket, without embeddings."""
        listed = buckets | "ListBucket" >> beam.FlatMap(_list, self._known).with_outputs("outcomes", main="sources")
        return Digests(listed.sources, listed.outcomes)


def _list(item: tuple[int, dict[str, Any]], known: PriorOutcomes) -> Iterator[Any]:
    bucket, group = item
    for data in group["rows"]:
        rows = from_ipc(data)
        outcomes = assembled(known, bucket, rows, digested_columns(known), latest=group["parts"])
        yield beam.pvalue.TaggedOutput("outcomes", outcome_digest(rows, outcomes))
        digests = outcomes.select(["track_id", "source_sha256"])
        digests = digests.filter(pc.is_valid(digests["source_sha256"]))
        digests = digests.append_column("bucket", pa.array([bucket] * digests.num_rows, pa.int32()))
        yield to_ipc(digests.combine_chunks())
