"""Joins what sources say to the catalog rows of a bucket, as two columns that are not published."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.formats.arrow import group_numbers
from transforms.formats.hashing import short_id
from transforms.fusion.policy import CATALOG_SOURCE, Policy
from transforms.fusion.source_files import STATEMENTS, SUBJECT_KEYS
from transforms.fusion.tally import IGNORED, MOST_LOST_EXAMPLES, REPEATED, UNKNOWN_ID, UNKNOWN_TAG, USED, RowTally
from transforms.schemas.fusion import SAID, SAID_ID, SAID_TYPE
from transforms.taxonomy.hierarchy import Taxonomy


class Joined(NamedTuple):
    """Catalog rows with the columns `SAID` and `SAID_ID`, and what became of the rows of the sources.

    `rows` is None for a bucket without catalog rows.
    """

    rows: pa.Table | None
    tally: RowTally


def spread_statements(
    key: str, statements: pa.Table | None, pairs: pa.Table | None, buckets: int
) -> tuple[pa.Table, RowTally]:
    """Gives each track what sources say about its artist or album.

    Args:
      key: `artist_id` or `album_id`.
      statements: all rows of sources about some artists or albums.
      pairs: `track_id` and `key` of all tracks of these artists or albums.
      buckets: number of buckets of the table.

    Returns:
      What is said about the tracks, as `STATEMENTS` and `bucket`; and what became of the rows.
    """
    statements = STATEMENTS.empty_table() if statements is None else statements
    names = pa.array([], pa.string()) if pairs is None else pairs[key].combine_chunks()
    distinct, tally = _distinct(statements)
    known = pc.is_in(distinct["key"], value_set=names)
    tally += _strangers(distinct.filter(pc.invert(known)), key)
    used = distinct.filter(known)
    tally += _counted(used, USED)
    if pairs is None or not used.num_rows:
        return STATEMENTS.empty_table().append_column("bucket", pa.array([], pa.int64())), tally
    numbered = pairs.append_column("pair", pa.array(np.arange(pairs.num_rows)))
    joined = used.join(numbered.select([key, "pair"]), "key", key, "inner")
    tracks = pairs["track_id"].take(joined["pair"]).combine_chunks()
    spread_rows = pa.table({"key": tracks, **{name: joined[name] for name in STATEMENTS.names[1:]}}).cast(STATEMENTS)
    return spread_rows.append_column("bucket", pa.array(group_numbers(tracks.to_pylist(), buckets))), tally


def key_pairs(rows: pa.Table, key: str) -> pa.Table:
    """`track_id` and `key` of the catalog rows that have an artist or album."""
    return rows.select(["track_id", key]).filter(pc.is_valid(rows[key]))


def join_bucket(
    rows: pa.Table | None, said: Sequence[pa.Table], spread_said: Sequence[pa.Table], policy: Policy, taxonomy: Taxonomy
) -> Joined:
    """Joins what sources say to the catalog rows of a bucket.

    Args:
      rows: catalog rows, sorted by track_id, one per id; None if the bucket has none.
      said: rows of sources about tracks of this bucket, as `STATEMENTS`.
      spread_said: what `spread_statements` returned for its tracks. It is counted there.
      policy: the sources.
      taxonomy: resolves the tags of the catalog.
    """
    own, tally = _distinct(pa.concat_tables([STATEMENTS.empty_table(), *said]))
    ids = pa.array([], pa.string()) if rows is None else rows["track_id"].combine_chunks()
    known = pc.is_in(own["key"], value_set=ids)
    tally += _strangers(own.filter(pc.invert(known)), SUBJECT_KEYS[0])
    own = own.filter(known)
    tally += _counted(own, USED)
    if rows is None:
        return Joined(None, tally)
    of_catalog, counted = _catalog_statements(rows, policy, taxonomy)
    together = _sorted(pa.concat_tables([own, of_catalog, *spread_said]), ids, policy)
    lists, said_ids = _lists(len(ids), together), _fusion_ids(len(ids), together, policy)
    tally += counted + RowTally(tracks=len(ids) - lists.null_count)
    joined = rows.append_column(pa.field(SAID, SAID_TYPE), lists).append_column(SAID_ID, said_ids)
    return Joined(joined, tally)


def _catalog_statements(rows: pa.Table, policy: Policy, taxonomy: Taxonomy) -> tuple[pa.Table, RowTally]:
    """The annotations of the catalog as `STATEMENTS`, and what became of them."""
    if CATALOG_SOURCE not in policy.names:
        return STATEMENTS.empty_table(), RowTally()
    lists = rows["tags"].combine_chunks()
    entries, parent = pc.list_flatten(lists), pc.list_parent_indices(lists)
    encoded = pc.struct_field(entries, "tag").dictionary_encode()
    found = [taxonomy.resolve(tag) for tag in encoded.dictionary.to_pylist()]
    wanted = [tag if tag and policy.uses(CATALOG_SOURCE, tag.partition("/")[0]) else None for tag in found]
    resolved, tags = (pa.array(ids, pa.string()).take(encoded.indices) for ids in (found, wanted))
    unknown = pc.struct_field(entries, "tag").filter(pc.is_null(resolved))
    mask = pc.is_valid(tags)
    values = {
        "key": rows["track_id"].combine_chunks().take(parent).filter(mask),
        "source": pa.repeat(CATALOG_SOURCE, len(tags) - tags.null_count),
        "tag": tags.filter(mask),
        "weight": pc.fill_null(pc.struct_field(entries, "weight"), 1.0).filter(mask),
    }
    statements, tally = _distinct(pa.table(values).cast(STATEMENTS))
    tally += RowTally.of(CATALOG_SOURCE, IGNORED, tags.null_count - resolved.null_count)
    tally += RowTally.of(
        CATALOG_SOURCE, UNKNOWN_TAG, len(unknown), (f"tag {tag}" for tag in pc.unique(unknown).to_pylist())
    )
    return statements, tally + _counted(statements, USED)


def _distinct(statements: pa.Table) -> tuple[pa.Table, RowTally]:
    """One row for each key, source and tag, with the highest weight; and the number of the others."""
    found = statements.group_by(["key", "source", "tag"]).aggregate([("weight", "max"), ("weight", "count")])
    more = pc.subtract(found["weight_count"], 1)
    tally = RowTally()
    if pc.sum(more).as_py():
        repeated = pa.table({"source": found["source"], "more": more}).group_by("source").aggregate([("more", "sum")])
        for row in repeated.to_pylist():
            tally += RowTally.of(row["source"], REPEATED, row["more_sum"])
    distinct = pa.table([found["key"], found["source"], found["tag"], found["weight_max"]], names=STATEMENTS.names)
    return distinct.cast(STATEMENTS), tally


def _counted(statements: pa.Table, outcome: str) -> RowTally:
    counts = pc.value_counts(statements["source"].combine_chunks()).to_pylist()
    tally = RowTally()
    for row in counts:
        tally += RowTally.of(row["values"], outcome, row["counts"])
    return tally


def _strangers(statements: pa.Table, key: str) -> RowTally:
    """Rows about tracks, artists or albums that the catalog does not have."""
    tally = RowTally()
    for name in pc.unique(statements["source"]).to_pylist():
        own = statements.filter(pc.equal(statements["source"], name))
        first = own.sort_by("key")["key"].slice(0, MOST_LOST_EXAMPLES).to_pylist()
        tally += RowTally.of(name, UNKNOWN_ID, own.num_rows, (f"{key} {value}" for value in first))
    return tally


def _sorted(statements: pa.Table, ids: pa.Array, policy: Policy) -> pa.Table:
    """The rows by track, source in the order of the policy, and tag; with the places of track and source."""
    numbered = statements.append_column("place", pc.index_in(statements["key"], value_set=ids)).append_column(
        "order", pc.index_in(statements["source"], value_set=pa.array(policy.names, pa.string()))
    )
    keys = [(name, "ascending") for name in ("place", "order", "tag")]
    return numbered.take(pc.sort_indices(numbered, sort_keys=keys)).combine_chunks()


def _bounds(tracks: int, statements: pa.Table) -> tuple[pa.Array, np.ndarray]:
    """Offsets of each track's rows among sorted rows, int32 [tracks + 1]; and whether it has none, bool [tracks]."""
    counts = np.bincount(statements["place"].to_numpy(), minlength=tracks)
    return pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)), counts == 0


def _lists(tracks: int, statements: pa.Table) -> pa.Array:
    offsets, none = _bounds(tracks, statements)
    fields = list(SAID_TYPE.value_type)
    values = pa.StructArray.from_arrays([_one(statements[field.name]) for field in fields], fields=fields)
    return pa.ListArray.from_arrays(offsets, values, type=SAID_TYPE, mask=pa.array(none))


def _fusion_ids(tracks: int, statements: pa.Table, policy: Policy) -> pa.Array:
    """A hash of what is said about each track, and of the rules of the sources that say it; null if nothing is said."""
    offsets, none = _bounds(tracks, statements)
    rules = pa.array([source.digest for source in policy.sources], pa.string()).take(_one(statements["order"]))
    bits = pa.array(statements["weight"].to_numpy().astype(np.float32).view(np.int32)).cast(pa.string())
    text = pc.binary_join_element_wise(rules, _one(statements["tag"]), bits, "\t")
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, text), "\n").to_pylist()
    found = [None if empty else short_id("fu", line) for line, empty in zip(joined, none.tolist(), strict=True)]
    return pa.array(found, pa.string())


def _one(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
