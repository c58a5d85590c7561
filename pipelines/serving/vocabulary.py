"""The taxonomy of a snapshot as trees."""

from typing import Any

from pipelines.serving.snapshots import OpenSnapshot
from transforms.discovery.search.vocabulary import Vocabulary, vocabulary_of

TaxonomyRows = dict[str, dict[str, Any]]


def taxonomy_rows_of(opened: OpenSnapshot) -> TaxonomyRows:
    """Tag -> its row of the table `taxonomy`, sorted by tag."""
    return opened.kept("taxonomy", lambda: {r["tag"]: r for r in opened.fetch("SELECT * FROM taxonomy ORDER BY tag")})


def tag_names(opened: OpenSnapshot) -> dict[str, str]:
    """Tag -> its display name."""
    return {tag: row["name"] for tag, row in taxonomy_rows_of(opened).items()}


def tag_ids(opened: OpenSnapshot) -> dict[str, list[str]]:
    """Each id, also an earlier one or an alias, -> the tags that have it."""
    return opened.kept("tag ids", lambda: _by_id(taxonomy_rows_of(opened)))


def _by_id(rows: TaxonomyRows) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for tag, row in rows.items():
        for name in dict.fromkeys([tag, *(row["other_ids"] or ())]):
            found.setdefault(name, []).append(tag)
    return found


def kept_vocabulary(opened: OpenSnapshot) -> Vocabulary:
    """The vocabulary of a snapshot, which is read once."""
    return opened.kept("vocabulary", lambda: vocabulary_of(opened.reader))


def tag_ids_with_narrower(opened: OpenSnapshot) -> dict[str, list[str]]:
    """As `tag_ids`, with the narrower tags of these tags: `search --must` and the page ask for any of them."""

    def make() -> dict[str, list[str]]:
        vocabulary = kept_vocabulary(opened)
        return {name: list(vocabulary.term(tags).tags) for name, tags in tag_ids(opened).items()}

    return opened.kept("tag ids with narrower", make)


def trees(opened: OpenSnapshot, category: str) -> list[dict[str, Any]]:
    """The tags of a category without a broader tag, each with its narrower tags as `children`.

    A tag with several broader tags is below each of them.
    """
    own = {tag: row for tag, row in taxonomy_rows_of(opened).items() if row["category"] == category}
    children: dict[str, list[str]] = {}
    for tag, row in own.items():
        for parent in row["parents"]:
            children.setdefault(parent, []).append(tag)

    def node(tag: str) -> dict[str, Any]:
        row = own[tag]
        facts = {name: row[name] for name in ("tag", "name", "threshold", "support")}
        return {**facts, "children": [node(child) for child in children.get(tag, ())]}

    return [node(tag) for tag, row in own.items() if not any(parent in own for parent in row["parents"])]
