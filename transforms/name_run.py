"""NameRun: the id of a run is a hash of everything that its rows are made of."""

import json

import apache_beam as beam
import pyarrow as pa

from transforms.formats.arrow import content_digest
from transforms.formats.hashing import combine, digest, short_id
from transforms.schemas.catalog import FILE, ROW
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.outcomes import PriorOutcomes


def outcome_digest(rows: pa.Table, outcomes: pa.Table) -> str:
    """Digest of a bucket's catalog rows, wherever they stood, and of what became of them; both sorted by track_id."""
    places = {FILE, ROW} & set(rows.column_names)
    return digest(content_digest(rows.drop_columns(sorted(places))), content_digest(outcomes))


def run_id_of(known: PriorOutcomes, publication: PublishedRows, outcomes: str) -> str:
    """Id of a run: hash of the parent snapshot, catalog rows with their outcomes, the tagger, and what is published."""
    parent = "none" if known.parent is None else str(known.parent)
    return short_id("run", parent, outcomes, known.ids.tagger_id, json.dumps(publication.to_json(), sort_keys=True))


class NameRun(beam.PTransform[beam.PCollection[str], beam.PCollection[str]]):
    """Digests of the buckets' rows and outcomes in, one run id out."""

    def __init__(self, known: PriorOutcomes, publication: PublishedRows) -> None:
        super().__init__()
        self._known, self._publication = known, publication

    def expand(self, digests: beam.PCollection[str]) -> beam.PCollection[str]:
        """All buckets' digests, in any order, make one id."""
        together = digests | "GatherDigests" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
        run_id: beam.PCollection[str] = together | "HashOutcomes" >> beam.Map(
            lambda found, known, publication: run_id_of(known, publication, combine(found)),
            self._known,
            self._publication,
        )
        return run_id
