"""Labels of single tracks, for heads that are fitted to embeddings or scores of a table."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.catalog.problems import FirstProblems, Problem
from transforms.catalog.reader import CatalogShard, read_shard
from transforms.schemas.catalog import FILE, ROW
from transforms.splits.by_artist import SplitRatios, group_of, split_of
from transforms.splits.unique_ids import hash_of, repeated_in
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


UnknownTags = Literal["fail", "drop"]
"""Whether a tag that its category in the taxonomy lacks is a problem (`fail`) or dropped (`drop`). Tags of categories
that the taxonomy does not have are always dropped."""


def unknown_tags_of(row: Mapping[str, Any], taxonomy: Taxonomy) -> Iterator[Problem]:
    """The problems of a catalog row whose tags the taxonomy does not have, although it has their category."""
    for entry in row["tags"] or ():
        tag = entry["tag"]
        if tag.partition("/")[0] in taxonomy.slices and not taxonomy.knows(tag):
            message = f"tag {tag!r} is not in the taxonomy: add it, make it an alias, or give --unknown-tags=drop"
            yield Problem(file=row[FILE], row=row[ROW], column="tags", message=message)


def labels_of_rows(
    shards: Iterable[CatalogShard],
    taxonomy: Taxonomy,
    column: str | None,
    problems: FirstProblems,
    unknown_tags: UnknownTags = "drop",
    redirected: Counter[str] | None = None,
) -> Iterator[TrackLabels]:
    """Labels of the catalog rows in which a category of the taxonomy is known.

    Args:
      shards: shards of the catalog.
      taxonomy: defines the tags.
      column: further column with the official split; None: no track has one.
      problems: receives the problems of the rows that are left out, and of unknown tags.
      unknown_tags: what to do with tags that the taxonomy does not have.
      redirected: receives, for each earlier id, the number of tracks on which it counts for the tags that replace it.

    A value of `column` that is not the name of a side is a problem of its row, and so is an id that occurs twice.
    """
    shards, hashes = list(shards), array("Q")
    for shard in shards:
        for batch, faults in read_shard(shard):
            problems.add(faults)
            for row in batch.to_pylist():
                hashes.append(hash_of(row["track_id"]))
                if unknown_tags == "fail":
                    problems.add(list(unknown_tags_of(row, taxonomy)))
                labels = encode_targets([(tag["tag"], tag["weight"]) for tag in row["tags"] or ()], taxonomy)
                if not labels.mask.any():
                    continue
                if redirected is not None:
                    redirected.update(labels.redirected)
                try:
                    official = split_of(row, SplitRatios(), column) if column else None
                except ValueError as error:
                    problems.add([Problem(file=row[FILE], row=row[ROW], column=column, message=str(error))])
                    continue
                yield TrackLabels(row["track_id"], group_of(row), labels.targets, labels.mask, official)
    problems.add(repeated_in(shards, hashes))
