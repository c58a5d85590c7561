"""Weighted search, compared with a plain loop over all rows."""

import math
import types

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.published import fake_bundle, publish_table
from transforms.discovery.search.conditions import conditions_of
from transforms.discovery.search.engine import search_tracks
from transforms.discovery.search.keys import camelot_code, compatible_codes, wheel_steps
from transforms.discovery.search.request import SearchRequest, ValueRange, weight_of
from transforms.discovery.search.scores import DOUBT, FORMULA, log_odds
from transforms.discovery.search.vocabulary import DiscoveryError, Vocabulary, vocabulary_of
from transforms.discovery.search.words import read_words
from transforms.features.parameters.keys import KEY_NAMES, camelot
from transforms.table.reader import open_snapshot
from transforms.tagging.assembly import PublishedRows
from transforms.taxonomy.hierarchy import Taxonomy


def expected(snapshot, weights, limit):
    """The plain loop: the score of each track from all rows of `track_tags`."""
    vocabulary = vocabulary_of(snapshot)
    totals = {}
    for track in snapshot.scan("tracks", ["track_id"])["track_id"].to_pylist():
        rows = snapshot.scan("track_tags", ["tag", "score"], track_ids=[track]).to_pylist()
        scores = {row["tag"]: round(row["score"], 4) for row in rows}
        total = 0.0
        for tag, weight in weights.items():
            p = max(scores[one] for one in (tag, *vocabulary.narrower[tag]))
            q = DOUBT + (1 - 2 * DOUBT) * p
            total += weight * math.log(q / (1 - q))
        totals[track] = total
    return sorted(totals.items(), key=lambda one: (-round(one[1], 9), one[0]))[:limit]


@pytest.mark.parametrize(
    "weights", [{"mood/calm": 0.8, "genre/techno": -1.0}, {"mood/soft": 0.3, "instrument/drums": 1.0, "mood/sad": -0.1}]
)
def test_the_score_is_the_sum_over_the_tags(snapshot, weights):
    answer = search_tracks(snapshot, SearchRequest(weights=weights, limit=7))
    wanted = expected(snapshot, weights, 7)
    assert [hit.track_id for hit in answer.hits] == [track for track, _ in wanted]
    for hit, (_, score) in zip(answer.hits, wanted, strict=True):
        assert hit.score == pytest.approx(score) == pytest.approx(sum(one.value for one in hit.contributions))


def test_the_ends_of_the_scores_are_finite_and_a_higher_score_always_counts_more():
    values = log_odds(np.linspace(0, 1, 10_001))
    assert values[-1] == pytest.approx(-values[0]) == pytest.approx(math.log((1 - DOUBT) / DOUBT)) and values[5000] == 0
    assert (np.diff(values) > 0).all() and f"q = {DOUBT:g} + {1 - 2 * DOUBT:g} p" in FORMULA


def test_the_tag_that_has_the_score_is_named(snapshot):
    for hit in search_tracks(snapshot, SearchRequest(words="rainy", limit=5)).hits:
        (one,) = hit.contributions
        rows = snapshot.scan("track_tags", ["tag", "score"], track_ids=[hit.track_id]).to_pylist()
        scores = {row["tag"]: round(row["score"], 4) for row in rows}
        own = vocabulary_of(snapshot).term(one.term.split("|")).tags
        assert one.score == scores[one.tag] == max(scores[tag] for tag in own) and one.tag in own
        assert hit.why().startswith(one.tag)


def test_fewer_tracks_are_a_beginning_of_more(snapshot):
    long = search_tracks(snapshot, SearchRequest(weights={"mood/dark": 1}, limit=60)).hits
    assert len(long) == 60
    for limit in (1, 5, 33):
        assert search_tracks(snapshot, SearchRequest(weights={"mood/dark": 1}, limit=limit)).hits == long[:limit]


def test_scores_of_0_and_1_are_limited_and_a_score_that_is_left_out_counts_as_the_greatest_it_can_have(tmp_path):
    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 24, publication=PublishedRows(min_score=0.5))
    partial = open_snapshot(str(tmp_path / "table"))
    hits = search_tracks(partial, SearchRequest(weights={"genre/techno": 1}, limit=24)).hits
    assert {hit.contributions[0].score for hit in hits if hit.score <= 0} == {0.5} and len(hits) == 24
    publish_table(tmp_path / "top", fake_bundle(tmp_path / "two"), 24, publication=PublishedRows(top_k=1))
    top = open_snapshot(str(tmp_path / "top"))
    rows = top.scan("track_tags", ["track_id", "category", "score"]).to_pylist()
    best = {row["track_id"]: round(row["score"], 4) for row in rows if row["category"] == "tempo"}
    for hit in search_tracks(top, SearchRequest(weights={"tempo/slow": 1}, limit=24)).hits:
        assert hit.contributions[0].score == best[hit.track_id]


def test_a_condition_on_a_broad_tag_is_met_by_its_narrower_tags(snapshot):
    rows = snapshot.scan("track_tags", ["track_id", "tag", "is_positive"]).to_pylist()
    sad = {"mood/sad", "mood/wistful", "mood/gloomy"}
    has = {row["track_id"] for row in rows if row["is_positive"] and row["tag"] in sad}
    every = {row["track_id"] for row in rows}
    must = search_tracks(snapshot, SearchRequest(must=("mood/sad",), limit=100))
    must_not = search_tracks(snapshot, SearchRequest(must_not=("mood/sad",), limit=100))
    assert {hit.track_id for hit in must.hits} == has != every
    assert {hit.track_id for hit in must_not.hits} == every - has
    assert [hit.track_id for hit in must.hits] == sorted(has)


def test_conditions_on_columns(snapshot):
    rows = snapshot.scan("tracks").to_pylist()

    def found(**asked):
        return {hit.track_id for hit in search_tracks(snapshot, SearchRequest(limit=100, **asked)).hits}

    def where(test):
        return {row["track_id"] for row in rows if test(row)}

    assert found(ranges={"tempo": ValueRange(60, 100)}) == where(lambda row: 60 <= row["bpm"] <= 100)
    assert found(ranges={"year": ValueRange(2000, None)}) == where(lambda row: row["year"] >= 2000)
    assert found(only={"language": ("DE", "sv", "pt")}) == where(lambda row: row["language"] in ("sv", "pt"))
    assert found(only={"year": ("2001", "1999")}) == where(lambda row: row["year"] in (2001, 1999))
    assert found(where="bpm > 100 AND country = 'SE'") == where(lambda row: row["bpm"] > 100 and row["country"] == "SE")
    asked = {"ranges": {"bpm": ValueRange(None, 100)}, "where": "year < 2010", "text": "the"}
    assert found(**asked) == where(
        lambda row: row["bpm"] <= 100 and row["year"] < 2010 and "the" in f"{row['title']} {row['artist']}".lower()
    )
    assert found(text="WÍLD bridges") == where(
        lambda row: all(word in f"{row['title']} {row['artist']}".lower() for word in ("wild", "bridges"))
    )


def test_the_condition_that_emptied_an_answer_is_named(snapshot):
    spans = {"year": ValueRange(1900, 2100), "bpm": ValueRange(60, 70)}
    answer = search_tracks(snapshot, SearchRequest(ranges=spans, where="bpm > 100"))
    assert answer.hits == () and [one.left for one in answer.filters][::2] == [60, 0]
    assert answer.emptied_by.startswith("where bpm > 100: none of the remaining tracks")
    assert answer.emptied_by.endswith("after bpm 60..70")
    alone = search_tracks(snapshot, SearchRequest(only={"country": ("XX",)}))
    assert alone.emptied_by == "country is XX: no track meets this condition"
    assert search_tracks(snapshot, SearchRequest(must=("mood/soft",))).emptied_by is None


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "nothing is asked"),
        ({"weights": {"mood/clam": 1}}, "did you mean mood/calm"),
        ({"weights": {"mood/calm": 1, "calm": 0.5}}, "mood/calm has a weight already"),
        ({"ranges": {"loudness": ValueRange(-10, None)}}, "loudness_lufs"),
        ({"ranges": {"title": ValueRange(1, 2)}}, "not numbers"),
        ({"only": {"top_tags": ("a",)}}, "not single values"),
        ({"key": "Am"}, "camelot or key"),
        ({"text": "..."}, "no letters"),
        ({"where": "bpm >"}, "--where 'bpm >'"),
        ({"where": "bpm > 1; SELECT 1"}, "--where"),
        ({"where": "true) UNION SELECT track_id FROM tracks; DROP TABLE tracks; --"}, "--where"),
        ({"where": "(SELECT count(*) FROM read_text('/etc/passwd')) > 0"}, "disabled"),
        ({"words": " ".join(["calm"] * 201)}, "201 words"),
    ],
)
def test_what_cannot_be_answered_is_refused(snapshot, asked, words):
    with pytest.raises(DiscoveryError, match=words.replace("(", r"\(")):
        search_tracks(snapshot, SearchRequest(**asked))


def test_numbers_are_read_or_refused():
    assert str(ValueRange.of("120..128")) == "120..128" and ValueRange.of("-14..") == ValueRange(-14, None)
    assert ValueRange.of("..3.5") == ValueRange(None, 3.5) and ValueRange.of("4") == ValueRange(4, 4)
    for text in ("..", "a..b", "9..1", "nan", "1...2..3"):
        with pytest.raises(DiscoveryError):
            ValueRange.of(text)
    assert weight_of("mood/calm=0.8") == ("mood/calm", 0.8) and weight_of("calm") == ("calm", 1.0)
    for text in ("calm=", "calm=x", "calm=nan"):
        with pytest.raises(DiscoveryError):
            weight_of(text)
    with pytest.raises(DiscoveryError, match="from -1 to 1"):
        SearchRequest(weights={"mood/calm": -1.5})


TAXONOMY = Taxonomy.from_json(
    {
        "categories": [
            {
                "name": "mood",
                "kind": "multilabel",
                "tags": [
                    {"id": "mood/soft", "name": "Soft"},
                    {"id": "mood/calm", "name": "Calm", "parents": ["mood/soft"], "aliases": ["mood/peaceful"]},
                    {"id": "mood/sad", "name": "Sad", "parents": ["mood/soft"]},
                ],
            },
            {
                "name": "instrument",
                "kind": "multilabel",
                "tags": [
                    {"id": "instrument/piano", "name": "Piano"},
                    {"id": "instrument/acoustic_guitar", "name": "Acoustic guitar"},
                    {"id": "instrument/drums", "name": "Drums"},
                ],
            },
            {
                "name": "genre",
                "kind": "multilabel",
                "tags": [{"id": "genre/house", "name": "House"}, {"id": "genre/techno", "name": "Techno"}],
            },
            {"name": "voice", "kind": "binary", "tags": ["voice/vocal", "voice/instrumental"]},
        ],
        "redirects": {"mood/tearful": "mood/sad", "genre/electronic": ["genre/house", "genre/techno"]},
    }
)


@pytest.mark.parametrize(
    ("text", "wanted", "unmatched"),
    [
        (
            "Calm piano for a rainy evening",
            [("mood/calm", 1), ("instrument/piano", 1), ("mood/sad|mood/calm", 0.5), ("mood/calm", 0.5)],
            [],
        ),
        ("peaceful acoustic guitars", [("mood/calm", 1), ("instrument/acoustic_guitar", 1)], []),
        ("tearful", [("mood/sad", 1)], []),
        ("electronic music", [("genre/house|genre/techno", 1)], []),
        ("no drums or vocals, calm", [("instrument/drums", -1), ("voice/vocal", -1), ("mood/calm", 1)], []),
        ("no kazoo, calm; never loud: piano", [("mood/calm", 1), ("instrument/piano", 1)], ["kazoo", "loud"]),
        ("I don't want a piano but drum", [("instrument/piano", -1), ("instrument/drums", 1)], []),
        ("doesn’t have drums", [("instrument/drums", -1)], ["have"]),
        ("slightly sad zither with kazoo", [("mood/sad", 0.5)], ["zither", "kazoo"]),
        ("", [], []),
        ("like the a", [], []),
    ],
)
def test_plain_words(text, wanted, unmatched):
    matches, rest = read_words(text, Vocabulary(TAXONOMY))
    assert [(match.term.label, match.weight) for match in matches][: len(wanted)] == wanted
    assert len(matches) == len(wanted) and rest == unmatched


def test_a_broad_word_includes_narrower_tags_and_a_split_id_all_that_replace_it():
    vocabulary = Vocabulary(TAXONOMY)
    assert vocabulary.find("Soft").tags == ("mood/soft", "mood/calm", "mood/sad")
    assert vocabulary.find("mood/tearful").label == "mood/sad"
    assert vocabulary.find("genre/electronic").tags == ("genre/house", "genre/techno")
    with pytest.raises(DiscoveryError, match="no such tag"):
        vocabulary.find("mood/none")


@pytest.mark.parametrize("key", KEY_NAMES)
def test_every_spelling_of_a_key_has_the_code_of_the_wheel(key):
    tonic, mode = key.split()
    for text in (key, f"{tonic}{'m' if mode == 'minor' else ''}", f"{tonic} {mode[:3]}", camelot(key).lower()):
        assert camelot_code(text) == camelot(key), text


@pytest.mark.parametrize("text", ["A Minor", "a minor", "A MINOR", "AMin", "A-minor", "a-Moll", "am", "08a"])
def test_the_case_of_a_key_does_not_matter(text):
    assert camelot_code(text) == "8A"


def test_b_and_h_of_german_keys_are_a_semitone_apart():
    texts = {
        "h-moll": "B minor",
        "B-Dur": "Bb major",
        "Fis moll": "F# minor",
        "Es-Dur": "Eb major",
        "as-moll": "G# minor",
    }
    assert {text: camelot_code(text) for text in texts} == {text: camelot_code(key) for text, key in texts.items()}


@given(st.integers(1, 12), st.sampled_from("AB"), st.integers(1, 12), st.sampled_from("AB"))
@settings(max_examples=50)
def test_the_wheel_is_symmetric(hour, letter, other, other_letter):
    first, second = f"{hour}{letter}", f"{other}{other_letter}"
    assert wheel_steps(first, second) == wheel_steps(second, first) <= 7
    assert (
        (second in compatible_codes(first))
        == (first in compatible_codes(second))
        == (
            wheel_steps(first, second) == 0
            or (wheel_steps(first, second) == 1 and (hour == other or letter == other_letter))
        )
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("ac dc", 1), ("acdc", 0), ("hells", 1), ("cafe", 2), ("CAFÉ del", 2), ("del-mar", 2), ("한국", 1), ("noel 2", 1)],
)
def test_text_of_plain_and_other_letters(text: str, wanted: int) -> None:
    titles = ["Hell's Bells", "Cafe del Mar", "Café del Mar", "한국 노래", "Noël (No. 2)", None]
    rows = pa.table({"title": titles, "artist": ["AC/DC", None, "", "x", "y", "z"]})
    snapshot = types.SimpleNamespace(schema=lambda table: rows.schema)
    (condition,) = conditions_of(snapshot, SearchRequest(text=text))
    assert condition.mask(rows).sum() == wanted


def masked(rows: pa.Table, request: SearchRequest) -> list[bool]:
    """Which rows meet the only condition of a request."""
    (condition,) = conditions_of(types.SimpleNamespace(schema=lambda table: rows.schema), request)
    return condition.mask(rows).tolist()


@pytest.mark.parametrize("asked", ["Bb", "B-Dur", "Si bemolle", "si be\u0301mol majeur", "6B", "11d", "bb"])
def test_a_key_is_asked_for_in_any_usual_spelling(asked: str) -> None:
    rows = pa.table({"key": ["Bb major", "g-moll", "Fa maggiore", "A minor", "off", None]})
    assert masked(rows, SearchRequest(key=asked)) == [True, True, True, False, False, False]


@pytest.mark.parametrize("column", ["camelot", "key", "musical_key", "initial_key"])
def test_keys_are_those_of_the_catalog_in_a_table_without_parameters(column: str) -> None:
    rows = pa.table({"title": ["a", "b"], column: ["La mineur", "F#"]})
    assert masked(rows, SearchRequest(key="Am")) == [True, False]


def test_a_small_letter_is_major_if_it_is_asked_for_and_minor_in_a_table() -> None:
    rows = pa.table({"key": ["c", "C", "C minor"]})
    assert masked(rows, SearchRequest(key="c")) == [False, True, False]
    assert masked(rows, SearchRequest(key="C minor")) == [True, False, True]


@pytest.mark.parametrize("value", ["Straße", "STRAẞE", "İstanbul", "e\u0301", "É"])
def test_a_value_is_found_whatever_its_case_and_its_spelling_of_accents(value: str) -> None:
    rows = pa.table({"artist": [value, "another", None]})
    assert masked(rows, SearchRequest(only={"artist": (value,)})) == [True, False, False]


def test_no_value_at_all_is_refused(snapshot) -> None:
    with pytest.raises(DiscoveryError, match="write title=A,B"):
        search_tracks(snapshot, SearchRequest(only={"title": ()}))


def test_a_predicate_reads_no_table(snapshot) -> None:
    """The rows at hand are those of one bucket, so that an average over them would not be that of the table."""
    asked = SearchRequest(where="duration_s > (SELECT avg(duration_s) FROM tracks)")
    with pytest.raises(DiscoveryError, match="no table"):
        search_tracks(snapshot, asked)
    assert search_tracks(snapshot, SearchRequest(where="tracks.duration_s > 0")).hits


def test_a_range_is_told_exactly() -> None:
    assert str(ValueRange.of("1234567..1e12")) == "1234567..1000000000000"
