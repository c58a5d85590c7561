"""SettleTies: audio whose bytes stand on more than one side of the split is taken out of all of them."""

from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.metrics import Metrics

from transforms.dataset.plan import ChunkReport
from transforms.dataset.shards import ShardSettings, without_tied
from transforms.splits.by_artist import tied_sides

_Entry = tuple[str, str, str, str]
"""Digest of the bytes, split, fingerprint of the chunk, track_id."""


class SettleTies(beam.PTransform):
    """`ChunkReport`s in, the same out, their shards without tied tracks. Only digests and reports are shuffled."""

    def __init__(self, settings: ShardSettings) -> None:
        super().__init__()
        self._settings = settings

    def expand(self, reports: beam.PCollection) -> beam.PCollection:
        """Digests meet by their first digits; what is tied goes back to its chunk."""
        tied = (
            reports
            | "ListDigests" >> beam.FlatMap(_list_digests)
            | "GroupDigests" >> beam.GroupByKey()
            | "FindTied" >> beam.FlatMap(_find_tied)
        )
        keyed = reports | "KeyReports" >> beam.Map(lambda report: (report.fingerprint, report))
        return (
            {"reports": keyed, "tied": tied}
            | "JoinTied" >> beam.CoGroupByKey()
            | "TakeOutTied" >> beam.FlatMap(_take_out, self._settings)
        )


def _list_digests(report: ChunkReport) -> Iterator[tuple[str, list[_Entry]]]:
    groups: dict[str, list[_Entry]] = {}
    for outcome in report.outcomes:
        if outcome.reason is None and outcome.sha256 is not None:
            entry = (outcome.sha256, report.split, report.fingerprint, outcome.track_id)
            groups.setdefault(outcome.sha256[:2], []).append(entry)
    yield from groups.items()


def _find_tied(group: tuple[str, Iterable[list[_Entry]]]) -> Iterator[tuple[str, str]]:
    entries = [entry for part in group[1] for entry in part]
    tied = tied_sides((sha256, split) for sha256, split, _, _ in entries)
    for sha256, _, fingerprint, track_id in entries:
        if sha256 in tied:
            yield fingerprint, track_id


def _take_out(item: tuple[str, dict[str, list]], settings: ShardSettings) -> Iterator[ChunkReport]:
    tied = set(item[1]["tied"])
    Metrics.counter("split", "tied_tracks").inc(len(tied))
    for report in item[1]["reports"]:
        yield without_tied(report, tied, settings)
