"""Decides for every track of a catalog what a run would do with it, bucket by bucket."""

import concurrent.futures
import functools
import hashlib
import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.terminal.errors import CommandFailed
from pipelines.waves.catalog_rows import group_catalog, sorted_bucket
from pipelines.waves.source_rows import join_sources
from pipelines.waves.tagging import TagStages, problems_of_bucket
from transforms.catalog.problems import FirstProblems
from transforms.extraction.source import Source
from transforms.formats.arrow import from_ipc
from transforms.formats.grouped_rows import GroupedRows
from transforms.publishing.receipts import Receipt
from transforms.publishing.source_rows import require_source_rows
from transforms.storage.scratch import open_scratch
from transforms.tagging.forecast import LISTED_BYTES, Forecast
from transforms.tagging.planning import plan_bucket
from transforms.telemetry.cpu import CoreTime


class CatalogPlan(NamedTuple):
    """The plan of a catalog.

    Attributes:
      forecast: counts of all tracks.
      core_seconds: processor time of the decision.
      sample: tracks to extract, the first ones in the order of a hash of their ids.
      rows: the catalog rows of the sample, sorted by track_id.
    """

    forecast: Forecast
    core_seconds: float
    sample: list[Source]
    rows: pa.Table | None


class CatalogProblems(CommandFailed):
    """The catalog has problems, so that nothing can be planned."""


_Drawn = tuple[bytes, int, Source]
"""Hash of a track's id, its bucket, and the track."""


def plan_catalog(stages: TagStages, *, threads: int, sample: int = 0) -> CatalogPlan:
    """Reads a catalog as a local run does, and decides as it does. Memory is that of a few buckets.

    Args:
      stages: settings of the run.
      threads: buckets that are decided at the same time.
      sample: number of tracks of the sample.

    Raises:
      CatalogProblems: the catalog has problems, which the message lists.
      LostSourceRows: too many rows of a source cannot be used.
    """
    with open_scratch() as scratch:
        rows, problems = GroupedRows(scratch, "rows"), FirstProblems()
        check = functools.partial(problems_of_bucket, stages)
        group_catalog(
            stages.shards,
            rows,
            stages.embed.roots,
            stages.buckets,
            problems,
            check=check,
            sizes=True,
            sample=stages.assemble.known.sample,
        )
        if stages.fusion is not None and not problems.sample().count:
            rows, tally = join_sources(rows, stages.fusion, stages.buckets, problems)
            require_source_rows(tally, stages.fusion, stages.record.limits)
        if (found := problems.sample()).count:
            receipt = Receipt(run_id=None, problem_count=found.count, problems=found.lines)
            raise CatalogProblems(receipt.problem_report("planned"))
        forecast, spent, drawn = Forecast(), 0.0, list[_Drawn]()
        plan = functools.partial(_plan, stages, rows, sample)
        for one, seconds, some in in_parallel(plan, rows.numbers(), threads):
            forecast.add(one)
            spent += seconds
            drawn = heapq.nsmallest(sample, [*drawn, *some], key=lambda entry: entry[0])
        return CatalogPlan(forecast, spent, [source for _, _, source in drawn], _rows_of(drawn, rows))


_Planned = tuple[Forecast, float, list[_Drawn]]
_Found = TypeVar("_Found")


def in_parallel(look: Callable[[int], _Found], buckets: Iterable[int], threads: int) -> Iterator[_Found]:
    """Yields what `look` returns for each bucket. At most `threads` buckets are in memory."""
    left = iter(buckets)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        while wave := list(itertools.islice(left, 8 * threads)):
            yield from pool.map(look, wave)


def _plan(stages: TagStages, rows: GroupedRows, sample: int, bucket: int) -> _Planned:
    own = from_ipc(sorted_bucket(bucket, rows))
    with CoreTime() as core:
        plan = plan_bucket(stages.assemble.known, bucket, own, stages.chunk_tracks)
    sources = itertools.chain.from_iterable(chunk.tracks for chunk in plan.chunks)  # in the order of their hashes
    drawn = [(_hash(source), bucket, source) for source in itertools.islice(sources, sample)]
    return plan.forecast, core.microseconds / 1e6, drawn


def _hash(source: Source) -> bytes:
    return hashlib.sha256(source.track_id.encode()).digest()


def _rows_of(drawn: Sequence[_Drawn], rows: GroupedRows) -> pa.Table | None:
    """The catalog rows of some tracks, sorted by track_id; None if there are no tracks."""
    ids = {bucket: [source.track_id for _, own, source in drawn if own == bucket] for _, bucket, _ in drawn}
    found = [_filtered(rows.group(bucket), own) for bucket, own in ids.items()]
    return pa.concat_tables(found).drop_columns(LISTED_BYTES).sort_by("track_id") if found else None


def _filtered(rows: pa.Table, track_ids: Iterable[str]) -> pa.Table:
    return rows.filter(pc.is_in(rows["track_id"], value_set=pa.array(list(track_ids), pa.string())))
