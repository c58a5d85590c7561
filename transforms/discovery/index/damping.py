"""The neighbours of a group's tracks: its candidates, with hubs ranked lower; and the rows of the table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.discovery.index.candidates import NO_CANDIDATE, candidate_rows, products_of
from transforms.discovery.index.cells import Int64s
from transforms.discovery.index.duplicates import near_duplicates
from transforms.discovery.index.groups import IndexGroup
from transforms.discovery.index.job import NeighbourJob, opened_snapshot
from transforms.discovery.index.manifest import IndexFile
from transforms.discovery.index.pieces import read_facts, read_piece, write_pieces
from transforms.discovery.index.ranking import Groups, densities_of, kept, width
from transforms.discovery.similarity import Float32s, shown_similarities, similarities
from transforms.formats.arrow import group_numbers

DAMPING = 0.25
"""Share of a neighbour's density that is taken off its similarity. `docs/quality.md` has the figures."""

_PAIRS = 4_096


def damp_group(job: NeighbourJob, group: int, sizes: Sequence[int]) -> tuple[IndexFile, Mapping[str, int]]:
    """Writes the neighbours of those of a group's tracks that may have others than before, and all candidates.

    Hubs, which are near to many tracks, are ranked lower by cross-domain similarity local scaling (Conneau et al.,
    ICLR 2018) at half of its strength: the similarity, less a share of the density of the neighbour. The track's own
    density changes no rank. The neighbours of a track follow from its candidates and their densities; if none of them
    changed, they stay.

    Returns:
      The entry of the file of candidates, and `tracks_damped`: tracks whose neighbours were chosen again.
    """
    path, url = job.group_path(group, "candidates"), job.part("damped", group)
    if storage.exists(url):
        return IndexFile.of(path, storage.read_bytes(job.url(path)), sizes[group]), read_facts(url)
    groups, ranked = Groups(job, sizes), read_piece(job.part("ranked", group), 0)
    keys = _keys(job, ranked)
    again = np.asarray(ranked["listed"]) | _reached(groups, candidate_rows(keys[:, : kept(job)]))
    chosen, twins = _earlier(groups, group)
    chosen[again] = _chosen(groups, keys[again, : kept(job)])
    places = np.flatnonzero(again)
    rows = _neighbour_rows(groups, group, places, candidate_rows(_taken(keys[again], chosen[again])))
    lonely = groups.group(group).track_ids.take(pa.array(places[(chosen[again] < 0).all(1)]))
    twins[places] = np.asarray(pc.is_in(groups.group(group).track_ids.take(pa.array(places)), value_set=_twins(rows)))
    data = _to_bytes(keys, densities_of(job, group).values, chosen, twins)
    storage.ensure(job.url(path), data)
    facts = {"tracks_damped": len(places)}
    buckets = opened_snapshot(job.root, job.snapshot).buckets
    rows = pa.concat_tables([rows, _without_neighbours(lonely, rows.schema)])
    tracks = rows["track_id"].combine_chunks().dictionary_encode()
    numbers = group_numbers(tracks.dictionary.to_pylist(), buckets)[np.asarray(tracks.indices)]
    write_pieces(url, rows, numbers, buckets, facts)
    return IndexFile.of(path, data, sizes[group]), facts


def _keys(job: NeighbourJob, rows: pa.RecordBatch) -> Int64s:
    return np.asarray(rows["keys"].flatten()).reshape(-1, width(job))


def _reached(groups: Groups, rows: Int64s) -> npt.NDArray[np.bool_]:
    """Whether the density of one of the candidates changed: bool [n]."""
    found = groups.gathered(rows, lambda number: densities_of(groups.job, number).stirred)
    return np.asarray((found != 0).any(1))


def _earlier(groups: Groups, group: int) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    """Places of the neighbours among the candidates in the earlier index, [n, k], and who has a near-duplicate, [n]."""
    origins = groups.moves(group).origins
    chosen = np.full((len(origins), groups.job.neighbours), -1, np.int16)
    twins = np.zeros(len(origins), bool)
    if groups.base is not None:
        rows = read_piece(groups.job.url(groups.base.candidates[group].path), 0)
        own = np.flatnonzero(origins >= 0)
        chosen[own] = np.asarray(rows["chosen"].flatten()).reshape(-1, chosen.shape[1])[origins[own]]
        twins[own] = np.asarray(rows["has_duplicate"])[origins[own]]
    return chosen, twins


def _chosen(groups: Groups, keys: Int64s) -> npt.NDArray[np.int16]:
    """Places of the neighbours among the candidates, the best first; -1 for none: [n, neighbours]."""
    densities = groups.gathered(candidate_rows(keys), lambda number: densities_of(groups.job, number).values)
    scores = np.where(keys == NO_CANDIDATE, -np.inf, products_of(keys) - DAMPING * densities)
    order = np.argsort(-scores, axis=1, kind="stable")[:, : groups.job.neighbours].astype(np.int16)
    return np.where(np.take_along_axis(keys, order.astype(np.int64), 1) == NO_CANDIDATE, -1, order).astype(np.int16)


def _taken(keys: Int64s, chosen: npt.NDArray[np.int16]) -> Int64s:
    """The keys of the neighbours; `NO_CANDIDATE` for none."""
    return np.where(chosen < 0, NO_CANDIDATE, np.take_along_axis(keys, np.maximum(chosen, 0).astype(np.int64), 1))


def _neighbour_rows(groups: Groups, group: int, places: Int64s, chosen: Int64s) -> pa.Table:
    """Rows of the table for tracks of a group by their places, with the rows of their neighbours: [n, neighbours]."""
    own = groups.group(group)
    number, slot = np.nonzero(chosen >= 0)
    track, rows = places[number], chosen[number, slot]
    found = _similarities(groups, own, track, rows)
    lengths = groups.gathered(rows, lambda number: groups.group(number).durations).astype(np.float32)
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
    for number, which, places in groups.numbers(rows):
        at = np.flatnonzero(which)
        for start in range(0, len(at), _PAIRS):
            part, other = at[start : start + _PAIRS], places[start : start + _PAIRS]
            pair = own.vectors[track[part]], groups.group(number).vectors[other]
            found[part] = similarities(*(vectors.astype(np.float32) for vectors in pair))
    return found


def _ids(groups: Groups, rows: Int64s) -> pa.Array:
    """The track ids of rows."""
    order, parts = [], []
    for number, own, places in groups.numbers(rows):
        order.append(np.flatnonzero(own))
        parts.append(groups.group(number).track_ids.take(pa.array(places)))
    if not parts:
        return pa.array([], pa.string())
    back = np.argsort(np.concatenate(order), kind="stable")
    return pa.concat_arrays(parts).take(pa.array(back))


def _duplicate_groups(ids: pa.Array, track: Int64s, others: pa.Array, same: npt.NDArray[np.bool_]) -> pa.Array:
    """The smallest id among each track and its near-duplicates; null for a track that has none."""
    pairs = pa.table({"track": track[same], "id": others.filter(pa.array(same))})
    smallest = pairs.group_by("track", use_threads=False).aggregate([("id", "min")])
    own = ids.take(smallest["track"]).combine_chunks() if len(smallest) else pa.array([], pa.string())
    least = pc.min_element_wise(own, smallest["id_min"]) if len(smallest) else own
    return least.take(pc.index_in(pa.array(np.arange(len(ids))), value_set=smallest["track"].cast(pa.int64())))


def _to_bytes(
    keys: Int64s, density: npt.NDArray[np.float64], chosen: npt.NDArray[np.int16], twins: npt.NDArray[np.bool_]
) -> bytes:
    """The file of the candidates of a group, from which the next job starts: one Arrow record batch."""
    columns = {
        "keys": pa.FixedSizeListArray.from_arrays(pa.array(keys.ravel()), keys.shape[1]),
        "density": pa.array(density),
        "chosen": pa.FixedSizeListArray.from_arrays(pa.array(chosen.ravel()), chosen.shape[1]),
        "has_duplicate": pa.array(twins),
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
    counts = {name: np.zeros(sum(sizes), np.int32) for name in ("damped", "undamped")}
    duplicates = 0
    for group, size in enumerate(sizes):
        piece = read_piece(job.url(job.group_path(group, "candidates")), 0)
        if not size:
            continue
        keys, chosen = _keys(job, piece), np.asarray(piece["chosen"].flatten()).reshape(size, -1)
        for name, own in (("damped", _taken(keys, chosen)), ("undamped", keys[:, : job.neighbours])):
            np.add.at(counts[name], candidate_rows(own[own != NO_CANDIDATE]), 1)
        duplicates += int(np.asarray(piece["has_duplicate"]).sum())
    return {**{name: _hubness(count) for name, count in counts.items()}, "duplicates": duplicates}


def _hubness(counts: npt.NDArray[np.int32]) -> dict[str, float]:
    deviation = float(counts.std())
    skewness = float(np.power(counts - counts.mean(), 3).mean()) / deviation**3 if deviation else 0.0
    return {"skewness": round(skewness, 4), "never": round(float((counts == 0).mean()) if len(counts) else 0.0, 6)}
