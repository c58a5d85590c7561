"""The neighbours of a group's tracks: its candidates, with hubs ranked lower; and the rows of the table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.discovery.index.candidates import NO_CANDIDATE, candidate_rows, descending, products_of
from transforms.discovery.index.cells import Int64s
from transforms.discovery.index.duplicates import near_duplicates
from transforms.discovery.index.groups import IndexGroup
from transforms.discovery.index.job import NeighbourJob, opened_snapshot
from transforms.discovery.index.manifest import IndexFile
from transforms.discovery.index.pieces import fixed_lists, lists_of, read_facts, read_piece, write_pieces
from transforms.discovery.index.ranking import (
    DENSITY_UNITS,
    EarlierCandidates,
    Groups,
    densities_of,
    has_stirred,
    kept,
)
from transforms.discovery.index.row_numbers import RowValues, group_and_place
from transforms.discovery.similarity import Float32s, shown_similarities, stored_similarities
from transforms.formats.arrow import group_numbers

DAMPING = 0.25
"""Share of a neighbour's density that is taken off its similarity. `docs/quality.md` has the figures."""

_PAIRS = 256
"""Pairs that are compared at once: more would not fit into the caches of a core."""


def damp_group(job: NeighbourJob, group: int, size: int) -> tuple[IndexFile, Mapping[str, int]]:
    """Writes the rows of those of a group's tracks that have other neighbours than before, and all candidates.

    Hubs, which are near to many tracks, are ranked lower by cross-domain similarity local scaling (Conneau et al.,
    ICLR 2018) at half of its strength: the similarity, less a share of the density of the neighbour. The track's own
    density changes no rank. The neighbours of a track follow from its candidates and their densities. Its rows follow
    from its neighbours, if none of these tracks changed: so they stay if the neighbours do.

    Returns:
      The entry of the file of candidates, and `tracks_damped`: tracks that have other neighbours.
    """
    path, url = job.group_path(group, "candidates"), job.part("damped", group)
    if storage.exists(url):
        return IndexFile.of(path, storage.read_bytes(job.url(path)), size), read_facts(url)
    groups = Groups(job)
    if (is_untouched := groups.is_untouched(group)) and not any(has_stirred(job, n) for n in groups.near_groups(group)):
        return _kept_file(groups, group, size)
    keys, before = _candidates(groups, group, is_untouched=is_untouched)
    chosen = _chosen(groups, group, keys[:, : kept(job)])
    taken = candidate_rows(_taken(keys, chosen))
    is_new = groups.moves(group).origins < 0
    places = np.flatnonzero((taken != before).any(1) | is_new)
    rows = _neighbour_rows(groups, group, places, taken[places])
    near, twins = _earlier_neighbours(groups, group)
    near[places] = _laid_out(taken[places], rows["similarity"])
    track_ids = groups.group(group).track_ids
    twins[places] = np.asarray(pc.is_in(track_ids.take(pa.array(places)), value_set=_twins(rows)))
    data = _to_bytes(job, group, keys, chosen, near, twins)
    storage.ensure(job.url(path), data)
    facts = {"tracks_damped": len(places)}
    lonely = track_ids.take(pa.array(places[(taken[places] < 0).all(1)]))
    rows = pa.concat_tables([rows, _without_neighbours(lonely, rows.schema)])
    tracks = rows["track_id"].combine_chunks().dictionary_encode()
    buckets = _buckets(job)
    numbers = group_numbers(tracks.dictionary.to_pylist(), buckets)[np.asarray(tracks.indices)]
    write_pieces(url, rows, numbers, buckets, facts)
    return IndexFile.of(path, data, size), facts


def _kept_file(groups: Groups, group: int, size: int) -> tuple[IndexFile, Mapping[str, int]]:
    """Copies the candidates of a group of which neither these nor any of their densities changed."""
    job, base, facts = groups.job, groups.base, {"tracks_damped": 0}
    assert base is not None
    path, data = job.group_path(group, "candidates"), storage.read_bytes(job.url(base.candidates[group].path))
    storage.ensure(job.url(path), data)
    rows, buckets = _neighbour_rows(groups, group, np.zeros(0, np.int64), np.zeros((0, 0), np.int64)), _buckets(job)
    write_pieces(job.part("damped", group), rows, np.zeros(0, np.int64), buckets, facts)
    return IndexFile.of(path, data, size), facts


def _candidates(groups: Groups, group: int, *, is_untouched: bool) -> tuple[Int64s, Int64s]:
    """Keys of the candidates, and the rows of the earlier neighbours, see `rank_group`."""
    if is_untouched:
        earlier = EarlierCandidates(groups, group)
        return earlier.keys, earlier.before
    ranked = read_piece(groups.job.part("ranked", group), 0)
    return lists_of(ranked["keys"]), lists_of(ranked["before"])


def _buckets(job: NeighbourJob) -> int:
    return opened_snapshot(job.root, job.snapshot).buckets


def _earlier_neighbours(groups: Groups, group: int) -> tuple[Float32s, npt.NDArray[np.bool_]]:
    """Similarities of the neighbours in the earlier index, [n, k], and which tracks have a near-duplicate, [n]."""
    origins = groups.moves(group).origins
    near, twins = np.full((len(origins), groups.job.neighbours), np.nan, np.float32), np.zeros(len(origins), bool)
    if groups.base is not None:
        rows, own = groups.base_piece(group, ["similarity", "has_duplicate"]), np.flatnonzero(origins >= 0)
        near[own] = lists_of(rows["similarity"])[origins[own]]
        twins[own] = np.asarray(rows["has_duplicate"])[origins[own]]
    return near, twins


def _laid_out(taken: Int64s, values: pa.ChunkedArray) -> Float32s:
    """Values of the neighbours that there are, at their places: [n, k]; NaN for none."""
    found = np.full(taken.shape, np.nan, np.float32)
    found[taken >= 0] = np.asarray(values)
    return found


def _chosen(groups: Groups, group: int, keys: Int64s) -> npt.NDArray[np.int16]:
    """Places of the neighbours among the candidates, the best first; -1 for none: [n, neighbours].

    Of equally good ones, the first. Scores are whole numbers, so that they and their places are sorted at once.
    """
    if not len(keys):
        return np.zeros((0, groups.job.neighbours), np.int16)
    densities = RowValues({number: densities_of(groups.job, number) for number in groups.near_groups(group)})
    bits = keys.shape[1].bit_length()
    scores = products_of(keys) * round(DENSITY_UNITS / DAMPING) - densities.of(candidate_rows(keys))
    ranked = (scores << bits) - np.arange(keys.shape[1])
    ranked[keys == NO_CANDIDATE] = NO_CANDIDATE
    order = descending(ranked)[:, : groups.job.neighbours]
    return np.where(order == NO_CANDIDATE, -1, (-order) & ((1 << bits) - 1)).astype(np.int16)


def _taken(keys: Int64s, chosen: npt.NDArray[np.int16]) -> Int64s:
    """The keys of the neighbours; `NO_CANDIDATE` for none."""
    return np.where(chosen < 0, NO_CANDIDATE, np.take_along_axis(keys, np.maximum(chosen, 0).astype(np.int64), 1))


def _neighbour_rows(groups: Groups, group: int, places: Int64s, chosen: Int64s) -> pa.Table:
    """Rows of the table for tracks of a group by their places, with the rows of their neighbours: [n, neighbours]."""
    own = groups.group(group)
    number, slot = np.nonzero(chosen >= 0)
    track, rows = places[number], chosen[number, slot]
    found = _similarities(groups, own, track, rows)
    lengths = np.empty(len(rows), np.float32)
    for other, at, there in groups.by_group(rows):
        lengths[at] = groups.group(other).durations[there]
    same = near_duplicates(found, own.durations[track], lengths)
    others = _ids(groups, rows)
    columns = {
        "track_id": own.track_ids.take(pa.array(track)),
        "rank": pa.array((slot + 1).astype(np.int16)),
        "neighbour_id": others,
        "similarity": pa.array(shown_similarities(found)),
        "is_duplicate": pa.array(same),
        "duplicate_group": _duplicate_groups(own.track_ids, track, others, same).take(pa.array(track)),
    }
    return pa.table(columns)


def _without_neighbours(track_ids: pa.Array, schema: pa.Schema) -> pa.Table:
    """A row of rank 0 for each track that has no neighbour: it says that the earlier ones do not stay."""
    own = {"track_id": track_ids, "rank": pa.array([0] * len(track_ids), pa.int16())}
    columns = [own.get(field.name, pa.nulls(len(track_ids), field.type)) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _twins(rows: pa.Table) -> pa.Array:
    """The tracks that have a near-duplicate."""
    return pc.unique(rows["track_id"].filter(rows["is_duplicate"]))


def _similarities(groups: Groups, own: IndexGroup, track: Int64s, rows: Int64s) -> Float32s:
    """Exact similarities of tracks of a group, by their places, and rows among all."""
    found = np.zeros(len(rows), np.float32)
    for number, at, places in groups.by_group(rows):
        for start in range(0, len(at), _PAIRS):
            part, other = at[start : start + _PAIRS], places[start : start + _PAIRS]
            found[part] = stored_similarities(own.vectors[track[part]], groups.group(number).vectors[other])
    return found


def _ids(groups: Groups, rows: Int64s) -> pa.Array:
    """The track ids of rows."""
    order, parts = [], []
    for number, at, places in groups.by_group(rows):
        order.append(at)
        parts.append(groups.group(number).track_ids.take(pa.array(places)))
    if not parts:
        return pa.array([], pa.string())
    back = np.empty(len(rows), np.int64)
    back[np.concatenate(order)] = np.arange(len(rows))
    return pa.concat_arrays(parts).take(pa.array(back))


def _duplicate_groups(ids: pa.Array, track: Int64s, others: pa.Array, same: npt.NDArray[np.bool_]) -> pa.Array:
    """The smallest id among each track and its near-duplicates; null for a track that has none."""
    pairs = pa.table({"track": track[same], "id": others.filter(pa.array(same))})
    smallest = pairs.group_by("track", use_threads=False).aggregate([("id", "min")])
    own = ids.take(smallest["track"]).combine_chunks() if len(smallest) else pa.array([], pa.string())
    least = pc.min_element_wise(own, smallest["id_min"]) if len(smallest) else own
    return least.take(pc.index_in(pa.array(np.arange(len(ids))), value_set=smallest["track"].cast(pa.int64())))


def _to_bytes(
    job: NeighbourJob,
    group: int,
    keys: Int64s,
    chosen: npt.NDArray[np.int16],
    near: Float32s,
    twins: npt.NDArray[np.bool_],
) -> bytes:
    """The file of the candidates of a group, from which the next job starts: one Arrow record batch.

    Walks read the neighbours and their similarities, of the tracks that they visit.
    """
    columns = {
        "keys": fixed_lists(keys),
        "density": pa.array(densities_of(job, group)),
        "chosen": fixed_lists(chosen),
        "similarity": fixed_lists(near),
        "has_duplicate": pa.array(twins),
        "digest": read_piece(job.part("digests", group), 0)["digest"],
    }
    batch, sink = pa.record_batch(columns), pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def redone_rows(job: NeighbourJob, bucket: int, groups: int) -> pa.Table:
    """The rows of `neighbours` of those of a bucket's tracks that may have others than before, in any order.

    A track without neighbours has a row of rank 0.
    """
    pieces = [read_piece(job.part("damped", group), bucket) for group in range(groups)]
    return pa.Table.from_batches(pieces).replace_schema_metadata()


def occurrences(job: NeighbourJob, sizes: Sequence[int]) -> dict[str, Any]:
    """How often tracks are neighbours of others, with hubs ranked lower and without.

    Returns:
      `damped` and `undamped`, each with `skewness` of the number of occurrences, and `never`, the share of tracks that
      are nobody's neighbour; `duplicates`: tracks with a near-duplicate.
    """
    counts, duplicates = {name: [np.zeros(size, np.int32) for size in sizes] for name in ("damped", "undamped")}, 0
    for group, size in enumerate(sizes):
        piece = read_piece(job.url(job.group_path(group, "candidates")), 0)
        if not size:
            continue
        keys, chosen = lists_of(piece["keys"]), lists_of(piece["chosen"])
        for name, own in (("damped", _taken(keys, chosen)), ("undamped", keys[:, : job.neighbours])):
            _count(counts[name], candidate_rows(own[own != NO_CANDIDATE]))
        duplicates += int(np.asarray(piece["has_duplicate"]).sum())
    found = {name: _hubness(np.concatenate([np.zeros(0, np.int32), *count])) for name, count in counts.items()}
    return {**found, "duplicates": duplicates}


def _count(counts: list[npt.NDArray[np.int32]], rows: Int64s) -> None:
    """Adds 1 for each row."""
    groups, places = group_and_place(rows)
    order = np.argsort(groups, kind="stable")
    found, firsts = np.unique(groups[order], return_index=True)
    for group, start, stop in zip(found.tolist(), firsts, np.append(firsts, len(rows))[1:], strict=True):
        counts[group] += np.bincount(places[order[start:stop]], minlength=len(counts[group])).astype(np.int32)


def _hubness(counts: npt.NDArray[np.int32]) -> dict[str, float]:
    deviation = float(counts.std())
    skewness = float(np.power(counts - counts.mean(), 3).mean()) / deviation**3 if deviation else 0.0
    return {"skewness": round(skewness, 4), "never": round(float((counts == 0).mean()) if len(counts) else 0.0, 6)}
