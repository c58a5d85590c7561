"""The taxonomy of a published table, from the rows of its table `taxonomy`."""

from collections.abc import Iterable, Mapping
from typing import Any

from transforms.taxonomy.hierarchy import Taxonomy


def taxonomy_of_rows(rows: Iterable[Mapping[str, Any]]) -> Taxonomy:
    """The taxonomy that rows describe. They do not have its order, its rules and its dropped tags.

    Other ids of the tags become redirects, because rows do not tell them from aliases.
    """
    categories: dict[str, dict[str, Any]] = {}
    redirects: dict[str, list[str]] = {}
    for row in rows:
        category = categories.setdefault(row["category"], {"name": row["category"], "kind": row["kind"], "tags": []})
        category["tags"].append({"id": row["tag"], "name": row["name"], "parents": row["parents"]})
        for other in row.get("other_ids") or ():
            redirects.setdefault(other, []).append(row["tag"])
    return Taxonomy.from_json({"categories": list(categories.values()), "redirects": redirects})
