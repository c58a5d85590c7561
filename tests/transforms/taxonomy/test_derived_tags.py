"""Scores of tags that follow from rules, against values computed by hand."""

import numpy as np
import pyarrow as pa
import pytest

from transforms.features.parameters.keys import KEY_NAMES
from transforms.schemas.rule_columns import KEY_VALUES, RULE_COLUMNS, RULE_SOURCES
from transforms.schemas.tables import TRACKS
from transforms.taxonomy.derived_tags import derived_tags
from transforms.taxonomy.hierarchy import Taxonomy

GENRES = {"name": "genre", "kind": "multilabel", "tags": ["genre/dnb", "genre/rock"]}
TEMPO = {
    "name": "tempo",
    "kind": "multiclass",
    "tags": [
        {"id": "tempo/slow", "when": {"tempo_bpm": {"below": 90}}},
        {"id": "tempo/medium", "when": {"tempo_bpm": {"from": 90, "below": 130}}},
        {"id": "tempo/fast", "when": {"tempo_bpm": {"from": 130}}},
    ],
}
COLUMNS = {
    "tempo_bpm": [80.0, 90.0, None, 150.0, 125.0],
    "tempo_confidence": [0.75, 0.5, None, 0.25, 0.875],
    "tempo_alternative_bpm": [160.0, 180.0, None, 75.0, 62.5],
    "tempo_alternative_weight": [0.125, 0.75, None, 0.5, None],
}


def table(**columns):
    return pa.table({name: pa.array(values, TRACKS.field(name).type) for name, values in columns.items()})


def apply(category, columns, **scores):
    taxonomy = Taxonomy.from_json({"categories": [GENRES], "rules": [category]})
    found = {f"genre/{name}": np.array(values) for name, values in scores.items()}
    return derived_tags(taxonomy.rules, columns, found)


def rows(found, tag):
    """Score of each track, None where it has no row."""
    column = [one.id for one in found.tags].index(tag)
    pairs = zip(found.scores[:, column].tolist(), found.known[:, column].tolist(), strict=True)
    return [score if known else None for score, known in pairs]


def test_confidence_counts_for_the_value_and_the_weight_for_the_alternative():
    found = apply(TEMPO, table(**COLUMNS))
    # The second weight is more than the confidence leaves; the fourth confidence is below 0.5.
    assert rows(found, "tempo/slow") == [0.75, 0, None, None, 0]
    assert rows(found, "tempo/medium") == [0, 0.5, None, None, 0.875]
    assert rows(found, "tempo/fast") == [0.125, 0.5, None, None, 0]
    # Two tags with 0.5 each: one of them applies, the first by its id.
    assert found.positives.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert found.ranks[[0, 1]].tolist() == [[1, 3, 2], [3, 2, 1]]
    assert (found.scores.sum(axis=1) <= 1).all()


def test_a_lower_min_confidence_gives_more_rows():
    found = apply({**TEMPO, "min_confidence": 0.25}, table(**COLUMNS))
    assert rows(found, "tempo/fast")[3] == 0.25 and rows(found, "tempo/slow")[3] == 0.5
    assert found.positives[3].tolist() == [True, False, False]


def test_the_first_case_that_a_track_meets_replaces_the_ranges_it_names():
    case = {"tag": "genre/dnb", "at_least": 0.6, "when": {"tempo/fast": {"tempo_bpm": {"from": 160}}}}
    other = {"tag": "genre/rock", "at_least": 0.0, "when": {"tempo/fast": {"tempo_bpm": {"from": 200}}}}
    columns = table(
        **{name: [values[0]] * 3 for name, values in COLUMNS.items()} | {"tempo_bpm": [150.0, 170.0, 170.0]}
    )
    found = apply({**TEMPO, "cases": [case, other]}, columns, dnb=[0.6, 0.6, 0.5999], rock=[1.0, 1.0, 1.0])
    # The alternative, 160, belongs to the range of drum and bass.
    assert rows(found, "tempo/fast") == [0.125, 0.875, 0]


def test_mode_is_the_second_word_of_the_key_and_texts_may_be_lists():
    category = {
        "name": "tonality",
        "kind": "multilabel",
        "min_confidence": 0.7,
        "tags": [
            {"id": "tonality/minor", "when": {"mode": "minor"}},
            {"id": "tonality/white", "when": {"key": ["C major", "A minor"]}},
        ],
    }
    columns = table(key=["A minor", "C major", "F# minor", None, "A minor"], key_confidence=[0.75, 1, 0.7, None, 0.6])
    found = apply(category, columns)
    assert rows(found, "tonality/minor") == pytest.approx([0.75, 0, 0.7, None, None])
    assert rows(found, "tonality/white") == [0.75, 1, 0, None, None]


def test_different_confidences_are_multiplied_and_equal_ones_count_once():
    category = {
        "name": "style",
        "kind": "binary",
        "min_confidence": 0.5,
        "tags": [
            {
                "id": "style/waltz",
                "when": {"beats_per_bar": 3, "beat_unit": 4, "tempo_bpm": {"from": 80}, "duration_s": {"from": 30}},
            }
        ],
    }
    columns = table(
        beats_per_bar=[3, 3, 4, None],
        beat_unit=[4, 4, 4, None],
        metre_confidence=[0.5, 0.5, 0.5, None],
        tempo_bpm=[150.0, 150, 150, 150],
        tempo_confidence=[0.75, 0.75, 0.75, 0.75],
        duration_s=[200.0, 20, 200, 200],
    )
    assert rows(apply(category, columns), "style/waltz") == [0.375, 0, 0, None]


def test_measurements_without_a_confidence_are_certain():
    category = {
        "name": "level",
        "kind": "multilabel",
        "tags": [
            {"id": "level/loud", "when": {"loudness_lufs": {"from": -10.1}}},
            {"id": "level/odd", "when": {"phase_inverted": True}},
        ],
    }
    # -10.1 is stored as the nearest float32, which is less than the number that is written in the rule.
    columns = table(loudness_lufs=[-10.1, -10.2, None], phase_inverted=[True, False, None])
    found = apply(category, columns)
    assert rows(found, "level/loud") == [1, 0, None] and rows(found, "level/odd") == [1, 0, None]


def test_a_tag_of_other_tags_is_the_share_of_what_speaks_for_it():
    category = {
        "name": "guitars",
        "kind": "binary",
        "min_confidence": 0.1,
        "tags": [
            {"id": "guitars/present", "any_of": ["genre/rock"], "none_of": ["genre/dnb"]},
            {"id": "guitars/absent", "any_of": ["genre/dnb"], "none_of": ["genre/rock"]},
        ],
    }
    found = apply(category, pa.table({"x": [0] * 4}), rock=[0.3, 0.05, 0.0, 0.1], dnb=[0.1, 0.05, 0.0, 0.3])
    assert rows(found, "guitars/present") == [0.75, None, None, 0.25]
    assert rows(found, "guitars/absent") == [0.25, None, None, 0.75]
    assert found.positives.tolist() == [[True, False], [False, False], [False, False], [False, True]]


def test_the_highest_of_any_of_counts_as_it_is_without_none_of():
    category = {"name": "band", "kind": "binary", "tags": [{"id": "band/any", "any_of": ["genre/rock", "genre/dnb"]}]}
    found = apply(category, pa.table({"x": [0] * 2}), rock=[0.3, 0.8], dnb=[0.4, 0.1])
    assert rows(found, "band/any") == [0.4, 0.8] and found.positives.tolist() == [[False], [True]]


def test_a_broader_tag_is_known_and_at_least_as_high_as_its_narrower_tags():
    category = {
        "name": "speed",
        "kind": "multilabel",
        "tags": [
            {"id": "speed/danceable", "when": {"tempo_bpm": {"from": 100}, "duration_s": {"from": 60}}},
            {"id": "speed/fast", "parents": ["speed/danceable"], "when": {"tempo_bpm": {"from": 130}}},
        ],
    }
    columns = table(tempo_bpm=[150.0, 150.0], tempo_confidence=[0.75, 0.75], duration_s=[10.0, None])
    found = apply(category, columns)
    assert rows(found, "speed/danceable") == rows(found, "speed/fast") == [0.75, 0.75]


def test_tracks_without_the_columns_have_no_rows():
    found = apply(TEMPO, pa.table({"duration_s": pa.array([1.0], pa.float32())}))
    assert not found.known.any() and not found.positives.any()
    assert derived_tags((), pa.table({"x": [1, 2]}), {}).scores.shape == (2, 0)


def test_every_column_of_a_rule_is_one_of_tracks_and_measured():
    assert set(RULE_SOURCES) <= set(TRACKS.names)
    assert KEY_VALUES == KEY_NAMES
    kinds = {
        "number": (pa.types.is_floating, pa.types.is_integer),
        "text": (pa.types.is_string,),
        "truth": (pa.types.is_boolean,),
    }
    for column in RULE_COLUMNS.values():
        assert any(fits(TRACKS.field(column.source).type) for fits in kinds[column.type])
