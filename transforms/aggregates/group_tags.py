"""Tags of artists and albums from the sums over their tracks: mean, share of positives, spread, rank."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.aggregates.pieces import SCALE, TagKey, add_pieces
from transforms.schemas.tables import GROUPED_BY, TABLES
from transforms.tagging.assembly import PublishedRows


def group_tags(name: str, pieces: Sequence[pa.Table], tags: Sequence[TagKey], publication: PublishedRows) -> pa.Table:
    """Rows of `artist_tags` or `album_tags`, sorted by group, category and rank.

    Args:
      name: the table.
      pieces: all pieces of these groups.
      tags: sorted.
      publication: selects the rows by mean score and rank.
    """
    groups, counts, sums = add_pieces(pieces, len(tags))
    ranks = _ranks(sums[:, 0], tags)
    tracks = counts[:, None]
    means = sums[:, 0] / (tracks * SCALE)
    keep = publication.keeps(means, ranks)
    categories = np.unique([category for category, _ in tags], return_inverse=True)[1]
    order = np.argsort(categories * (len(tags) + 1) + ranks, axis=1, kind="stable")
    keep = np.take_along_axis(keep, order, axis=1)

    def chosen(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        found: npt.NDArray[np.generic] = np.take_along_axis(values, order, axis=1)[keep]
        return found

    place = pa.array(order[keep])
    values = {
        GROUPED_BY[name]: groups.take(pa.array(np.nonzero(keep)[0])),
        "category": pa.array([category for category, _ in tags], pa.string()).take(place),
        "tag": pa.array([tag for _, tag in tags], pa.string()).take(place),
        "mean_score": chosen(means.astype(np.float32)),
        "positive_share": chosen((sums[:, 2] / tracks).astype(np.float32)),
        "tracks": np.repeat(counts, keep.sum(axis=1)),
        "score_spread": chosen(_deviations(counts, sums).astype(np.float32)),
        "rank": chosen(ranks),
    }
    return pa.table(values).cast(TABLES[name])


def _ranks(sums: npt.NDArray[np.int64], tags: Sequence[TagKey]) -> npt.NDArray[np.int16]:
    """Rank of each sum within its category, from 1; of equal sums, the first tag id has the better rank."""
    ranks = np.zeros(sums.shape, np.int16)
    for category in {category for category, _ in tags}:
        columns = [place for place, (own, _) in enumerate(tags) if own == category]
        order = np.argsort(-sums[:, columns], axis=1, kind="stable")
        ranks[:, columns] = np.argsort(order, axis=1, kind="stable") + 1
    return ranks


def _deviations(counts: npt.NDArray[np.int64], sums: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Population standard deviations of scores.

    The squares are taken from the mean rounded down, in integers: so nothing cancels, and equal scores give exactly 0.
    """
    tracks = counts[:, None]
    base, rest = np.divmod(sums[:, 0], tracks)
    squares = sums[:, 1] - 2 * base * sums[:, 0] + tracks * base * base
    variance = squares / tracks - np.square(rest / tracks)
    deviations: npt.NDArray[np.float64] = np.sqrt(np.maximum(variance, 0)) / SCALE
    return deviations
