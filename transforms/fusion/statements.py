"""What sources say about the tags of tracks, as probabilities: after their trust, with what the hierarchy implies."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.fusion.policy import Policy, SourceRules
from transforms.schemas.fusion import SAID
from transforms.taxonomy.hierarchy import Taxonomy

BLOCK_TRACKS = 2048
"""Tracks whose statements are in memory at once as one number for each tag."""

Floats = npt.NDArray[np.float64]


class Entries(NamedTuple):
    """What each source says about tags, one entry for each track, tag and source.

    Attributes:
      track: row of the track, int [entries].
      tag: column of the tag, int [entries].
      source: place of the source in the policy, int [entries].
      weight: probability of the tag according to the source, after its trust, float32 [entries].
    """

    track: npt.NDArray[np.intp]
    tag: npt.NDArray[np.intp]
    source: npt.NDArray[np.intp]
    weight: npt.NDArray[np.float32]

    @classmethod
    def joined(cls, parts: Sequence["Entries"]) -> Self:
        """All entries, sorted by tag, track and source."""
        places = [np.concatenate([np.array([], np.intp), *(part[i] for part in parts)]) for i in range(3)]
        order = np.lexsort((places[2], places[0], places[1]))
        weights = np.concatenate([np.array([], np.float32), *(part.weight for part in parts)])
        return cls(places[0][order], places[1][order], places[2][order], weights[order])


def entries_of(place: npt.NDArray[np.intp], said: Sequence[Floats]) -> Entries:
    """The entries of a block.

    Args:
      place: rows of its tracks.
      said: what each source says, float64 [tracks, tags], NaN if nothing.
    """
    parts = []
    for number, one in enumerate(said):
        row, column = np.nonzero(~np.isnan(one))
        parts.append(Entries(place[row], column, np.full(len(row), number), one[row, column].astype(np.float32)))
    return Entries.joined(parts)


def stated_blocks(
    rows: pa.Table, policy: Policy, taxonomy: Taxonomy
) -> Iterator[tuple[npt.NDArray[np.intp], list[Floats]]]:
    """Yields tracks of which something is said, and the weights of each source, float64 [tracks, tags], NaN if none."""
    lists = rows[SAID].combine_chunks()
    tracks = np.flatnonzero(lists.is_valid().to_numpy(zero_copy_only=False))
    for begin in range(0, len(tracks), BLOCK_TRACKS):
        place = tracks[begin : begin + BLOCK_TRACKS]
        block = lists.take(pa.array(place))
        entries, row = pc.list_flatten(block), pc.list_parent_indices(block).to_numpy()
        source, tag = (
            pc.index_in(pc.struct_field(entries, name), value_set=pa.array(values, pa.string())).to_numpy()
            for name, values in (("source", policy.names), ("tag", taxonomy.tag_ids))
        )
        weight = pc.struct_field(entries, "weight").to_numpy()
        stated = [np.full((len(place), len(taxonomy.tags)), np.nan) for _ in policy.sources]
        for number, own in enumerate(stated):
            mine = source == number
            own[row[mine], tag[mine]] = weight[mine]
        yield place, stated


def said_by(source: SourceRules, stated: Floats, taxonomy: Taxonomy) -> Floats:
    """What one source says about the tags of tracks: probabilities, float64 [tracks, tags], NaN if nothing.

    Args:
      source: the source.
      stated: the weights that it gives, float64 [tracks, tags], NaN if none.
      taxonomy: the tags.
    """
    weights, broader = implied_weights(stated, taxonomy), _broader(stated, taxonomy)
    found = np.full(stated.shape, np.nan)
    for category in taxonomy.categories:
        columns, rule = taxonomy.slices[category.name], source.rules[category.name]
        if rule.mode == "ignore":
            continue
        own = weights[:, columns]
        found[:, columns] = 0.5 + rule.trust * (own - 0.5)
        is_pair = category.kind == "binary" and len(category.tags) == 2
        if rule.absent == "negative" and not is_pair:  # of a pair, the other tag follows
            annotated = ~np.isnan(stated[:, columns]).all(axis=1, keepdims=True)
            absent = annotated & np.isnan(own) & ~broader[:, columns]
            found[:, columns][absent] = 0.5 - rule.absent_trust / 2
        if is_pair:
            found[:, columns] = _as_pair(found[:, columns])
    return found.astype(np.float32).astype(np.float64)  # as published, so that readers can combine them again


def _as_pair(said: Floats) -> Floats:
    """What is said about two tags of which one applies, as one statement: contradictions cancel."""
    first = np.stack([said[:, 0], 1 - said[:, 1]])
    known = ~np.isnan(first)
    mean = np.divide(
        np.nansum(first, axis=0), known.sum(axis=0), out=np.full(len(said), np.nan), where=known.any(axis=0)
    )
    return np.stack([mean, 1 - mean], axis=1)


def implied_weights(stated: Floats, taxonomy: Taxonomy) -> Floats:
    """Adds what the hierarchy implies to the weights of one source: [tracks, tags], NaN if it says nothing.

    A yes (over 0.5) for a tag is one for its broader tags. A no (under 0.5) for a tag is one for those of its narrower
    tags that the source does not name. Weaker statements imply nothing.
    """
    weights = stated.copy()
    for child in reversed(taxonomy.topological):
        yes = weights[:, child] > 0.5
        for parent in taxonomy.parents[child]:
            weights[yes, parent] = np.fmax(weights[yes, parent], weights[yes, child])
    for child in taxonomy.topological:
        for parent in taxonomy.parents[child]:
            no = (weights[:, parent] < 0.5) & np.isnan(stated[:, child]) & ~(weights[:, child] > 0.5)
            weights[no, child] = np.fmin(weights[no, child], weights[no, parent])
    return weights


def _broader(stated: Floats, taxonomy: Taxonomy) -> npt.NDArray[np.bool_]:
    """Whether a tag is broader than one that the source names: bool [tracks, tags]. It is not absent."""
    named = ~np.isnan(stated)
    above = np.zeros(stated.shape, bool)
    for child, ancestors in enumerate(taxonomy.ancestors):
        above[:, list(ancestors)] |= named[:, child, None]
    return above
