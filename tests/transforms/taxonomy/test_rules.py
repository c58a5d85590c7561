"""Rules in a taxonomy: what is refused, and what they change of ids, versions and pruning."""

import pytest

from pipelines.planning.parameters import rules_without_parameters
from transforms.taxonomy.hierarchy import Taxonomy, TaxonomyError, load_taxonomy
from transforms.taxonomy.pruning import without_rare
from transforms.taxonomy.versions import compare_taxonomies

PLAIN = {
    "categories": [
        {"name": "genre", "kind": "multilabel", "tags": ["genre/techno", "genre/rock"]},
        {"name": "voice", "kind": "multilabel", "tags": ["voice/vocal", "voice/none"]},
    ]
}
SLOW, FAST = "tempo/slow", "tempo/fast"


def tempo(slow=90, fast=90, **further):
    tags = [
        {"id": SLOW, "when": {"tempo_bpm": {"below": slow}}},
        {"id": FAST, "when": {"tempo_bpm": {"from": fast}}},
    ]
    return {"name": "tempo", "kind": "multiclass", "tags": tags, **further}


def case(tag="genre/techno", **when):
    return {"tag": tag, "at_least": 0.5, "when": when or {SLOW: {"tempo_bpm": {"below": 80}}}}


VOCALS = {
    "name": "vocals",
    "kind": "binary",
    "tags": [{"id": "vocals/present", "any_of": ["voice/vocal"], "none_of": ["voice/none"]}],
}


def taxonomy(*rules, **further):
    return Taxonomy.from_json({**PLAIN, "rules": list(rules), **further})


def test_a_taxonomy_without_rules_keeps_its_id():
    assert "rules" not in Taxonomy.from_json(PLAIN).to_json()
    assert Taxonomy.from_json(PLAIN).taxonomy_id == Taxonomy.from_json({**PLAIN, "rules": []}).taxonomy_id


def test_rules_are_written_and_read_again_and_are_part_of_the_id():
    first = taxonomy(tempo(cases=[case()]), VOCALS)
    again = Taxonomy.from_json(first.to_json())
    assert again == first and again.taxonomy_id == first.taxonomy_id
    others = [taxonomy(tempo(slow=89), VOCALS), taxonomy(tempo(min_confidence=0.4), VOCALS), taxonomy(tempo(), VOCALS)]
    assert len({first.taxonomy_id, *(other.taxonomy_id for other in others)}) == 4
    assert first.tag_ids == Taxonomy.from_json(PLAIN).tag_ids, "tags of rules are no targets"
    assert [tag.id for tag in first.rule_tags] == [SLOW, FAST, "vocals/present"]
    assert list(first.published) == [*first.tag_ids, SLOW, FAST, "vocals/present"]


NO_COLUMN = {"name": "t", "kind": "binary", "tags": [{"id": "t/a", "when": {"tempo": {"from": 1}}}]}


def of(**when):
    return {"name": "t", "kind": "binary", "tags": [{"id": "t/a", "when": when}]}


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (NO_COLUMN, "rule 't/a': rules cannot read the column 'tempo': did you mean 'tempo_bpm'?"),
        (of(tempo_bpm={"from": 120, "below": 90}), "has no value in it: write {from: 90, below: 120}"),
        (of(tempo_bpm={"from": 300}), "tempo_bpm from 300: no track has it, because tempo_bpm is 40 to 240"),
        (of(tempo_bpm={"above": 90}), "tempo_bpm has the unknown limit 'above': write from (at least) and below"),
        (of(tempo_bpm={}), "tempo_bpm has no limits in {}"),
        (of(tempo_bpm="fast"), "tempo_bpm 'fast': give numbers, or {from: ..., below: ...}"),
        (of(mode="minr"), "mode 'minr': did you mean 'minor'?; give major, minor"),
        (of(mode={"from": 1}), "it is no number: give one of its values"),
        (of(phase_inverted=1), "phase_inverted 1: give true or false"),
        (of(key=False), "key False; give C major"),
        (tempo(slow=100), "rule 'tempo/fast': tempo_bpm from 90 overlaps 'tempo/slow': tempo_bpm below 100"),
        (tempo(cases=[case(**{SLOW: {"tempo_bpm": {"below": 95}}})]), "for genre/techno: tempo_bpm from 90 overlaps"),
        (tempo(cases=[case("genre/tekno")]), "no tag 'genre/tekno': did you mean 'genre/techno'?"),
        (tempo(cases=[case(FAST)]), "'tempo/fast' is a tag of a rule: name a tag of `categories`"),
        (tempo(cases=[case(**{"tempo/slw": {"tempo_bpm": {"below": 9}}})]), "no track has it"),
        (tempo(cases=[case(**{"tempo/slw": {"tempo_bpm": {"below": 80}}})]), "did you mean 'tempo/slow'?"),
        (tempo(cases=[{**case(), "at_least": 2}]), "case 1: at_least 2: give a score from 0 to 1"),
        (tempo(cases=[{"tag": "genre/rock", "when": {}}]), "case 1: no at_least"),
        (tempo(min_confidence=50), "rules of 'tempo': min_confidence 50: give a number from 0 to 1"),
        ({**VOCALS, "name": "voice"}, "choose another one, such as 'measured_voice'"),
        ({**tempo(), "kind": "classes"}, "kind 'classes': choose binary, multiclass, multilabel"),
        ({**tempo(), "tags": ["tempo/slow"]}, "'tempo/slow' has no rule: write {id: ..., when:"),
        ({**tempo(), "tags": [{"id": SLOW}]}, "rule 'tempo/slow': give `when` with what was measured, or `any_of`"),
        ({**VOCALS, "tags": [{"id": "vocals/x", "any_of": ["voice/voca"]}]}, "did you mean 'voice/vocal'?"),
        ({**VOCALS, "tags": [{"id": "vocals/x", "none_of": ["voice/none"]}]}, "none_of needs any_of"),
        ({**VOCALS, "tags": [{"id": "vocal/x", "any_of": ["voice/none"]}]}, "its id must be vocals/<slug>"),
        ({"name": "tempo"}, "rules of 'tempo': no kind"),
        ({**tempo(), "tag": []}, "unknown field 'tag': did you mean 'tags'?"),
        ("tempo", "rules, category 1: 'tempo' is not a mapping"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_refused_with_the_value_and_what_to_write(rule, fault):
    with pytest.raises(TaxonomyError) as caught:
        taxonomy(rule)
    assert fault in str(caught.value)


def test_the_fault_names_the_line_of_the_rule(tmp_path):
    file = tmp_path / "t.yaml"
    file.write_text(
        "categories:\n  - {name: genre, kind: binary, tags: [genre/rock]}\nrules:\n  - name: tempo\n    kind: binary\n"
        "    tags:\n      - {id: tempo/slow, when: {tempo_bpm: {from: 90, below: 60}}}\n"
        "      - id: tempo/fast\n        when: {tempo: {from: 90}}\n"
    )
    with pytest.raises(TaxonomyError) as caught:
        load_taxonomy(str(file))
    first, second = caught.value.problems
    assert first.startswith(f"{file}, line 7: rule 'tempo/slow': tempo_bpm from 90 below 60")
    assert second.startswith(f"{file}, line 8: rule 'tempo/fast': rules cannot read the column 'tempo'")


def test_tags_of_one_category_may_overlap_if_any_number_applies():
    assert taxonomy({**tempo(slow=100), "kind": "multilabel"}).rules[0].kind == "multilabel"


def test_an_earlier_id_can_become_a_tag_of_a_rule():
    now = taxonomy(tempo(), redirects={"tempo/laid_back": SLOW})
    assert now.other_ids[SLOW] == ("tempo/laid_back",)
    before = taxonomy({**tempo(), "tags": [{**tempo()["tags"][0], "id": "tempo/laid_back"}, tempo()["tags"][1]]})
    changes = compare_taxonomies(before, now)
    assert changes.fates.renamed == {"tempo/laid_back": SLOW} and not changes.added and not changes.other_rules


def test_a_version_with_another_rule_names_the_tags():
    changes = compare_taxonomies(taxonomy(tempo(), VOCALS), taxonomy(tempo(slow=80), VOCALS))
    assert changes.sentences() == ["1 tag with another rule: tempo/slow"]
    assert changes.affected() == {SLOW: "other rule"} and changes.to_json()["other_rules"] == (SLOW,)
    added = compare_taxonomies(Taxonomy.from_json(PLAIN), taxonomy(VOCALS))
    assert added.sentences() == ["1 tag added: vocals/present"], "no head is fitted for a rule"


def test_a_tag_that_was_learned_can_follow_from_a_rule():
    learned = Taxonomy.from_json(
        {"categories": [*PLAIN["categories"], {"name": "tempo", "kind": "multilabel", "tags": [SLOW, FAST]}]}
    )
    changes = compare_taxonomies(learned, taxonomy(tempo()))
    assert changes.sentences() == ["1 head removed: tempo", "2 tags with another rule: tempo/slow, tempo/fast"]


def test_rules_lose_what_names_a_tag_that_is_too_rare():
    full = taxonomy(tempo(cases=[case(), case("genre/rock")]), VOCALS, redirects={"vocals/sung": "vocals/present"})
    artists = {"genre/techno": 1, "genre/rock": 9, "voice/vocal": 1, "voice/none": 9}
    pruned = without_rare(full, artists, 5).taxonomy
    assert [category.name for category in pruned.rules] == ["tempo"]
    assert [one.tag for one in pruned.rules[0].cases] == ["genre/rock"] and not pruned.redirects


def test_a_run_without_parameters_names_the_rules_that_need_them():
    length = {
        "name": "length",
        "kind": "binary",
        "tags": [{"id": "length/short", "when": {"duration_s": {"below": 60}}}],
    }
    assert rules_without_parameters(taxonomy(VOCALS, length)) is None
    said = rules_without_parameters(taxonomy(tempo(), VOCALS))
    assert said is not None and said.startswith("the rules of tempo need parameters, and none are measured")
