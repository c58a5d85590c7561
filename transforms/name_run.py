"""NameRun: computes the id of a run, a hash of everything that determines its rows."""

import json

import apache_beam as beam
import pyarrow as pa

from transforms.formats.arrow import content_digest
from transforms.formats.hashing import combine, digest, short_id
from transforms.levels.writing import Compaction
from transforms.schemas.catalog import FILE, ROW
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.outcomes.prior import PriorOutcomes


def outcome_digest(rows: pa.Table, outcomes: pa.Table) -> str:
    """Digest of a bucket's catalog rows, without their place in the catalog, and of their outcomes.

    Both tables must be sorted by track_id.
    """
    places = {FILE, ROW} & set(rows.column_names)
    return digest(content_digest(rows.drop_columns(sorted(places))), content_digest(outcomes))


def run_id_of(known: PriorOutcomes, publication: PublishedRows, outcomes: str) -> str:
    """Id of a run: a hash of parent snapshot, catalog rows and outcomes, tagger, and options."""
    parent = "none" if known.parent is None else str(known.parent)
    options = [json.dumps(publication.to_json(), sort_keys=True)]
    if known.compaction != Compaction():  # it decides on the files, though not on their rows
        options.append(repr(known.compaction))
    if known.has_parameters:  # it decides on the columns
        options.append(known.parameters_id)
    return short_id("run", parent, outcomes, known.ids.tagger_id, *options)


class NameRun(beam.PTransform[beam.PCollection[str], beam.PCollection[str]]):
    """Takes the digests of the buckets' rows and outcomes, returns one run id."""

    def __init__(self, known: PriorOutcomes, publication: PublishedRows) -> None:
        super().__init__()
        self._known, self._publication = known, publication

    def expand(self, digests: beam.PCollection[str]) -> beam.PCollection[str]:
        """Combines the digests of all buckets, in any order, into one id."""
        together = digests | "GatherDigests" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
        run_id: beam.PCollection[str] = together | "HashOutcomes" >> beam.Map(
            lambda outcomes, known, publication: run_id_of(known, publication, combine(outcomes)),
            self._known,
            self._publication,
        )
        return run_id
