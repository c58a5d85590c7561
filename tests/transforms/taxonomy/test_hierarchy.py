"""Taxonomies: what is read, what is refused, and the orders that everything else rests on."""

import pickle

import pytest

from transforms.taxonomy.hierarchy import Taxonomy, TaxonomyError, load_taxonomy

YAML = """
categories:
  - name: mood
    kind: multilabel
    tags:
      - id: mood/soft
      - id: mood/calm
        name: Calm
        parents: [mood/soft]
        aliases: [mood/peaceful, feel---calm]
  - name: genre
    kind: multiclass
    tags: [genre/rock, genre/hip-hop]
  - name: voice
    kind: binary
    tags:
      - id: voice/vocal
        any_of: [instrument/voice]
      - voice/instrumental
"""


def load(tmp_path, text):
    path = tmp_path / "taxonomy.yaml"
    path.write_text(text, encoding="utf-8")
    return load_taxonomy(str(path))


def category(name="mood", kind="multilabel", tags=("mood/a",)):
    return {"name": name, "kind": kind, "tags": list(tags)}


def problems(*categories):
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy.from_json({"categories": list(categories)})
    return caught.value.problems


def moods(top=6, middle=5, low=7):
    """256 moods in three levels, children written before their parents."""
    tags = []
    for a in range(top):
        for b in range(middle):
            low_tags = [{"id": f"mood/m{a}-{b}-{c}", "parents": [f"mood/m{a}-{b}"]} for c in range(low)]
            tags += [*low_tags, {"id": f"mood/m{a}-{b}", "parents": [f"mood/m{a}"]}]
    tags += [{"id": f"mood/m{a}"} for a in range(top)]
    return tags + [{"id": f"mood/x{i}", "parents": ["mood/m0-0", "mood/m1-0"]} for i in range(256 - len(tags))]


def test_tags_keep_the_order_of_the_file(tmp_path):
    taxonomy = load(tmp_path, YAML)
    assert taxonomy.tag_ids == (
        "mood/soft",
        "mood/calm",
        "genre/rock",
        "genre/hip-hop",
        "voice/vocal",
        "voice/instrumental",
    )
    assert taxonomy.slices["genre"] == slice(2, 4)
    assert taxonomy.kinds[1:3] == ("multilabel", "multiclass")


def test_names_default_to_the_slug(tmp_path):
    assert [tag.name for tag in load(tmp_path, YAML).tags[:4]] == ["Soft", "Calm", "Rock", "Hip hop"]


def test_aliases_resolve_to_their_tag(tmp_path):
    taxonomy = load(tmp_path, YAML)
    assert taxonomy.resolve("mood/peaceful") == taxonomy.resolve("feel/calm") == "mood/calm"
    assert taxonomy.resolve("mood/loud") is None


def test_rule_tags_are_known_but_are_no_tags(tmp_path):
    taxonomy = load(tmp_path, YAML)
    assert taxonomy.knows("instrument/voice") and taxonomy.resolve("instrument/voice") is None
    assert not taxonomy.knows("instrument/piano")


def test_yaml_json_and_pickle_give_the_same_taxonomy(tmp_path):
    taxonomy = load(tmp_path, YAML)
    assert load(tmp_path, taxonomy.to_yaml()) == taxonomy
    assert Taxonomy.from_json(taxonomy.to_json()) == taxonomy
    assert pickle.loads(pickle.dumps(taxonomy)).taxonomy_id == taxonomy.taxonomy_id


def test_the_id_moves_with_content_and_order_not_with_spelling(tmp_path):
    taxonomy = load(tmp_path, YAML)
    assert load(tmp_path, YAML.replace("name: Calm", 'name: "Calm" # peaceful')).taxonomy_id == taxonomy.taxonomy_id
    assert load(tmp_path, YAML.replace("name: Calm", "name: Quiet")).taxonomy_id != taxonomy.taxonomy_id
    swapped = YAML.replace("[genre/rock, genre/hip-hop]", "[genre/hip-hop, genre/rock]")
    assert load(tmp_path, swapped).taxonomy_id != taxonomy.taxonomy_id


def test_256_moods_in_three_levels():
    taxonomy = Taxonomy.from_json({"categories": [category(tags=moods())]})
    assert len(taxonomy.tags) == 256
    leaf = taxonomy.index["mood/m2-3-1"]
    assert {taxonomy.tag_ids[i] for i in taxonomy.ancestors[leaf]} == {"mood/m2-3", "mood/m2"}
    both = taxonomy.ancestors[taxonomy.index["mood/x0"]]
    assert {taxonomy.tag_ids[i] for i in both} == {"mood/m0-0", "mood/m0", "mood/m1-0", "mood/m1"}


def test_topological_order_has_every_parent_first():
    taxonomy = Taxonomy.from_json({"categories": [category(tags=moods())]})
    place = {tag: i for i, tag in enumerate(taxonomy.topological)}
    assert sorted(place) == list(range(256))
    assert all(place[parent] < place[tag] for tag in place for parent in taxonomy.parents[tag])


def test_every_problem_is_reported_at_once(tmp_path):
    found = problems(
        category(tags=[{"id": "mood/calm", "parents": ["mood/sfot"]}, "mood/soft", "mood/soft"]),
        category("genre", "multiclass", ["genre/rock"]),
        category("voice", "binary", ["genre/vocal"]),
    )
    assert found == (
        "tag 'mood/soft' is listed 2 times",
        "category 'genre': 1 tag: a multiclass category needs two or more",
        "tag 'genre/vocal': listed in category 'voice': its id must be voice/<slug>",
        "tag 'mood/calm': parent 'mood/sfot' does not exist: did you mean 'mood/soft'?",
    )


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([{"id": "mood/a", "name": False}], "name False is not text: quote it"),
        ([{"id": "mood/a", "nmae": "A"}], "unknown field 'nmae': did you mean 'name'?"),
        ([{"name": "A"}], "no id"),
        ([True], "True is neither an id nor a mapping"),
        ([{"id": "mood/a", "aliases": "x/y"}], "aliases must be a list"),
        ([{"id": "mood/a", "aliases": ["calm"]}], "aliases: tag 'calm': write category/slug"),
        (["mood"], "write category/slug"),
        ([{"id": "mood/a", "any_of": ["x/y"]}], "any_of and none_of are for binary categories"),
        ([{"id": "mood/a", "parents": ["mood/a"]}], "parents form a cycle"),
        ([{"id": "mood/a", "aliases": ["mood/b"]}, "mood/b"], "alias 'mood/b' already belongs to 'mood/b'"),
    ],
)
def test_faults_of_tags(tags, message):
    assert any(message in problem for problem in problems(category(tags=tags)))


def test_cycles_name_their_tags():
    tags = [{"id": "mood/a", "parents": ["mood/b"]}, {"id": "mood/b", "parents": ["mood/a"]}, "mood/c"]
    assert problems(category(tags=tags)) == ("tags ['mood/a', 'mood/b']: parents form a cycle",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a taxonomy is one mapping"),
        ("categories: []", "no categories"),
        ("categories: [", "not a YAML file"),
        ("categories: []\ncategories: []", "key 'categories' is repeated"),
        ("categories:\n  - {name: mood, kind: many, tags: [mood/a]}", "kind 'many': choose binary"),
    ],
)
def test_broken_files_are_named(tmp_path, text, message):
    with pytest.raises(TaxonomyError, match=r"taxonomy\.yaml") as caught:
        load(tmp_path, text)
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TaxonomyError, match="no such taxonomy file"):
        load_taxonomy(str(tmp_path / "none.yaml"))


def with_dropped(kind="multilabel", dropped=()):
    return {"categories": [{"name": "mood", "kind": kind, "tags": ["mood/a", "mood/b"], "dropped": list(dropped)}]}


def test_dropped_tags_come_back_and_change_the_id():
    taxonomy = Taxonomy.from_json(
        with_dropped(dropped=[{"id": "mood/c", "parents": ["mood/a"], "aliases": ["mood/d"]}])
    )
    assert Taxonomy.from_json(taxonomy.to_json()) == taxonomy
    assert taxonomy.taxonomy_id != Taxonomy.from_json(with_dropped()).taxonomy_id
    assert "dropped" not in Taxonomy.from_json(with_dropped()).to_json()["categories"][0]
    assert taxonomy.knows("mood/d") and taxonomy.resolve("mood/d") is None and taxonomy.implied("mood/d") == (0,)


@pytest.mark.parametrize(
    ("kind", "dropped", "message"),
    [
        ("multilabel", ["mood/a"], "tag 'mood/a' is listed 2 times"),
        ("multilabel", [{"id": "mood/c", "aliases": ["mood/b"]}], "alias 'mood/b' already belongs to"),
        ("multilabel", [{"id": "mood/c", "parents": ["mood/d"]}, "mood/d"], "parent 'mood/d' does not exist"),
        ("binary", ["mood/c"], "dropped tags are for multiclass and multilabel"),
        ("multilabel", ["genre/c"], "must be mood/<slug>"),
        ("multilabel", [{"parents": []}], "dropped tag 1: no id"),
    ],
)
def test_faults_of_dropped_tags_are_named(kind, dropped, message):
    with pytest.raises(TaxonomyError, match=message):
        Taxonomy.from_json(with_dropped(kind, dropped))
