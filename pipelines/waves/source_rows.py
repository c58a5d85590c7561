"""The sources of a local run, grouped by bucket on disk and joined to the catalog rows."""

import pyarrow as pa

from transforms.catalog.problems import CatalogError, FirstProblems
from transforms.formats.arrow import group_numbers, to_ipc
from transforms.formats.grouped_rows import GroupedRows, GroupWriter
from transforms.fusion.joining import join_bucket, key_pairs, spread_statements
from transforms.fusion.settings import Fusion
from transforms.fusion.source_files import SUBJECT_KEYS, read_statements
from transforms.fusion.tally import RowTally
from transforms.telemetry.phases import Phase, phase


def join_sources(
    rows: GroupedRows, fusion: Fusion, buckets: int, problems: FirstProblems
) -> tuple[GroupedRows, RowTally]:
    """Joins what sources say to catalog rows. Memory is that of a bucket, and of a bucket of artists or albums.

    Args:
      rows: catalog rows by bucket. They are replaced by the result.
      fusion: the sources.
      buckets: number of buckets.
      problems: gets the files that cannot be read.

    Returns:
      The rows with the columns `SAID` and `SAID_ID`, and what became of the rows of the sources.
    """
    scratch = rows.scratch
    said = {key: GroupedRows(scratch, f"said-{key}") for key in SUBJECT_KEYS}
    further = GroupedRows(scratch, "said-spread")
    with phase("reading sources", total=sum(shard.part.count for shard in fusion.shards), unit="rows") as reading:
        tally = _read(fusion, said, buckets, problems, reading)
    for key in fusion.group_keys:
        with phase(f"giving tracks what is said by {key}"):
            tally += _spread(rows, key, said[key], further, buckets)
    joined = GroupedRows(scratch, "joined")
    with phase("joining sources to tracks"):
        filled = set(rows.numbers())
        for bucket in sorted({*filled, *said[SUBJECT_KEYS[0]].numbers()}):
            own = rows.group(bucket).sort_by("track_id") if bucket in filled else None
            found, counted = join_bucket(
                own,
                list(said[SUBJECT_KEYS[0]].pieces(bucket)),
                list(further.pieces(bucket)),
                fusion.policy,
                fusion.taxonomy,
            )
            tally += counted
            if found is not None:
                joined.append(bucket, to_ipc(found))
                rows.remove(bucket)
            said[SUBJECT_KEYS[0]].remove(bucket)
            further.remove(bucket)
    return joined, tally


def _read(
    fusion: Fusion, said: dict[str, GroupedRows], buckets: int, problems: FirstProblems, reading: Phase
) -> RowTally:
    """Reads all sources, and groups their rows by the hash of what they are about."""
    tally = RowTally()
    for shard in fusion.shards:
        try:
            with GroupWriter(said[shard.key]) as writer:
                for statements, counted in read_statements(shard, fusion.policy, fusion.taxonomy):
                    tally += counted
                    reading.add(statements.num_rows + counted.counts.total())
                    writer.add(statements, group_numbers(statements["key"].to_pylist(), buckets))
        except CatalogError as error:
            problems.add(error.problems)
    return tally


def _spread(rows: GroupedRows, key: str, said: GroupedRows, further: GroupedRows, buckets: int) -> RowTally:
    """Gives each track what is said about its artist or album."""
    pairs, tally = GroupedRows(rows.scratch, f"pairs-{key}"), RowTally()
    with GroupWriter(pairs) as writer:
        for bucket in rows.numbers():
            found = key_pairs(rows.group(bucket), key)
            writer.add(found, group_numbers(found[key].to_pylist(), buckets))
    filled = set(pairs.numbers())
    with GroupWriter(further) as writer:
        for group in said.numbers():
            own = pa.concat_tables(said.pieces(group))
            known = pairs.group(group) if group in filled else None
            tracks, counted = spread_statements(key, own, known, buckets)
            tally += counted
            writer.add(tracks.drop_columns("bucket"), tracks["bucket"].to_numpy())
            said.remove(group)
    for group in filled:
        pairs.remove(group)
    return tally
