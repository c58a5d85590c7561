"""The report on a catalog's labels: support, artists and co-occurring tags of each tag, conflicts, rare tags."""

import html
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.schemas.reports import LABELS
from transforms.splits.by_artist import SPLITS
from transforms.splits.survey import SIDES, CatalogLabels
from transforms.taxonomy.hierarchy import Taxonomy

PARTNERS = 5
"""Number of co-occurring tags that are listed for each tag."""

_CHUNK = 100_000


def artists_of(catalog: CatalogLabels, tags: int) -> npt.NDArray[np.int64]:
    """Number of artists that carry each tag: int64 [tags]."""
    names, group = np.unique(catalog.groups, return_inverse=True)
    return np.bincount(catalog.carried.sums(group, len(names), tags).indices, minlength=tags)


def label_table(catalog: CatalogLabels, taxonomy: Taxonomy, reasons: Mapping[str, str]) -> pa.Table:
    """The table `LABELS` with one row per tag.

    Args:
      catalog: labels of the catalog.
      taxonomy: the taxonomy that they were read with.
      reasons: tag id -> reason for dropping it.
    """
    tags = len(taxonomy.tags)
    tracks = np.bincount(catalog.carried.tags, minlength=tags)
    inside = np.where(catalog.sides < len(SPLITS), catalog.sides, -1).astype(np.int64)
    sides = catalog.carried.sums(inside, len(SPLITS), tags).toarray()
    known = catalog.known.sum(axis=0)
    category = np.array([number for number, part in enumerate(taxonomy.categories) for _ in part.tags])
    means = np.divide(catalog.weights, tracks, out=np.full(tags, np.nan), where=tracks > 0)
    columns: dict[str, Any] = {
        "tag": taxonomy.tag_ids,
        "category": [tag.category for tag in taxonomy.tags],
        "kind": taxonomy.kinds,
        "tracks": tracks,
        "known": known[category],
        "mean_target": [None if np.isnan(mean) else mean for mean in means],
        "artists": artists_of(catalog, tags),
        **{side: sides[i] for i, side in enumerate(SPLITS)},
        "dropped": [reasons.get(tag) for tag in taxonomy.tag_ids],
        "together": _partners(catalog, taxonomy, category),
    }
    return pa.table([pa.array(columns[f.name], f.type) for f in LABELS], schema=LABELS)


class Together(NamedTuple):
    """Co-occurrence counts of tags.

    Attributes:
      both: int64 [tags, tags], number of tracks that carry both tags. The diagonal has the count of each tag.
      within: int64 [categories, tags], number of tracks that carry a tag and for which the category is known.
    """

    both: npt.NDArray[np.int64]
    within: npt.NDArray[np.int64]


def together(catalog: CatalogLabels, tags: int) -> Together:
    """Counts co-occurrences of tags. Processes tracks in chunks, so that memory does not grow with the catalog."""
    from scipy.sparse import csr_array

    carried = catalog.carried
    both = np.zeros((tags, tags), np.int64)
    within = np.zeros((catalog.known.shape[1], tags), np.int64)
    for first in range(0, carried.tracks, _CHUNK):
        starts = carried.starts[first : first + _CHUNK + 1]
        columns = carried.tags[starts[0] : starts[-1]].astype(np.int32)
        part = csr_array((np.ones(len(columns), np.int32), columns, starts - starts[0]), (len(starts) - 1, tags))
        both += (part.T @ part).toarray()
        within += (part.T @ catalog.known[first : first + _CHUNK].astype(np.int32)).T
    return Together(both, within)


def _partners(
    catalog: CatalogLabels, taxonomy: Taxonomy, category: npt.NDArray[np.int64]
) -> list[list[dict[str, Any]]]:
    tags = len(taxonomy.tags)
    both, within = together(catalog, tags)
    alone = both.diagonal()
    jaccard = both / np.maximum(alone[:, None] + alone - both, 1)
    lift = _lift(catalog.known, both, within, category)
    for i, ancestors in enumerate(taxonomy.ancestors):
        jaccard[i, [i, *ancestors]] = jaccard[[i, *ancestors], i] = 0
    rows = []
    for i in range(tags):
        best = [int(j) for j in np.argsort(-jaccard[i], kind="stable")[:PARTNERS] if jaccard[i, j] > 0]
        rows.append(
            [
                {"tag": taxonomy.tag_ids[j], "tracks": int(both[i, j]), "jaccard": jaccard[i, j], "lift": lift[i, j]}
                for j in best
            ]
        )
    return rows


def _lift(
    known: npt.NDArray[np.bool_],
    both: npt.NDArray[np.int64],
    within: npt.NDArray[np.int64],
    category: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Lift P(a and b) / (P(a) P(b)) among the tracks for which both categories are known: float64 [tags, tags]."""
    seen = np.array([(known & known[:, [c]]).sum(axis=0) for c in range(known.shape[1])], np.float64)
    # within[category] at [a, b]: number of tracks that carry b and for which the category of a is known.
    expected = within[category].T * within[category].astype(np.float64)
    lift: npt.NDArray[np.float64] = both * seen[category][:, category] / np.maximum(expected, 1)
    return lift


def overview(catalog: CatalogLabels, taxonomy: Taxonomy) -> dict[str, Any]:
    """Counts for the catalog and for each category, as a JSON object."""
    _, group = np.unique(catalog.groups, return_inverse=True)
    on = np.stack([np.bincount(group[catalog.sides == side], minlength=group.max() + 1) for side in range(len(SPLITS))])
    known = catalog.known.sum(axis=0)
    return {
        "tracks": len(catalog.tracks),
        "labelled": int(catalog.known.any(axis=1).sum()),
        "artists": int(group.max()) + 1,
        "artists_on_several_sides": int(((on > 0).sum(axis=0) > 1).sum()),
        "sides": {side: int((catalog.sides == i).sum()) for i, side in enumerate(SIDES)},
        "categories": {
            category.name: {
                "kind": category.kind,
                "tags": len(category.tags),
                "known": int(known[i]),
                "conflicts": catalog.conflict_counts[category.name],
            }
            for i, category in enumerate(taxonomy.categories)
        },
        "unknown_tags": _most_first(catalog.unknown),
        "redirected_tags": _most_first(catalog.redirected),
    }


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def to_markdown(found: Mapping[str, Any], table: pa.Table, conflicts: pa.Table) -> str:
    """The report as Markdown: categories, tags (most artists first), dropped tags, first conflicts, unknown tags."""
    sides = ", ".join(f"{side} {count:,}" for side, count in found["sides"].items())
    parts = [
        "# Labels",
        f"{found['tracks']:,} tracks of {found['artists']:,} artists, {found['labelled']:,} with labels. "
        f"Split ({found['split']}): {sides}; {found['artists_on_several_sides']} artists on several sides.",
        "## Categories",
        _table(
            ("category", "kind", "tags", "known for", "conflicts"),
            [(name, c["kind"], c["tags"], c["known"], c["conflicts"]) for name, c in found["categories"].items()],
        ),
        "## Tags",
        _table(("tag", "tracks", "artists", *SPLITS, "most often with"), [_tag_row(row) for row in _kept(table)]),
    ]
    if dropped := [(row["tag"], row["dropped"]) for row in table.to_pylist() if row["dropped"]]:
        parts += ["## Dropped tags", _table(("tag", "why"), dropped)]
    if conflicts.num_rows:
        first = conflicts.slice(0, 20).select(["track_id", "category", "tags"]).to_pylist()
        heading = f"## Conflicts\n\n{conflicts.num_rows:,} in `conflicts.parquet`; the first of them:"
        parts += [heading, _table(("track_id", "category", "tags"), [tuple(row.values()) for row in first])]
    if found["unknown_tags"]:
        unknown = list(found["unknown_tags"].items())[:50]
        parts += ["## Tags that the taxonomy does not know", _table(("tag", "tracks"), unknown)]
    if found["redirected_tags"]:
        earlier = list(found["redirected_tags"].items())[:50]
        parts += ["## Earlier ids, counted for the tags that replace them", _table(("earlier id", "tracks"), earlier)]
    return "\n\n".join(parts) + "\n"


def _kept(table: pa.Table) -> list[dict[str, Any]]:
    rows = [row for row in table.to_pylist() if not row["dropped"]]
    return sorted(rows, key=lambda row: (row["category"], -row["artists"], row["tag"]))


def _tag_row(row: Mapping[str, Any]) -> tuple[Any, ...]:
    partners = ", ".join(f"{other['tag']} ({other['jaccard']:.2f})" for other in row["together"][:3])
    return (row["tag"], row["tracks"], row["artists"], *(row[side] for side in SPLITS), partners)


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: object) -> str:
    """A value as text of a Markdown table. Names come from catalogs, so they must not act as markup."""
    if isinstance(value, int):
        return f"{value:,}"
    plain = html.escape(" ".join(str(value).split()), quote=False)
    return re.sub(r"([\\`\[\]|])", r"\\\1", plain)
