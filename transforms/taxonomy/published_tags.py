"""The taxonomy of a published table, from the rows of its table `taxonomy`."""

from collections.abc import Iterable, Mapping
from typing import Any

from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.rules import rules_of_rows


def taxonomy_of_rows(rows: Iterable[Mapping[str, Any]], *, rules: bool = False) -> Taxonomy:
    """The taxonomy that rows describe. They do not have its order, what implies a tag, and its dropped tags.

    Other ids of the tags become redirects, because rows do not tell them from aliases.

    Args:
      rows: rows of the table.
      rules: whether tags of rules get their rules back. If not, they are tags like all others, as for those who ask for
        tags whatever they follow from.
    """
    categories: dict[str, dict[str, Any]] = {}
    redirects: dict[str, list[str]] = {}
    ruled = []
    for row in rows:
        for other in row.get("other_ids") or ():
            redirects.setdefault(other, []).append(row["tag"])
        if rules and row.get("rule"):
            ruled.append(row)
            continue
        category = categories.setdefault(row["category"], {"name": row["category"], "kind": row["kind"], "tags": []})
        category["tags"].append({"id": row["tag"], "name": row["name"], "parents": row["parents"]})
    found = {"categories": list(categories.values()), "redirects": redirects}
    return Taxonomy.from_json({**found, **({"rules": rules_of_rows(ruled)} if ruled else {})})
