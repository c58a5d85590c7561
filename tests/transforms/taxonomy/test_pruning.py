"""Taxonomies without rare tags: what goes, what stays, and what the dropped ones still say."""

import pytest

from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.pruning import without_rare
from transforms.taxonomy.targets import encode_targets

TAXONOMY = Taxonomy.from_json(
    {
        "categories": [
            {
                "name": "mood",
                "kind": "multilabel",
                "tags": [
                    "mood/soft",
                    "mood/slow",
                    {"id": "mood/calm", "parents": ["mood/soft"]},
                    {"id": "mood/sleepy", "parents": ["mood/calm", "mood/slow"], "aliases": ["mood/tired"]},
                ],
            },
            {"name": "genre", "kind": "multiclass", "tags": ["genre/rock", "genre/pop", "genre/folk"]},
            {"name": "voice", "kind": "binary", "tags": ["voice/vocal", "voice/instrumental"]},
        ]
    }
)
ENOUGH = dict.fromkeys(TAXONOMY.tag_ids, 10)


def reduced(**few):
    return without_rare(TAXONOMY, ENOUGH | {name.replace("_", "/", 1): count for name, count in few.items()}, 5)


def test_nothing_rare_nothing_dropped():
    found = reduced()
    assert found.taxonomy == TAXONOMY and found.reasons == {}


def test_a_dropped_tags_parents_are_the_nearest_that_are_kept():
    found = reduced(mood_sleepy=1, mood_calm=4)
    assert found.reasons == {
        "mood/calm": "4 artists, fewer than 5",
        "mood/sleepy": "1 artists, fewer than 5",
    }
    mood = found.taxonomy.categories[0]
    assert [tag.id for tag in mood.tags] == ["mood/soft", "mood/slow"]
    assert {tag.id: tag.parents for tag in mood.dropped} == {
        "mood/calm": ("mood/soft",),
        "mood/sleepy": ("mood/soft", "mood/slow"),
    }


@pytest.mark.parametrize("tag", ["mood/sleepy", "mood/tired", "mood/calm"])
def test_the_kept_tags_have_the_same_targets_as_before(tag):
    taxonomy = reduced(mood_sleepy=1, mood_calm=4).taxonomy
    before, after = encode_targets([(tag, 0.6)], TAXONOMY), encode_targets([(tag, 0.6)], taxonomy)
    for kept in taxonomy.tag_ids:
        for values in ("targets", "mask"):
            old, new = (getattr(found, values) for found in (before, after))
            assert new[taxonomy.index[kept]] == old[TAXONOMY.index[kept]]


def test_twice_is_as_good_as_once():
    once = reduced(mood_sleepy=1).taxonomy
    again = without_rare(once, ENOUGH | {"mood/calm": 1}, 5).taxonomy
    assert again.categories[0].dropped[0].parents == ("mood/soft", "mood/slow")
    assert again.knows("mood/tired")


def test_categories_that_cannot_stand_go_whole():
    found = reduced(genre_pop=0, genre_folk=2, voice_vocal=3)
    assert [category.name for category in found.taxonomy.categories] == ["mood"]
    assert found.reasons["genre/rock"].startswith("without genre/folk, genre/pop, the multiclass category has too few")
    assert found.reasons["voice/instrumental"].startswith("without voice/vocal, the binary")


def test_nothing_left_is_an_error():
    with pytest.raises(ValueError, match="no category has enough tags with 99 artists"):
        without_rare(TAXONOMY, ENOUGH, 99)
