"""Pieces of the groups of one bucket, and the files of `artist_tags` and `album_tags` that are made of them."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from transforms.aggregates.group_tags import group_tags
from transforms.aggregates.pieces import TagKey, packed_scores, pieces_of, tag_keys
from transforms.formats.arrow import from_ipc
from transforms.schemas.tables import GROUPED_BY
from transforms.table.snapshots import DataFile
from transforms.tagging.assembly import PublishedRows, ScoredTracks
from transforms.tagging.bucket_files import write_levels
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.taxonomy.hierarchy import Taxonomy


def pieces_of_bucket(scored: ScoredTracks, taxonomy: Taxonomy) -> dict[str, pa.Table]:
    """Table -> pieces of its groups in a bucket of tracks."""
    columns = np.array([taxonomy.index[tag] for _, tag in tag_keys(taxonomy)], np.intp)
    packed = packed_scores(scored.scores[:, columns], scored.positives[:, columns])
    return {name: pieces_of(scored.rows[key].combine_chunks(), packed) for name, key in GROUPED_BY.items()}


def write_groups(
    known: PriorOutcomes,
    bucket: int,
    pieces: Mapping[str, Iterable[bytes]],
    tags: Sequence[TagKey],
    publication: PublishedRows,
    run_id: str,
) -> list[DataFile]:
    """Writes what changed in a bucket of groups; returns all its files.

    Args:
      pieces: those of each table, as IPC streams from all buckets.
    """
    found = {name: [from_ipc(stream) for stream in streams] for name, streams in pieces.items()}
    tables = {name: group_tags(name, own, tags, publication) for name, own in found.items() if own}
    return write_levels(known, bucket, tables, run_id)
