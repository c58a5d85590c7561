"""The gate `source_rows` before a run extracts anything: which rows of sources cannot be used."""

import concurrent.futures

from transforms.fusion.settings import Fusion
from transforms.fusion.source_files import SourceShard, read_statements
from transforms.fusion.tally import RowTally, add_tallies, lost_share, lost_texts
from transforms.publishing.gates import GATE_BY_NAME, GateLimits

_GATE = GATE_BY_NAME["source_rows"]
_THREADS = 4


class LostSourceRows(Exception):
    """Too many rows of a source cannot be used. The message has the counts and the first rows of each outcome."""


def require_source_rows(tally: RowTally, fusion: Fusion, limits: GateLimits) -> None:
    """Refuses sources of which more rows than the limit of the gate cannot be used.

    Args:
      tally: what became of the rows, as far as it is known.
      fusion: the sources.
      limits: limits of the gates.

    Raises:
      LostSourceRows: more rows of a source cannot be used.
    """
    sources = [{"name": name, **tally.of_source(name)} for name in fusion.policy.names]
    value, limit = max(map(lost_share, sources), default=0.0), _GATE.limit(limits)
    if value <= limit:
        return
    lines = [
        f"gate {_GATE.name} (value {value:.6g}, limit {limit:.6g}): more than the fraction {limit:.4g} of the rows "
        f"of a source cannot be used: correct the source, or raise --gate {_GATE.name}=LIMIT"
    ]
    for text in lost_texts(sources):
        lines.append(f"  {text}, for example")
        (source,) = (one for one in sources if text.startswith(f"{one['name']}: "))
        lines += [f"    {outcome}: {row}" for outcome, rows in source["examples"].items() for row in rows]
    raise LostSourceRows("\n".join(lines))


def read_source_rows(fusion: Fusion) -> RowTally:
    """Reads all sources, and counts the rows that cannot be used whatever the catalog is. Memory is that of batches.

    Raises:
      CatalogError: a file is damaged.
    """
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
        return add_tallies(threads.map(lambda shard: _tally_of(shard, fusion), fusion.shards))


def _tally_of(shard: SourceShard, fusion: Fusion) -> RowTally:
    tally = RowTally()
    for statements, counted in read_statements(shard, fusion.policy, fusion.taxonomy):
        tally += counted + RowTally.of(shard.source, "used", statements.num_rows)
    return tally
