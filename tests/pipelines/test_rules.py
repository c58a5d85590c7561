"""`import-model rules`, and what `describe`, `taxonomy diff` and `query` say of tags of rules."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from models.bundles.tagger_bundle import load_bundle
from pipelines.cli import main
from tests.support.published import fake_bundle, publish_table

RULES = """rules:
  - name: pace
    kind: multiclass
    tags:
      - {id: pace/slow, when: {tempo_bpm: {below: 120}}}
      - {id: pace/fast, when: {tempo_bpm: {from: 120}}}
redirects:
  pace/lively: pace/fast
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A bundle, a file of rules, a bundle with them, and a table of it."""
    folder = tmp_path_factory.mktemp("rules")
    found = {name: str(folder / name) for name in ("bundle", "rules.yaml", "ruled", "table")}
    fake_bundle(found["bundle"])
    Path(found["rules.yaml"]).write_text(RULES)
    assert with_rules(found["bundle"], found["rules.yaml"], found["ruled"]) == 0
    publish_table(found["table"], load_bundle(found["ruled"]), parameters=True)
    return found


def with_rules(model: str, rules: str, output: str) -> int:
    return main(["import-model", "rules", "--model", model, "--rules", rules, "--output", output])


def answer(capsys: pytest.CaptureFixture[str], *words: str, form: str = "json") -> Any:
    capsys.readouterr()
    assert main([*words, *(("--json",) if form == "json" else ())]) == 0
    said = capsys.readouterr().out
    return json.loads(said) if form == "json" else said


def test_network_and_heads_stay_and_only_the_tagger_is_another_one(places: dict[str, str]) -> None:
    before, after = (load_bundle(places[name]) for name in ("bundle", "ruled"))
    assert after.embedding_id == before.embedding_id and after.heads.digest == before.heads.digest
    assert after.tags == before.tags and after.taxonomy.categories == before.taxonomy.categories
    assert after.tagger_id != before.tagger_id and after.taxonomy.other_ids["pace/fast"] == ("pace/lively",)
    assert set(after.files) == set(before.files)


def test_no_rules_give_the_bundle_of_before(places: dict[str, str], tmp_path: Path) -> None:
    empty = tmp_path / "none.yaml"
    empty.write_text("rules: []\n")
    assert with_rules(places["bundle"], str(empty), str(tmp_path / "plain")) == 0
    assert load_bundle(str(tmp_path / "plain")).tagger_id == load_bundle(places["bundle"]).tagger_id


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (RULES.replace("from: 120", "from: 110"), "line 6: rule 'pace/fast': tempo_bpm from 110 overlaps 'pace/slow'"),
        (RULES.replace("pace", "tempo"), "line 2: rules of 'tempo': a category of `categories` has this name"),
        ("categories: []\n", "no rules: write one mapping with the key `rules`"),
        (
            f"categories: [{{name: mood, kind: binary, tags: [mood/calm]}}]\n{RULES}",
            "fit heads with `refit --taxonomy`",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    places: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, fault: str
) -> None:
    (tmp_path / "rules.yaml").write_text(text)
    assert with_rules(places["bundle"], str(tmp_path / "rules.yaml"), str(tmp_path / "b")) == 1
    assert fault in capsys.readouterr().err and not (tmp_path / "b").exists()


def test_describe_tells_categories_of_rules_from_those_of_the_model(
    places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, "describe", places["ruled"])["categories"]
    assert found[-1] == {"name": "pace", "kind": "multiclass", "tags": 2, "source": "rule"}
    assert {one["source"] for one in found[:-1]} == {"model"}
    assert all("source" not in one for one in answer(capsys, "describe", places["bundle"])["categories"])


def test_taxonomy_diff_reads_rules_of_bundles_and_tables(
    places: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(capsys, "taxonomy", "diff", places["table"], places["ruled"], form="text").startswith(
        "no tag differs"
    )
    (tmp_path / "rules.yaml").write_text(RULES.replace("from: 120", "from: 125"))
    assert with_rules(places["ruled"], str(tmp_path / "rules.yaml"), str(tmp_path / "other")) == 0
    words = ("taxonomy", "diff", places["table"], str(tmp_path / "other"), "--table", places["table"])
    found = answer(capsys, *words)
    assert found["other_rules"] == ["pace/fast"] and found["sentences"] == ["1 tag with another rule: pace/fast"]
    assert found["table"]["tracks"]["concerned"] > 0


def test_sql_search_and_export_have_the_tags_without_special_cases(
    places: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = "SELECT source, count(*) AS rows, min(score) AS low FROM track_tags WHERE category = 'pace' GROUP BY ALL"
    (row,) = answer(capsys, "query", places["table"], sql)
    assert row["source"] == "rule" and row["rows"] > 0 and row["low"] == 0
    sql = "SELECT id, tag FROM tag_ids WHERE tag = 'pace/fast' ORDER BY id"
    assert [one["id"] for one in answer(capsys, "query", places["table"], sql)] == ["pace/fast", "pace/lively"]
    found = answer(capsys, "search", places["table"], "--tag", "pace/fast=1", "--limit", "1")["tracks"]
    assert found[0]["tags"][0]["tag"] == "pace/fast" and found[0]["tags"][0]["score"] >= 0.5
    assert main(["export", places["table"], "--wide", "--output", str(tmp_path / "wide.parquet")]) == 0
    wide = pq.read_table(tmp_path / "wide.parquet")["pace/fast"]
    assert 0 < wide.null_count < len(wide), "a track of which nothing is known has no value"
    assert main(["verify", places["table"]]) == 0
