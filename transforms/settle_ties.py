"""SettleTies: removes tied tracks, whose bytes are on more than one side of the split, from all sides."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.typehints import no_annotations

from transforms.dataset.plan import ChunkReport
from transforms.dataset.shards import ShardSettings, without_tied
from transforms.splits.by_artist import tied_sides
from transforms.sum_work import count_work
from transforms.telemetry.counters import SPLIT_TIED
from transforms.telemetry.work import Work

SourceDigest = tuple[str, str, str, str]
"""(digest of the bytes, split, fingerprint of the chunk, track_id)"""


class SettledChunks(NamedTuple):
    """Output of `SettleTies`: one `ChunkReport` per input report, and `Work`."""

    reports: beam.PCollection[ChunkReport]
    work: beam.PCollection[Work]


class SettleTies(beam.PTransform[beam.PCollection[ChunkReport], SettledChunks]):
    """Takes `ChunkReport`s, returns them with shards without tied tracks. Only digests and reports are shuffled."""

    def __init__(self, settings: ShardSettings) -> None:
        super().__init__()
        self._settings = settings

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, reports: beam.PCollection[ChunkReport]) -> SettledChunks:
        """Compares digests in groups by their first digits, and sends the ids of tied tracks back to their chunk."""
        tied = (
            reports
            | "ListDigests" >> beam.FlatMap(source_digests)
            | "GroupDigests" >> beam.GroupByKey()
            | "FindTied" >> beam.FlatMap(_match)
        )
        keyed = reports | "KeyReports" >> beam.Map(lambda report: (report.fingerprint, report))
        joined = {"reports": keyed, "tied": tied} | "JoinTied" >> beam.CoGroupByKey()
        settled = joined | "TakeOutTied" >> beam.FlatMap(_take_out, self._settings).with_outputs("work", main="reports")
        return SettledChunks(settled.reports, settled.work)


def source_digests(report: ChunkReport) -> Iterator[tuple[str, list[SourceDigest]]]:
    """Yields the digests of a chunk's examples in groups: (first digits, digests)."""
    groups: dict[str, list[SourceDigest]] = {}
    for outcome in report.outcomes:
        if outcome.reason is None and outcome.sha256 is not None:
            entry = (outcome.sha256, report.split, report.fingerprint, outcome.track_id)
            groups.setdefault(outcome.sha256[:2], []).append(entry)
    yield from groups.items()


def _match(group: tuple[str, Iterable[list[SourceDigest]]]) -> Iterator[tuple[str, str]]:
    return find_tied([entry for part in group[1] for entry in part])


def find_tied(entries: Sequence[SourceDigest]) -> Iterator[tuple[str, str]]:
    """Yields (fingerprint of the chunk, track_id) of each track whose bytes are on more than one side."""
    tied = tied_sides((sha256, split) for sha256, split, _, _ in entries)
    for sha256, _, fingerprint, track_id in entries:
        if sha256 in tied:
            yield fingerprint, track_id


def _take_out(item: tuple[str, dict[str, Iterable[Any]]], settings: ShardSettings) -> Iterator[Any]:
    tied, work = set(item[1]["tied"]), Work()
    work.add(SPLIT_TIED, len(tied))
    yield count_work(work)
    for report in item[1]["reports"]:
        yield without_tied(report, tied, settings)
