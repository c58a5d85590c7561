"""Labels: known where annotated, masked where contradictory, parents implied."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.targets import encode_targets

TAXONOMY = Taxonomy.from_json(
    {
        "categories": [
            {
                "name": "mood",
                "kind": "multilabel",
                "tags": [
                    "mood/soft",
                    {"id": "mood/calm", "parents": ["mood/soft"], "aliases": ["mood/peaceful"]},
                    {"id": "mood/sleepy", "parents": ["mood/calm"]},
                    "mood/loud",
                ],
            },
            {"name": "genre", "kind": "multiclass", "tags": ["genre/rock", "genre/pop", "genre/folk"]},
            {
                "name": "voice",
                "kind": "binary",
                "tags": [
                    {"id": "voice/vocal", "any_of": ["instrument/voice", "instrument/choir"]},
                    {"id": "voice/instrumental", "any_of": ["genre/ambient"]},
                ],
            },
            {
                "name": "live",
                "kind": "binary",
                "tags": [{"id": "live/live", "any_of": ["venue/club"], "none_of": ["venue/studio"]}],
            },
        ]
    }
)


def targets(*tags, category):
    """Targets of one category, None where it is masked."""
    labels = encode_targets([tag if isinstance(tag, tuple) else (tag, None) for tag in tags], TAXONOMY)
    where = TAXONOMY.slices[category]
    known = set(labels.mask[where].tolist())
    assert known in ({0.0}, {1.0})
    return [round(float(x), 6) for x in labels.targets[where]] if known == {1.0} else None


def test_a_track_without_tags_is_known_nowhere():
    labels = encode_targets([], TAXONOMY)
    assert not labels.mask.any() and not labels.targets.any()
    assert labels.targets.dtype == labels.mask.dtype == np.float32


def test_unannotated_categories_are_masked():
    assert targets("mood/loud", category="mood") == [0, 0, 0, 1]
    assert targets("mood/loud", category="genre") is None


def test_parents_apply_at_least_as_much():
    assert targets(("mood/sleepy", 0.6), category="mood") == [0.6, 0.6, 0.6, 0]
    assert targets(("mood/sleepy", 0.6), ("mood/soft", 0.9), category="mood") == [0.9, 0.6, 0.6, 0]


def test_aliases_count_as_their_tag():
    assert targets(("mood/peaceful", 0.3), ("mood/calm", 0.2), category="mood") == [0.3, 0.3, 0, 0]


def test_weight_zero_says_that_the_tag_does_not_apply():
    assert targets(("mood/loud", 0.0), category="mood") == [0, 0, 0, 0]


def test_multiclass_needs_exactly_one():
    assert targets("genre/pop", category="genre") == [0, 1, 0]
    assert targets(("genre/pop", 0.4), ("genre/rock", 0.0), category="genre") == [0, 1, 0]
    assert targets("genre/pop", "genre/rock", category="genre") is None
    assert targets(("genre/pop", 0.0), category="genre") is None


def test_several_classes_are_a_conflict_and_none_is_not():
    assert encode_targets([("genre/pop", None), ("genre/rock", None)], TAXONOMY).conflicts == ("genre",)
    assert encode_targets([("genre/pop", 0.0)], TAXONOMY).conflicts == ()


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["voice/vocal"], [1, 0]),
        (["voice/instrumental"], [0, 1]),
        (["instrument/choir"], [1, 0]),
        (["genre/ambient"], [0, 1]),
        ([("voice/vocal", 0.7)], [0.7, 0.3]),
        ([("voice/vocal", 0.7), ("voice/instrumental", 0.3)], [0.7, 0.3]),
        ([("voice/vocal", 0.0)], [0, 1]),
        (["instrument/voice", "genre/ambient"], None),
        (["voice/vocal", "voice/instrumental"], None),
        (["mood/loud"], None),
    ],
)
def test_two_sided_binary(tags, expected):
    assert targets(*tags, category="voice") == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["live/live"], [1]),
        ([("live/live", 0.0)], [0]),
        (["venue/club"], [1]),
        (["venue/studio"], [0]),
        (["venue/club", "venue/studio"], None),
        ([("live/live", 0.0), "venue/club"], None),
    ],
)
def test_one_sided_binary(tags, expected):
    assert targets(*tags, category="live") == expected


def test_contradicting_rules_are_conflicts():
    assert encode_targets([("instrument/voice", None), ("genre/ambient", None)], TAXONOMY).conflicts == ("voice",)


def test_tags_outside_the_taxonomy_are_listed_once_in_order():
    labels = encode_targets([("x/b", None), ("x/a", 0.5), ("x/b", 0.1), ("instrument/voice", None)], TAXONOMY)
    assert labels.unknown == ("x/a", "x/b")


KNOWN = st.sampled_from([*TAXONOMY.tag_ids, "mood/peaceful", "instrument/voice", "venue/studio", "x/y"])


@given(st.lists(st.tuples(KNOWN, st.none() | st.floats(0, 1, width=16))), st.randoms())
def test_laws(tags, random):
    labels = encode_targets(tags, TAXONOMY)
    shuffled = encode_targets(random.sample(tags, len(tags)), TAXONOMY)
    assert labels.targets.tobytes() == shuffled.targets.tobytes()
    assert ((labels.targets >= 0) & (labels.targets <= 1)).all() and not labels.targets[labels.mask == 0].any()
    for tag, parents in enumerate(TAXONOMY.parents):
        assert all(labels.targets[parent] >= labels.targets[tag] for parent in parents)
    genre = TAXONOMY.slices["genre"]
    assert labels.targets[genre].sum() == labels.mask[genre].max()


DROPPED = Taxonomy.from_json(
    {
        "categories": [
            {
                "name": "mood",
                "kind": "multilabel",
                "tags": ["mood/soft", "mood/slow", "mood/loud"],
                "dropped": [{"id": "mood/dreamy", "parents": ["mood/soft", "mood/slow"], "aliases": ["mood/hazy"]}],
            },
            {"name": "genre", "kind": "multiclass", "tags": ["genre/rock", "genre/pop"], "dropped": ["genre/polka"]},
            {"name": "voice", "kind": "binary", "tags": [{"id": "voice/vocal", "none_of": ["genre/polka"]}]},
        ]
    }
)


@pytest.mark.parametrize("name", ["mood/dreamy", "mood/hazy"])
def test_a_dropped_tag_is_no_target_but_its_parents_apply(name):
    labels = encode_targets([(name, 0.5)], DROPPED)
    assert labels.targets.tolist() == [0.5, 0.5, 0, 0, 0, 0] and labels.mask.tolist() == [1, 1, 1, 0, 0, 0]
    assert labels.unknown == labels.conflicts == ()


def test_a_dropped_class_is_a_class_too():
    both, alone = (
        encode_targets([(tag, None) for tag in tags], DROPPED)
        for tags in (("genre/polka", "genre/pop"), ("genre/polka",))
    )
    assert both.conflicts == ("genre",) and alone.conflicts == ()
    assert not both.mask[3:5].any() and not alone.mask[3:5].any()
    assert (alone.targets[5], alone.mask[5]) == (0, 1)  # rules read dropped tags as well
