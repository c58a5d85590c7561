"""Labels of single tracks, for heads that are fitted to embeddings or scores of a table."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.catalog.problems import FirstProblems, Problem
from transforms.catalog.reader import CatalogShard, read_shard
from transforms.schemas.catalog import FILE, ROW
from transforms.splits.by_artist import SplitRatios, group_of, split_of
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.targets import encode_targets


class TrackLabels(NamedTuple):
    """Labels of one track.

    Attributes:
      track_id: the track.
      group: its split group (the artist).
      targets: float32 [tags].
      mask: float32 [tags], 1 if the tag's category is known, else 0.
      official: the track's split according to the source of the labels; None if it gives none.
    """

    track_id: str
    group: str
    targets: npt.NDArray[np.float32]
    mask: npt.NDArray[np.float32]
    official: str | None = None


def labels_of_rows(
    shards: Iterable[CatalogShard], taxonomy: Taxonomy, column: str | None, problems: FirstProblems
) -> Iterator[TrackLabels]:
    """Labels of the catalog rows in which a category of the taxonomy is known. Other tags are ignored.

    Args:
      shards: shards of the catalog.
      taxonomy: defines the tags.
      column: further column with the official split; None: no track has one.
      problems: receives the problems of the rows that are left out.
    A value of `column` that is not the name of a side is a problem of its row.
    """
    for shard in shards:
        for batch, faults in read_shard(shard):
            problems.add(faults)
            for row in batch.to_pylist():
                labels = encode_targets([(tag["tag"], tag["weight"]) for tag in row["tags"] or ()], taxonomy)
                if not labels.mask.any():
                    continue
                try:
                    official = split_of(row, SplitRatios(), column) if column else None
                except ValueError as error:
                    problems.add([Problem(file=row[FILE], row=row[ROW], column=column, message=str(error))])
                    continue
                yield TrackLabels(row["track_id"], group_of(row), labels.targets, labels.mask, official)
