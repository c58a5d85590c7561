"""What differs between two versions of a taxonomy: random edits are found again, without any other difference."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.versions import compare_taxonomies


def random_taxonomy(rng: random.Random) -> dict:
    """A category of any depth, one with two or more classes, a binary one; as a document."""
    moods = [f"mood/m{i}" for i in range(rng.randrange(4, 12))]
    tags = [
        {"id": tag, "name": tag, "parents": sorted(rng.sample(moods[:i], min(i, rng.randrange(3))))}
        for i, tag in enumerate(moods)
    ]
    genres = [{"id": f"genre/g{i}", "name": f"G{i}", "parents": []} for i in range(rng.randrange(3, 8))]
    voices = [{"id": f"voice/{name}", "name": name, "parents": []} for name in ("vocal", "other")]
    kinds = (("mood", "multilabel", tags), ("genre", "multiclass", genres), ("voice", "binary", voices))
    return {"categories": [{"name": n, "kind": kind, "tags": rows} for n, kind, rows in kinds], "redirects": {}}


class Edited:
    """A document that is edited step by step. Each step takes tags that no other step touched."""

    def __init__(self, document: dict, rng: random.Random) -> None:
        self.rng, self.document, self.number = rng, document, 0
        self.rows = {tag["id"]: tag for category in document["categories"] for tag in category["tags"]}
        used = {parent for tag in self.rows.values() for parent in tag["parents"]}
        self.free = [tag for tag in self.rows if not tag.startswith("voice/") and tag not in used]
        self.rng.shuffle(self.free)
        self.script: dict[str, dict] = {name: {} for name in ("renamed", "merged", "split", "moved", "renamed_labels")}
        self.script |= {"added": set(), "removed": set()}

    def category(self, tag: str) -> list[dict]:
        return next(c["tags"] for c in self.document["categories"] if c["name"] == tag.partition("/")[0])

    def new(self, tag: str) -> str:
        self.number += 1
        return f"{tag.partition('/')[0]}/n{self.number}"

    def drop(self, tag: str) -> None:
        self.category(tag).remove(self.rows[tag])

    def add(self, tag: str, parents: list[str]) -> None:
        self.category(tag).append({"id": tag, "name": tag, "parents": parents})

    def rename(self) -> None:
        old = self.free.pop()
        row, new = self.rows[old], self.new(old)
        self.script["renamed"][old] = new
        self.document["redirects"][old] = new
        row["id"] = new

    def merge(self) -> None:
        one = self.free.pop()
        other = next((tag for tag in self.free if tag.partition("/")[0] == one.partition("/")[0]), None)
        if other is None:
            return
        self.free.remove(other)
        if self.rng.random() < 0.5:
            self.script["merged"][one] = (other,)
            self.document["redirects"][other] = one
        else:
            new = self.new(one)
            self.script["merged"][new] = tuple(sorted((one, other)))
            self.document["redirects"] |= {one: new, other: new}
            self.drop(one)
            self.add(new, [])
        self.drop(other)

    def split(self) -> None:
        old = self.free.pop()
        new = sorted([self.new(old), self.new(old)])
        self.script["split"][old] = tuple(new)
        self.document["redirects"][old] = new
        for tag in new:
            self.add(tag, self.rows[old]["parents"])
        self.drop(old)

    def move(self) -> None:
        tag = self.free.pop()
        if not tag.startswith("mood/"):
            return
        before = self.rows[tag]["parents"]
        kept = [row["id"] for row in self.category(tag) if not row["parents"] and row["id"] != tag]
        wanted = [one for one in kept if one not in self.free and one not in before][:1]
        if set(wanted) != set(before):
            self.rows[tag]["parents"] = wanted
            self.script["moved"][tag] = (tuple(before), tuple(wanted))

    def label(self) -> None:
        tag = self.free.pop()
        self.script["renamed_labels"][tag] = (self.rows[tag]["name"], "other words")
        self.rows[tag]["name"] = "other words"

    def remove(self) -> None:
        tag = self.free.pop()
        self.script["removed"].add(tag)
        self.drop(tag)

    def grow(self) -> None:
        tag = self.new(self.rng.choice(["mood/", "genre/"]))
        self.script["added"].add(tag)
        self.add(tag, [])


STEPS = ("rename", "merge", "split", "move", "label", "remove", "grow")


@settings(max_examples=120, deadline=None)
@given(st.randoms(use_true_random=False), st.lists(st.sampled_from(STEPS), max_size=7))
def test_the_edits_are_found_again(rng: random.Random, steps: list[str]) -> None:
    edited = Edited(random_taxonomy(rng), rng)
    before = Taxonomy.from_json(edited.document)
    for step in steps:
        if len(edited.free) > 2:
            getattr(edited, step)()
    for category in edited.document["categories"]:
        if not category["tags"] or (category["kind"] == "multiclass" and len(category["tags"]) < 2):
            return
    after, script = Taxonomy.from_json(edited.document), edited.script
    found = compare_taxonomies(before, after)
    assert found.fates.renamed == script["renamed"] and found.fates.split == script["split"]
    assert found.fates.merged == script["merged"] and set(found.fates.removed) == script["removed"]
    assert set(found.added) == script["added"] and found.fates.dropped == ()
    assert found.moved == script["moved"]
    labels = {tag: names for tag, names in found.renamed_labels.items() if tag not in script["renamed"].values()}
    assert labels == script["renamed_labels"]
    assert applied(before, found) == {tag.id: set(tag.parents) for tag in after.tags}
    assert (found.new_heads, found.lost_heads) == ((), ())
    changed = {tag.partition("/")[0] for name in ("split", "removed", "added", "merged") for tag in script[name]}
    assert set(found.other_heads) == changed
    touched = {*script["renamed"], *script["split"], *script["removed"], *script["moved"]}
    assert set(found.affected()) == touched | {old for olds in script["merged"].values() for old in olds}
    nothing = compare_taxonomies(after, after)
    assert nothing.sentences() == ["no difference"] and nothing.affected() == {}


def applied(before: Taxonomy, changes) -> dict[str, set[str]]:
    """The tags and parents that the differences make of the earlier version; parents of new tags are taken as told."""
    fates = changes.fates
    gone = {*fates.split, *fates.removed, *(old for olds in fates.merged.values() for old in olds)}
    tags = {
        fates.renamed.get(tag.id, tag.id): {fates.pairs.get(p, p) for p in tag.parents}
        for tag in before.tags
        if tag.id not in gone
    }
    tags |= {tag: set(new) for tag, (_, new) in changes.moved.items()}
    for old, new in fates.split.items():
        (place,) = [tag for tag in before.tags if tag.id == old]
        tags |= {tag: {fates.pairs.get(p, p) for p in place.parents} for tag in new}
    alone = [*changes.added, *(tag for tag in fates.merged if tag not in tags)]
    return {tag: set() for tag in alone} | tags


BASE = {"name": "mood", "kind": "multilabel", "tags": [{"id": "mood/a"}, {"id": "mood/b", "parents": ["mood/a"]}]}
OTHER = {"name": "genre", "kind": "multiclass", "tags": ["genre/x", "genre/y"]}


def sentences(before: list[dict], after: list[dict], redirects: dict | None = None) -> list[str]:
    found = compare_taxonomies(
        Taxonomy.from_json({"categories": before}),
        Taxonomy.from_json({"categories": after, "redirects": redirects or {}}),
    )
    return found.sentences()


def moods(*tags, **fields):
    return {"name": "mood", "kind": "multilabel", "tags": list(tags), **fields}


CASES = {
    "a new head": ([BASE], [BASE, OTHER], {}, ["1 new head: genre", "2 tags added: genre/x, genre/y"]),
    "a head that is gone": ([BASE, OTHER], [BASE], {}, ["1 head removed: genre", "2 tags removed: genre/x, genre/y"]),
    "another kind": ([OTHER], [{**OTHER, "kind": "multilabel"}], {}, ["1 head fitted again: genre"]),
    "a parent renamed: its children do not move": (
        [BASE],
        [moods({"id": "mood/c", "name": "A"}, {"id": "mood/b", "parents": ["mood/c"]})],
        {"mood/a": "mood/c"},
        ["1 tag renamed: mood/a to mood/c"],
    ),
    "an alias, and no redirect": (
        [BASE],
        [moods({"id": "mood/c", "name": "A", "aliases": ["mood/a"]}, {"id": "mood/b", "parents": ["mood/c"]})],
        {},
        ["1 tag renamed: mood/a to mood/c"],
    ),
    "a parent merged into its child": (
        [BASE],
        [moods("mood/b")],
        {"mood/a": "mood/b"},
        ["1 head fitted again: mood", "1 tag merged into: mood/a into mood/b"],
    ),
    "dropped, and still evidence": (
        [BASE],
        [moods("mood/a", dropped=[{"id": "mood/b", "parents": ["mood/a"]}])],
        {},
        ["1 head fitted again: mood", "1 tag dropped, still evidence for their broader tags: mood/b"],
    ),
    "to the top": (
        [BASE],
        [moods("mood/a", "mood/b")],
        {},
        ["1 tag moved in the hierarchy: mood/b from mood/a to the top"],
    ),
    "another order": (
        [BASE],
        [moods(*BASE["tags"][::-1])],
        {},
        ["no tag differs: order, aliases, redirects or rules do"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_sentences(case: str) -> None:
    before, after, redirects, wanted = CASES[case]
    assert sentences(before, after, redirects) == wanted


def test_many_names_are_counted() -> None:
    tags = [f"mood/x{i}" for i in range(11)]
    (line,) = [line for line in sentences([BASE], [moods(*BASE["tags"], *tags)]) if "added" in line]
    assert line.startswith("11 tags added: mood/x0, ") and line.endswith("mood/x7 and 3 more")
    assert Counter(line)["/"] == 8
