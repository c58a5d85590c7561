"""Whether the audio of a catalog is where its uris say: a sample is looked up before a job begins.

Only names beneath the allowed roots are looked up, and nothing is opened.
"""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.checks.in_time import answers_in_time
from pipelines.checks.nearby import Nearby, find_root
from pipelines.terminal.errors import UsageError
from transforms import storage
from transforms.catalog.reader import CatalogShard, read_shard
from transforms.storage import SourceRoots
from transforms.taxonomy.tag_ids import shown
from transforms.telemetry.phases import phase

_log = logging.getLogger(__name__)

SAMPLED = 50
"""Sources of a catalog that are looked up."""

MOST_SHARDS, MOST_ROWS_READ = 10, 5_000
"""The sample is spread over the first rows of this many shards, and at most so many rows of each."""

LOOK_UP_S, _THREADS = 15.0, 10
"""Longest time for all look-ups, and how many run at the same time."""

_Item = TypeVar("_Item")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LookedUp:
    """A sample of the sources of a catalog.

    Attributes:
      rows: the sampled catalog rows.
      there: uri -> whether its file exists. Uris without an answer, and those outside of the roots, are missing.
      refused: remedies for uris that are outside of the allowed roots.
    """

    rows: pa.Table
    there: dict[str, bool]
    refused: list[str]

    @property
    def missing(self) -> list[str]:
        """The uris whose files do not exist, in the order of the sample."""
        return [uri for uri in self.rows["uri"].to_pylist() if self.there.get(uri) is False]


def look_up_sources(shards: Sequence[CatalogShard], roots: SourceRoots, *, labelled: bool = False) -> LookedUp:
    """Looks up a sample of sources, in limited time.

    Args:
      shards: the catalog.
      roots: where sources may be.
      labelled: whether only rows with tags are sampled, because the others are not read.
    """
    rows = sampled_rows(shards, labelled=labelled)
    check = roots.check()
    refusals = {uri: check.refusal(roots.url(uri)) for uri in rows["uri"].to_pylist()}
    there = answers_in_time(
        [uri for uri, refusal in refusals.items() if refusal is None],
        lambda uri: storage.exists(roots.url(uri)),
        seconds=LOOK_UP_S,
        threads=_THREADS,
    )
    refused = [refusal.remedy for refusal in refusals.values() if refusal is not None]
    return LookedUp(rows=rows, there=there, refused=refused)


def sampled_rows(shards: Sequence[CatalogShard], *, labelled: bool = False) -> pa.Table:
    """At most `SAMPLED` valid rows, spread over the shards; only the first rows of some shards are read."""
    chosen = list(spread(shards, MOST_SHARDS))
    each = -(-SAMPLED // max(len(chosen), 1))
    found = [shards[0].schema.empty_table()]
    for shard in chosen:
        rows = _first_rows(shard)
        if labelled:
            rows = rows.filter(pc.greater(pc.fill_null(pc.list_value_length(rows["tags"]), 0), 0))
        found.append(rows.take(pa.array(spread(range(rows.num_rows), each), pa.int64())))
    return pa.concat_tables(found).slice(0, SAMPLED)


def _first_rows(shard: CatalogShard) -> pa.Table:
    batches, count = [], 0
    for batch, _ in read_shard(shard, batch_rows=1024):
        batches.append(batch)
        count += batch.num_rows
        if count >= MOST_ROWS_READ:
            break
    return pa.Table.from_batches(batches, shard.schema)


def spread(items: Sequence[_Item], most: int) -> Iterator[_Item]:
    """At most so many of the items, at equal distances, the first and the last among them.

    >>> list(spread(range(100), 4)), list(spread("ab", 4))
    ([0, 33, 66, 99], ['a', 'b'])
    """
    count = min(len(items), most)
    for number in range(count):
        yield items[round(number * (len(items) - 1) / max(count - 1, 1))]


def require_sources(
    shards: Sequence[CatalogShard],
    roots: SourceRoots,
    *,
    default_root: str,
    labelled: bool = False,
    refuse: bool = True,
    needed: Callable[[pa.Table], Iterable[str]] | None = None,
) -> None:
    """Ends a job none of whose sources are there; if only some are missing, a warning says how many.

    Args:
      shards: the catalog.
      roots: where sources may be.
      default_root: the catalog's folder, from which uris start if no other root is given.
      labelled: whether only rows with tags are read.
      refuse: whether the job ends. If not, there is a warning: the user accepts any number of rejects, or the workers
        may see other local files than this machine.
      needed: returns the ids of those sampled tracks that the job would read; by default all. Only asked if all sources
        are missing.

    Raises:
      UsageError: none of the sampled sources is there, and all of them would be read.
    """
    with phase("looking up a sample of the sources"):
        looked_up = look_up_sources(shards, roots, labelled=labelled)
        missing, count = looked_up.missing, len(looked_up.there)
        if not missing:
            return
        example = f"{shown(missing[0])} was looked up as {_complete(roots.url(missing[0]))}"
        if len(missing) < count:
            _log.warning("%d of %d sampled sources are not there, for example %s", len(missing), count, example)
            return
        ids = set(_ids(looked_up))
        read = ids if needed is None else ids & set(needed(looked_up.rows))
        if not read:
            return
        nearby = find_root(missing, roots, default_root)
    text = f"none of {count} sampled sources is there: for example, {example}; {_advice(missing, roots, nearby)}"
    if refuse and read == ids:
        raise UsageError(text)
    _log.warning("%s", text)


def _complete(url: str) -> str:
    """A URL, or the full path of a local file."""
    return storage.redact(url if "://" in url else str(Path(url).absolute()))


def _ids(looked_up: LookedUp) -> Iterator[str]:
    """The ids of the tracks whose sources are missing."""
    for track_id, uri in zip(looked_up.rows["track_id"].to_pylist(), looked_up.rows["uri"].to_pylist(), strict=True):
        if looked_up.there.get(uri) is False:
            yield track_id


def _advice(missing: Sequence[str], roots: SourceRoots, nearby: Nearby | None) -> str:
    start = f"relative uris start from {_complete(roots.catalog_root)} (--catalog-root, or else the catalog's folder)"
    if nearby is not None and nearby.root is not None:
        return f"{start}; with --catalog-root {nearby.root}, {nearby.found} of {nearby.tried} are there"
    if nearby is not None:
        found = f"{nearby.found} of {nearby.tried} are in {nearby.base}"
        return f"without their beginning {shown(nearby.dropped)}, {found}: correct the uris in the catalog"
    if all(storage.is_absolute(uri) for uri in missing):
        return "these uris are absolute, so --catalog-root does not change them: correct them, or mount their folder"
    return f"{start}: give the folder that they start from as --catalog-root"
