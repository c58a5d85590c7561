"""The file of `--fusion`: its rules, and every fault in one line."""

from pathlib import Path

import pytest

from tests.support.fusion import TAXONOMY, policy
from transforms.fusion.policy import Policy, PolicyError, load_policy, policy_of

GOOD = """
sources:
  editors: {mode: override, trust: 1}
  catalog:
    mode: blend
    trust: 0.8
    weight: 0.5
    categories:
      mood: {absent: negative, absent_trust: 0.2}
      genre: {mode: ignore}
"""


def test_rules_of_a_category_complete_those_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(GOOD)
    found = load_policy(str(tmp_path / "f.yaml"), TAXONOMY)
    assert found.names == ("editors", "catalog")
    catalog = found.sources[1].rules
    assert (catalog["mood"].mode, catalog["mood"].trust, catalog["mood"].weight) == ("blend", 0.8, 0.5)
    assert (catalog["mood"].absent, catalog["mood"].absent_trust) == ("negative", 0.2)
    assert (catalog["voice"].absent, catalog["genre"].mode) == ("unknown", "ignore")
    assert not found.uses("catalog", "genre") and found.uses("editors", "genre")
    again = Policy.from_json(found.to_json())
    assert again == found and again.policy_id == found.policy_id


def test_the_id_is_of_the_rules_and_not_of_the_file() -> None:
    one = policy(x={"mode": "blend", "trust": 0.8}, y={"mode": "fill"})
    assert one.policy_id == policy(x={"trust": 0.8, "weight": 1, "mode": "blend"}, y={"mode": "fill"}).policy_id
    assert one.policy_id != policy(x={"mode": "blend", "trust": 0.81}, y={"mode": "fill"}).policy_id
    assert one.policy_id != policy(y={"mode": "fill"}, x={"mode": "blend", "trust": 0.8}).policy_id
    assert one.without("x") == policy(y={"mode": "fill"})


RULE = {"mode": "blend", "trust": 0.5}


@pytest.mark.parametrize(
    ("obj", "fault"),
    [
        ([], "it must be one mapping with the key `sources`"),
        ({"sources": {}}, "0 sources: give 1 to 100"),
        ({"sources": {"x": RULE}, "more": 1}, "it must be one mapping with the key `sources`"),
        ({"sources": {7: RULE}}, "7 is no name of a source"),
        ({"sources": {"x": "blend"}}, "source x: 'blend' is not a mapping with mode, trust, weight"),
        ({"sources": {"x": {"trust": 1}}}, "source x: no mode"),
        ({"sources": {"x": {"mode": "blend"}}}, "source x: no trust"),
        ({"sources": {"x": {**RULE, "mode": "replace"}}}, "mode 'replace': give override, blend, fill, ignore"),
        ({"sources": {"x": {**RULE, "trust": 1.5}}}, "source x: trust 1.5: give a number from 0 to 1"),
        ({"sources": {"x": {**RULE, "trust": True}}}, "source x: trust True: give a number from 0 to 1"),
        ({"sources": {"x": {**RULE, "trust": float("nan")}}}, "source x: trust nan: give a number from 0 to 1"),
        ({"sources": {"x": {**RULE, "weight": 0}}}, "source x: weight 0: give a number over 0, at most 100"),
        ({"sources": {"x": {**RULE, "absent": False}}}, "source x: absent False: give unknown, negative"),
        ({"sources": {"x": {**RULE, "absent_trust": 0.1}}}, "source x: absent_trust needs `absent: negative`"),
        (
            {"sources": {"x": {"mode": "override", "trust": 1, "weight": 2}}},
            "weight has no meaning for `mode: override`",
        ),
        ({"sources": {"x": {**RULE, "trsut": 1}}}, "source x: unknown field 'trsut': known are mode, trust"),
        ({"sources": {"x": {**RULE, "categories": ["mood"]}}}, "source x: categories: ['mood'] is not a mapping"),
        (
            {"sources": {"x": {**RULE, "categories": {"mod": {}}}}},
            "the taxonomy has no category 'mod': it has voice, genre",
        ),
        ({"sources": {"x": {**RULE, "categories": {"mood": 1}}}}, "source x, category mood: 1 is not a mapping"),
        (
            {"sources": {"x": {**RULE, "categories": {"mood": {"trust": -1}}}}},
            "source x, category mood: trust -1: give a number from 0 to 1",
        ),
    ],
)
def test_faults_are_named(obj: object, fault: str) -> None:
    with pytest.raises(PolicyError) as raised:
        policy_of(obj, TAXONOMY)
    lines = str(raised.value).split("\n")
    assert len(lines) == 1 and fault in lines[0]


def test_all_faults_are_named_with_the_file(tmp_path: Path) -> None:
    url = str(tmp_path / "f.yaml")
    Path(url).write_text("sources: {x: {mode: blend}, y: {trust: 2, mode: fill}}")
    with pytest.raises(PolicyError) as raised:
        load_policy(url, TAXONOMY)
    assert str(raised.value).split("\n") == [
        f"{url}: source x: no trust",
        f"{url}: source y: trust 2: give a number from 0 to 1",
    ]


@pytest.mark.parametrize("text", [None, "sources: {x: 1, x: 2}", "a: [", "\tx"])
def test_a_file_that_is_missing_or_no_yaml_is_named(tmp_path: Path, text: str | None) -> None:
    url = tmp_path / "f.yaml"
    if text is not None:
        url.write_text(text)
    with pytest.raises(PolicyError, match=r"f\.yaml"):
        load_policy(str(url), TAXONOMY)
