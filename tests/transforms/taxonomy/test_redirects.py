"""Redirects: what is refused, what an earlier id counts for, and the id of the taxonomy."""

import numpy as np
import pytest

from transforms.taxonomy.hierarchy import Taxonomy, TaxonomyError, load_taxonomy
from transforms.taxonomy.pruning import without_rare
from transforms.taxonomy.targets import encode_targets

CATEGORIES = [
    {
        "name": "genre",
        "kind": "multilabel",
        "tags": [
            "genre/dance",
            {"id": "genre/house", "parents": ["genre/dance"]},
            {"id": "genre/techno", "parents": ["genre/dance"], "aliases": ["genre/tekno"]},
            {"id": "genre/minimal", "parents": ["genre/techno"]},
            "genre/rock",
        ],
        "dropped": [{"id": "genre/trance", "parents": ["genre/dance"]}],
    },
    {"name": "mood", "kind": "multiclass", "tags": ["mood/calm", "mood/dark", "mood/happy"]},
    {
        "name": "voice",
        "kind": "binary",
        "tags": [{"id": "voice/vocal", "any_of": ["instrument/song"]}, "voice/instrumental"],
    },
]
REDIRECTS = {
    "genre/goa": "genre/trance",
    "genre/electro": ["genre/house", "genre/techno"],
    "genre/mixed": ["genre/rock", "mood/dark"],
    "genre/old": "genre/older",
    "genre/older": "genre/rock",
    "genre/rocknroll": "genre/rock",
    "mood/gloom": "mood/dark",
    "mood/soft": ["mood/calm", "mood/happy"],
    "vocals/sung": "voice/vocal",
}


def made(redirects=REDIRECTS):
    return Taxonomy.from_json({"categories": CATEGORIES, "redirects": redirects})


TAXONOMY = made()


@pytest.mark.parametrize(
    ("redirects", "fault"),
    [
        ({"genre/rock": "genre/house"}, "redirect 'genre/rock': the taxonomy has a tag with this id: remove"),
        ({"genre/trance": "genre/house"}, "the taxonomy has a tag with this id"),
        ({"genre/tekno": "genre/house"}, "redirect 'genre/tekno': this id is an alias of 'genre/techno': remove"),
        ({"genre/a": "genre/hous"}, "redirect 'genre/a': 'genre/hous' does not exist: did you mean 'genre/house'?"),
        ({"genre/a": "genre/tekno"}, "redirect 'genre/a': 'genre/tekno' does not exist"),
        ({"genre/a": ["genre/house", "genre/house"]}, "'genre/house' is listed 2 times"),
        ({"genre/a": "genre/a"}, "redirects ['genre/a']: they lead in a circle"),
        (
            {"genre/a": "genre/b", "genre/b": ["genre/c", "genre/rock"], "genre/c": "genre/a"},
            "redirects ['genre/a', 'genre/b', 'genre/c']: they lead in a circle",
        ),
        ({"genre/a": []}, "redirect 'genre/a': []: write `earlier-id: id`"),
        ({"genre/a": 3}, "redirect 'genre/a': 3: write"),
        ({"a": "genre/rock"}, "redirect 'a': tag 'a': write category/slug"),
        ({"genre/a": "rock"}, "redirect 'genre/a': tag 'rock': write category/slug"),
        (["genre/a"], "redirects: ['genre/a'] is not a mapping of earlier ids to ids"),
    ],
)
def test_faults(redirects, fault):
    with pytest.raises(TaxonomyError) as caught:
        made(redirects)
    assert any(fault in problem for problem in caught.value.problems), caught.value.problems


def test_the_id_counts_redirects_only_if_there_are_any(tmp_path):
    plain = Taxonomy.from_json({"categories": CATEGORIES})
    assert made({}) == plain and "redirects" not in plain.to_json()
    assert plain.taxonomy_id == made({}).taxonomy_id != TAXONOMY.taxonomy_id
    shuffled = made(dict(reversed({**REDIRECTS, "mood/soft": ["mood/happy", "mood/calm"]}.items())))
    assert shuffled.taxonomy_id == TAXONOMY.taxonomy_id and shuffled == TAXONOMY
    (tmp_path / "t.yaml").write_text(TAXONOMY.to_yaml())
    assert load_taxonomy(str(tmp_path / "t.yaml")) == TAXONOMY and hash(TAXONOMY) == hash(shuffled)


def test_earlier_ids_are_found_through_chains():
    assert TAXONOMY.resolve("genre/old") == TAXONOMY.resolve("genre/older") == "genre/rock"
    assert TAXONOMY.resolve("genre/electro") is None and TAXONOMY.knows("genre/electro")
    assert TAXONOMY.replaced["genre/electro"] == ("genre/house", "genre/techno")
    assert TAXONOMY.dropped["genre/goa"].id == "genre/trance" and TAXONOMY.resolve("genre/goa") is None
    assert TAXONOMY.other_ids["genre/rock"] == ("genre/mixed", "genre/old", "genre/older", "genre/rocknroll")
    assert TAXONOMY.other_ids["genre/techno"] == ("genre/electro", "genre/tekno")
    assert TAXONOMY.other_ids["mood/happy"] == ("mood/soft",) and TAXONOMY.other_ids["genre/minimal"] == ()


def encoded(*tags):
    """{tag: target} of the known tags, and the labels."""
    labels = encode_targets([tag if isinstance(tag, tuple) else (tag, None) for tag in tags], TAXONOMY)
    known = np.flatnonzero(labels.mask)
    return {TAXONOMY.tag_ids[i]: round(float(labels.targets[i]), 2) for i in known}, labels


GENRES = dict.fromkeys([f"genre/{name}" for name in ("dance", "house", "techno", "minimal", "rock")], 0)
MOODS = dict.fromkeys([f"mood/{name}" for name in ("calm", "dark", "happy")], 0)
CASES = {
    "renamed, through a chain": (["genre/old"], GENRES | {"genre/rock": 1}),
    "merged: the highest weight": ([("genre/old", 0.4), ("genre/rocknroll", 0.9)], GENRES | {"genre/rock": 0.9}),
    "to a dropped tag": (["genre/goa"], GENRES | {"genre/dance": 1}),
    "split: masked, but for what all imply": (
        [("genre/electro", 0.7)],
        {"genre/dance": 0.7, "genre/minimal": 0, "genre/rock": 0},
    ),
    "split, and one of them is annotated": (
        ["genre/electro", "genre/techno"],
        GENRES | {"genre/dance": 1, "genre/techno": 1},
    ),
    "split, and a narrower tag of one is annotated": (
        ["genre/electro", "genre/minimal"],
        GENRES | {"genre/dance": 1, "genre/techno": 1, "genre/minimal": 1},
    ),
    "split, and it does not apply": ([("genre/electro", 0.0), "genre/rock"], GENRES | {"genre/rock": 1}),
    "split into two categories: nothing is known": (["genre/mixed"], {}),
    "one class, renamed": (["mood/gloom"], MOODS | {"mood/dark": 1}),
    "one class, split": (["mood/soft"], {}),
    "one class, split, and one of them is annotated": (["mood/soft", "mood/calm"], MOODS | {"mood/calm": 1}),
    "another category": (["vocals/sung"], {"voice/vocal": 1, "voice/instrumental": 0}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_an_earlier_id_counts_for(case):
    tags, wanted = CASES[case]
    found, labels = encoded(*tags)
    assert found == wanted and labels.conflicts == () and labels.unknown == ()
    names = {tag if isinstance(tag, str) else tag[0] for tag in tags}
    assert labels.redirected == tuple(sorted(names & REDIRECTS.keys()))


def test_a_class_outside_of_a_split_one_is_a_conflict():
    assert encoded("mood/soft", "mood/dark")[1].conflicts == ("mood",)
    assert encoded("mood/soft", "mood/gloom")[1].conflicts == ("mood",)


RARE = ("genre/techno", "genre/minimal", "mood/dark", "mood/calm")


def test_rare_tags_take_their_redirects_with_them():
    counts = dict.fromkeys(TAXONOMY.tag_ids, 10) | dict.fromkeys(RARE, 1)
    reduced = without_rare(TAXONOMY, counts, 5).taxonomy
    assert [category.name for category in reduced.categories] == ["genre", "voice"]
    assert {one.old: one.new for one in reduced.redirects} == {
        "genre/electro": ("genre/house", "genre/techno"),
        "genre/goa": ("genre/trance",),
        **dict.fromkeys(["genre/old", "genre/older", "genre/rocknroll"], ("genre/rock",)),
        "vocals/sung": ("voice/vocal",),
    }
    assert "genre/techno" in reduced.dropped and reduced.other_ids["genre/house"] == ()
