"""Pooling of scores with sources: the formula, the modes, the hierarchy, calibration, and invariants of all inputs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fusion import TAGS, TAXONOMY, fused, policy, score_of
from transforms.fusion.pooling import EDGE, EXPERT, FUSED, MODEL, ORIGINS, with_hierarchy
from transforms.fusion.statements import implied_weights


def logit(p: float) -> float:
    p = min(max(p, EDGE), 1 - EDGE)
    return math.log(p / (1 - p))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def origin(found, tag: str) -> str:
    return ORIGINS[found.origins[0, TAGS.index(tag)]]


@pytest.mark.parametrize(
    ("model", "stated", "rule", "wanted"),
    [
        (0.3, 1.0, {"trust": 0.9}, sigmoid(logit(0.3) + logit(0.95))),
        (0.3, 0.0, {"trust": 0.9}, sigmoid(logit(0.3) + logit(0.05))),
        (0.3, 0.8, {"trust": 0.5, "weight": 0.5}, sigmoid(logit(0.3) + 0.5 * logit(0.65))),
        (0.3, 0.5, {"trust": 1}, 0.3),
        (0.3, 1.0, {"trust": 0}, 0.3),
        (0.0, 1.0, {"trust": 0.9}, sigmoid(logit(EDGE) + logit(0.95))),
        (1.0, 0.0, {"trust": 1}, 0.5),
    ],
)
def test_log_odds_are_added(model: float, stated: float, rule: dict, wanted: float) -> None:
    found = fused(
        {"a": {"mood/happy": model}}, {"x": {"a": {"mood/happy": stated}}}, policy(x={"mode": "blend", **rule})
    )
    assert score_of(found, "mood/happy") == pytest.approx(wanted, abs=0.00005)
    assert origin(found, "mood/happy") == FUSED and origin(found, "live/live") == MODEL
    others = np.array(TAGS) != "mood/happy"
    assert (found.scores[0, others] == 0.5).all() and not found.origins[0, others].any()


def test_several_sources_add_up_and_the_weights_together_are_published() -> None:
    rules = policy(x={"mode": "blend", "trust": 0.8}, y={"mode": "blend", "trust": 0.6, "weight": 0.5})
    found = fused({"a": {"mood/happy": 0.2}}, {"x": {"a": {"mood/happy": 1}}, "y": {"a": {"mood/happy": 1}}}, rules)
    experts = logit(0.9) + 0.5 * logit(0.8)
    assert score_of(found, "mood/happy") == pytest.approx(sigmoid(logit(0.2) + experts), abs=0.00005)
    assert found.expert_weights[0, TAGS.index("mood/happy")] == pytest.approx(sigmoid(experts))
    said = [(TAGS[tag], rules.names[source], weight) for _, tag, source, weight in zip(*found.entries, strict=True)]
    assert said == [("mood/happy", "x", pytest.approx(0.9)), ("mood/happy", "y", pytest.approx(0.8))]


def test_the_first_source_that_overrides_decides_alone() -> None:
    rules = policy(x={"mode": "override", "trust": 0.8}, y={"mode": "override"}, z={"mode": "blend"})
    tag = {"mood/happy": 1}
    both = fused({"a": {"mood/happy": 0.2}}, {"x": {"a": tag}, "y": {"a": {"mood/happy": 0}}, "z": {"a": tag}}, rules)
    assert score_of(both, "mood/happy") == 0.9 and origin(both, "mood/happy") == EXPERT
    second = fused({"a": {"mood/happy": 0.2}}, {"y": {"a": {"mood/happy": 0}}, "z": {"a": tag}}, rules)
    assert score_of(second, "mood/happy") == 0


def test_a_source_that_fills_speaks_where_no_other_does() -> None:
    rules = policy(x={"mode": "blend", "trust": 0.8}, y={"mode": "fill", "trust": 0.6})
    said = {"x": {"a": {"mood/happy": 1}}, "y": {"a": {"mood/happy": 0, "live/live": 1}}}
    found = fused({"a": {}}, said, rules)
    assert score_of(found, "mood/happy") == 0.9 and score_of(found, "live/live") == 0.8
    assert len(found.entries.tag) == 3, "what it says of the other tag is recorded all the same"


def test_a_category_can_have_its_own_rule_and_be_ignored() -> None:
    own = {"genre": {"mode": "ignore"}, "live": {"mode": "override", "trust": 0.5}}
    rules = policy(x={"mode": "blend", "categories": own})
    found = fused({"a": {"live/live": 0.1}}, {"x": {"a": {"genre/folk": 1, "live/live": 1}}}, rules)
    assert score_of(found, "live/live") == 0.75 and score_of(found, "genre/folk") == 0.5
    assert origin(found, "genre/folk") == MODEL


@pytest.mark.parametrize(
    ("absent", "wanted"),
    [
        ({}, {"mood/happy": 0.9, "mood/calm": 0.5, "mood/soft": 0.5, "live/live": 0.5}),
        (
            {"absent": "negative", "absent_trust": 0.4},
            {"mood/happy": 0.9, "mood/calm": 0.3, "mood/soft": 0.3, "live/live": 0.5},
        ),
        ({"absent": "negative"}, {"mood/happy": 0.9, "mood/calm": 0.1, "mood/soft": 0.1, "live/live": 0.5}),
    ],
)
def test_what_an_absent_tag_means(absent: dict, wanted: dict[str, float]) -> None:
    rules = policy(x={"mode": "blend", "trust": 0.8, **absent})
    found = fused({"a": {}, "b": {}}, {"x": {"a": {"mood/happy": 1}}}, rules)
    assert {tag: score_of(found, tag) for tag in wanted} == pytest.approx(wanted)
    assert np.array_equal(found.scores[1], np.full(len(TAGS), 0.5)), "nothing is said about the other track"


def test_a_broader_tag_of_a_named_one_is_not_absent() -> None:
    rules = policy(x={"mode": "blend", "trust": 0.8, "absent": "negative"})
    found = fused({"a": {}}, {"x": {"a": {"mood/gloomy": 0.4}}}, rules)
    assert score_of(found, "mood/happy") == 0.1
    assert score_of(found, "mood/sad") == score_of(found, "mood/soft") == 0.5


@pytest.mark.parametrize(
    ("stated", "wanted"),
    [
        ({"mood/gloomy": 1}, {"mood/gloomy": 1, "mood/sad": 1, "mood/soft": 1}),
        ({"mood/gloomy": 0.7, "mood/sad": 0.2}, {"mood/gloomy": 0.7, "mood/sad": 0.7, "mood/soft": 0.7}),
        ({"mood/gloomy": 0.4}, {"mood/gloomy": 0.4}),
        ({"mood/soft": 0}, {"mood/soft": 0, "mood/calm": 0, "mood/sad": 0, "mood/gloomy": 0}),
        (
            {"mood/soft": 0.2, "mood/calm": 0.4},
            {"mood/soft": 0.2, "mood/calm": 0.4, "mood/sad": 0.2, "mood/gloomy": 0.2},
        ),
        ({"mood/soft": 0, "mood/calm": 1}, {"mood/soft": 1, "mood/calm": 1}),
        ({"mood/soft": 0.8}, {"mood/soft": 0.8}),
    ],
)
def test_what_the_hierarchy_implies(stated: dict[str, float], wanted: dict[str, float]) -> None:
    values = np.array([[stated.get(tag, np.nan) for tag in TAGS]])
    found = implied_weights(values, TAXONOMY)[0]
    assert {tag: value for tag, value in zip(TAGS, found, strict=True) if not math.isnan(value)} == wanted


def test_a_broader_tag_never_scores_below_a_narrower_one() -> None:
    rules = policy(x={"mode": "override"}, y={"mode": "blend", "trust": 0.9})
    scores = {"a": {"mood/soft": 0.6, "mood/sad": 0.5, "mood/gloomy": 0.4}}
    found = fused(scores, {"x": {"a": {"mood/soft": 0.1}}, "y": {"a": {"mood/sad": 1}}}, rules)
    assert score_of(found, "mood/sad") == 0.1, "a no for the broader tag overrides the narrower one"
    raised = fused(scores, {"y": {"a": {"mood/gloomy": 1}}}, rules)
    assert score_of(raised, "mood/gloomy") == pytest.approx(sigmoid(logit(0.4) + logit(0.95)), abs=0.00005)
    assert score_of(raised, "mood/soft") >= score_of(raised, "mood/sad") >= score_of(raised, "mood/gloomy")


def test_of_a_pair_the_second_tag_follows() -> None:
    rules = policy(x={"mode": "blend", "trust": 0.8, "absent": "negative"})
    scores = {"a": {"voice/vocal": 0.6, "voice/instrumental": 0.4}}
    for said in ({"voice/vocal": 1}, {"voice/instrumental": 0}):
        found = fused(scores, {"x": {"a": said}}, rules)
        assert score_of(found, "voice/vocal") == pytest.approx(sigmoid(logit(0.6) + logit(0.9)), abs=0.00005)
        assert score_of(found, "voice/instrumental") == pytest.approx(1 - score_of(found, "voice/vocal"))
    both = fused(scores, {"x": {"a": {"voice/vocal": 1, "voice/instrumental": 1}}}, rules)
    assert score_of(both, "voice/vocal") == 0.6, "a contradiction says nothing"


def test_of_exclusive_tags_the_others_keep_their_proportions() -> None:
    scores = {"a": {"genre/folk": 0.2, "genre/rock": 0.6, "genre/jazz": 0.2}}
    found = fused(scores, {"x": {"a": {"genre/folk": 1}}}, policy(x={"mode": "blend", "trust": 0.8}))
    folk = sigmoid(logit(0.2) + logit(0.9))
    assert [score_of(found, f"genre/{t}") for t in ("folk", "rock", "jazz")] == pytest.approx(
        [folk, 0.75 * (1 - folk), 0.25 * (1 - folk)], abs=0.0001
    )
    assert origin(found, "genre/rock") == FUSED and math.isnan(found.expert_weights[0, TAGS.index("genre/rock")])
    sure = fused(scores, {"x": {"a": {"genre/folk": 1}}}, policy(x={"mode": "override", "trust": 0.8}))
    assert [score_of(sure, f"genre/{t}") for t in ("folk", "rock", "jazz")] == pytest.approx([0.9, 0.075, 0.025])
    two = {"x": {"a": {"genre/folk": 1, "genre/jazz": 1}}}
    assert score_of(fused(scores, two, policy(x={"mode": "override"})), "genre/jazz") == 0.5
    nothing = {"x": {"a": dict.fromkeys(("genre/folk", "genre/rock", "genre/jazz"), 0)}}
    assert score_of(fused(scores, nothing, policy(x={"mode": "override"})), "genre/rock") == pytest.approx(0.6)


def test_scores_stay_calibrated_if_the_trust_is_true() -> None:
    """Truth with the probability that the model says; a channel that is right with the probability (1 + trust) / 2."""
    rng, trust, tracks = np.random.default_rng(0), 0.6, 12_000
    scores = np.round(rng.uniform(0.02, 0.98, tracks), 4)
    truth = rng.random(tracks) < scores
    heard = np.where(rng.random(tracks) < (1 + trust) / 2, truth, ~truth)
    ids = [f"{i:05d}" for i in range(tracks)]
    said = {track: {"mood/happy": float(yes)} for track, yes in zip(ids, heard, strict=True)}
    model = {track: {"mood/happy": float(score)} for track, score in zip(ids, scores, strict=True)}
    found = fused(model, {"x": said}, policy(x={"mode": "blend", "trust": trust})).scores[:, TAGS.index("mood/happy")]
    bins = np.clip((found * 10).astype(int), 0, 9)
    gaps = [abs(found[bins == b].mean() - truth[bins == b].mean()) for b in range(10)]
    assert max(gaps) < 0.05
    brier = lambda values: float(np.mean((values - truth) ** 2))  # noqa: E731
    assert brier(found) < 0.8 * brier(scores)
    over = fused(model, {"x": said}, policy(x={"mode": "blend", "trust": 0.98})).scores[:, TAGS.index("mood/happy")]
    assert brier(over) > brier(found), "trust that is too high costs"


WEIGHTS = st.dictionaries(st.sampled_from(TAGS), st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), max_size=6)
RULES = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["override", "blend", "fill", "ignore"]),
        "trust": st.sampled_from([0.0, 0.3, 0.9, 1.0]),
        "absent": st.sampled_from(["unknown", "negative"]),
    }
)
MODELS = st.lists(st.lists(st.integers(0, 10_000), min_size=len(TAGS), max_size=len(TAGS)), min_size=2, max_size=4)


def consistent(raw: list[list[int]]) -> list[dict[str, float]]:
    """Scores as a model gives them: exclusive tags add up to 1, a pair too, parents over children."""
    scores = np.array(raw) / 10_000
    genre, voice = (TAXONOMY.slices[name] for name in ("genre", "voice"))
    scores[:, genre] = (scores[:, genre] + 0.001) / (scores[:, genre] + 0.001).sum(axis=1, keepdims=True)
    scores[:, voice.start + 1] = 1 - scores[:, voice.start]
    return [dict(zip(TAGS, row, strict=True)) for row in with_hierarchy(np.round(scores, 4), TAXONOMY)]


@settings(max_examples=40)
@given(MODELS, st.lists(st.tuples(RULES, WEIGHTS), min_size=1, max_size=3))
def test_invariants(raw: list[list[int]], sources: list[tuple[dict, dict[str, float]]]) -> None:
    model = {f"t{i}": row for i, row in enumerate(consistent(raw))}
    rules = policy(**{f"s{i}": rule for i, (rule, _) in enumerate(sources)})
    said = {f"s{i}": {"t0": weights} for i, (_, weights) in enumerate(sources)}
    found = fused(model, said, rules)
    before = np.array([[row[tag] for tag in TAGS] for row in model.values()])
    assert np.array_equal(found.scores[1:], before[1:]) and not found.origins[1:].any()
    scores = found.scores[0]
    assert ((scores >= 0) & (scores <= 1)).all() and np.array_equal(np.round(scores, 4), scores)
    for child, parents in enumerate(TAXONOMY.parents):
        assert all(scores[parent] >= scores[child] for parent in parents)
    assert scores[TAXONOMY.slices["genre"]].sum() == pytest.approx(1, abs=0.0003)
    assert scores[TAXONOMY.slices["voice"]].sum() == pytest.approx(1, abs=0.0001)
    assert np.array_equal(scores != before[0], (scores != before[0]) & (found.origins[0] > 0))
    alone = fused({"t0": model["t0"]}, said, rules)
    assert np.array_equal(alone.scores[0], scores), "a row does not depend on others"
