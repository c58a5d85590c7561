"""Tags of rules in published tables: their rows, plans, gates, changes, takedowns, search, and other tables' hashes."""

import dataclasses

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from models.bundles.fake import write_fake_bundle
from models.evaluation.published_scores import read_predictions
from pipelines.cli import main
from pipelines.planning.budget import choice_of_run, with_choice
from pipelines.synthesis.catalog import taxonomy
from tests.support.published import fake_bundle, publish_table
from tests.support.simulated import SimulatedTable
from transforms.discovery.search.vocabulary import vocabulary_of
from transforms.features.spec import FeatureSpec
from transforms.fusion.policy import policy_of
from transforms.fusion.settings import Fusion
from transforms.fusion.source_files import STATEMENTS
from transforms.schemas.tables import PER_BUCKET
from transforms.table.reader import open_snapshot
from transforms.table.versions import read_table_metadata
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.changes import table_changes
from transforms.tagging.choice import Budget
from transforms.tagging.costs import UnitCosts
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.published_tags import taxonomy_of_rows
from transforms.verification.bucket_checks import CheckedTags, bucket_problems
from transforms.verification.snapshot_checks import verify

PACE = {
    "name": "pace",
    "kind": "multiclass",
    "min_confidence": 0.25,
    "tags": [
        {"id": "pace/slow", "when": {"tempo_bpm": {"below": 118}}},
        {"id": "pace/medium", "when": {"tempo_bpm": {"from": 118, "below": 126}}},
        {"id": "pace/fast", "when": {"tempo_bpm": {"from": 126}}},
    ],
}
MINOR = {"name": "tonality", "kind": "binary", "tags": [{"id": "tonality/minor", "when": {"mode": "minor"}}]}
RULED = ("pace/slow", "pace/medium", "pace/fast", "tonality/minor")


def ruled_bundle(url, *rules, seed=0):
    document = {**taxonomy(), **({"rules": list(rules)} if rules else {})}
    return write_fake_bundle(str(url), Taxonomy.from_json(document), FeatureSpec(), seed=seed)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return ruled_bundle(tmp_path_factory.mktemp("ruled") / "bundle", PACE, MINOR)


@pytest.fixture(scope="module")
def table(tmp_path_factory, bundle):
    root = tmp_path_factory.mktemp("table") / "table"
    publish_table(root, bundle, parameters=True)
    return open_snapshot(str(root))


def problems(snapshot):
    return [problem for step in verify(snapshot) for problem in step.problems]


def tag_rows(snapshot, *names):
    rows = snapshot.scan("track_tags")
    return rows.filter(pc.is_in(rows["tag"], value_set=pc.cast(list(names), "string"))) if names else rows


def test_rows_follow_from_the_columns_and_say_so(table):
    tracks = {row["track_id"]: row for row in table.scan("tracks").to_pylist()}
    rows = tag_rows(table, *RULED)
    assert set(rows["source"].to_pylist()) == {"rule"} and rows["model_score"].null_count == rows.num_rows
    sure = {track for track, row in tracks.items() if (row["tempo_confidence"] or 0) >= 0.25}
    assert 0 < len(sure) < len(tracks)
    assert set(tag_rows(table, "pace/slow")["track_id"].to_pylist()) == sure
    assert set(tag_rows(table, "tonality/minor")["track_id"].to_pylist()) == set(tracks)
    for row in rows.to_pylist():
        track = tracks[row["track_id"]]
        bpm, key = track["tempo_bpm"], track["key"]
        meets = {
            "pace/slow": bpm < 118,
            "pace/medium": 118 <= bpm < 126,
            "pace/fast": bpm >= 126,
            "tonality/minor": key.endswith("minor"),
        }[row["tag"]]
        confidence = track["key_confidence" if row["category"] == "tonality" else "tempo_confidence"]
        assert row["score"] == (pytest.approx(confidence, abs=5e-5) if meets else 0)
        assert row["is_positive"] == (meets and confidence >= 0.5)
        assert (row["tag"] in {entry["tag"] for entry in track["top_tags"]}) == row["is_positive"]
    names = [row["tag"] for row in tag_rows(table).group_by("tag", use_threads=False).aggregate([]).to_pylist()]
    assert names == sorted(names), "tags of rules are in their places among the others"


def test_verify_applies_the_rules_again(table, tmp_path):
    assert problems(table) == []
    tables = {name: table.scan(name, bucket=0) for name in PER_BUCKET}
    other = ruled_bundle(tmp_path / "other", {**PACE, "min_confidence": 0.5}, MINOR)
    run = table.manifest.run
    for taxonomy_rows, said in (
        (table.scan("taxonomy"), []),
        (other.taxonomy_rows(), [f"bucket 0: track_tags: {tag} of" for tag in RULED[:3]]),
        (fake_bundle(tmp_path / "plain").taxonomy_rows(), ["bucket 0: track_tags: tags that are not in the taxonomy"]),
    ):
        found = list(bucket_problems(tables, CheckedTags.of(taxonomy_rows), run, 0, table.buckets))
        assert [problem for problem in found if any(problem.startswith(text) for text in said)] == found[: len(said)]
        assert len(found) >= len(said) and bool(found) == bool(said)


def test_tables_without_rules_have_neither_their_column_nor_another_hash(tmp_path, table):
    plain = fake_bundle(tmp_path / "plain")
    publish_table(tmp_path / "table", plain, parameters=True)
    snapshot = open_snapshot(str(tmp_path / "table"))
    assert "rule" not in snapshot.schema("taxonomy").names and "rule" in table.schema("taxonomy").names
    assert set(tag_rows(snapshot)["source"].to_pylist()) == {"model"} and problems(snapshot) == []
    without = table.scan("track_tags").filter(pc.not_equal(table.scan("track_tags")["source"], "rule"))
    assert without.equals(snapshot.scan("track_tags")), "the rows of the model are the same"


def test_artists_and_albums_have_the_tags_of_the_model_alone(table):
    for name in ("artist_tags", "album_tags"):
        tags = set(table.scan(name)["tag"].to_pylist())
        assert tags and not tags & {*RULED}


def test_an_evaluation_reads_the_tags_of_the_model_alone(table, bundle):
    ids = table.scan("tracks")["track_id"].to_pylist()
    found = read_predictions(table, ids)
    assert sorted(found.tag_ids) == sorted(bundle.taxonomy.tag_ids) and found.scores.shape == found.positives.shape
    rows = table.scan("track_tags").filter(pc.not_equal(table.scan("track_tags")["source"], "rule"))
    assert found.positives.sum() == pc.sum(rows["is_positive"]).as_py()
    assert found.scores.sum() == pytest.approx(pc.sum(rows["model_score"]).as_py(), rel=1e-5)


def test_recommendations_and_profiles_stay_finite_with_tags_that_groups_lack(table, tmp_path, capsys):
    tracks = table.scan("tracks").to_pylist()
    assert main(["recommend", table.root, "--artist", tracks[0]["artist_id"], "--json"]) == 0
    assert "NaN" not in (said := capsys.readouterr().out) and "similarity" in said
    (tmp_path / "history.csv").write_text("track_id,plays\n" + "".join(f"{row['track_id']},1\n" for row in tracks[:9]))
    assert main(["profile", table.root, str(tmp_path / "history.csv"), "--json"]) == 0
    assert "NaN" not in capsys.readouterr().out


def test_search_finds_tags_of_rules_by_id_and_by_name(table):
    vocabulary = vocabulary_of(table)
    assert vocabulary.find("pace/slow").tags == ("pace/slow",)
    assert vocabulary.by_name["medium"] == ("pace/medium", "tempo/medium")


@pytest.mark.long
def test_min_score_and_top_k_apply_to_rules(tmp_path, bundle):
    for name, options in (("score", PublishedRows(min_score=0.3)), ("rank", PublishedRows(top_k=1))):
        publish_table(tmp_path / name, bundle, publication=options, parameters=True)
        snapshot = open_snapshot(str(tmp_path / name))
        rows = tag_rows(snapshot, *RULED)
        assert rows.num_rows and problems(snapshot) == []
        assert pc.min(rows["score"]).as_py() >= 0.3 if name == "score" else pc.max(rows["rank"]).as_py() == 1


def test_rules_use_the_scores_that_sources_changed(tmp_path):
    loud = {"name": "sung", "kind": "binary", "tags": [{"id": "sung/sung", "any_of": ["voice/vocal"]}]}
    model = ruled_bundle(tmp_path / "bundle", loud)
    policy = policy_of({"sources": {"editors": {"mode": "override", "trust": 0.9}}}, model.taxonomy)
    fusion = Fusion(policy=policy, taxonomy=model.taxonomy, tables={"editors": "a"}, shards=())
    row = {"key": "track-0001", "source": "editors", "tag": "voice/vocal", "weight": 1.0}
    publish_table(tmp_path / "table", model, 6, fusion=fusion, said=[pa.Table.from_pylist([row], STATEMENTS)])
    snapshot = open_snapshot(str(tmp_path / "table"))
    rows = {(one["track_id"], one["tag"]): one for one in tag_rows(snapshot, "voice/vocal", "sung/sung").to_pylist()}
    assert rows["track-0001", "voice/vocal"]["score"] == rows["track-0001", "sung/sung"]["score"] == pytest.approx(0.95)
    assert rows["track-0001", "sung/sung"]["source"] == "rule" and rows["track-0001", "sung/sung"]["experts"] is None
    assert all(rows[track, "sung/sung"]["score"] == one["score"] for (track, _), one in rows.items())
    assert problems(snapshot) == []


TRACKS = {f"t{number}": "1" for number in range(8)}


def night(simulated, model, **named):
    stages = simulated.stages(TRACKS, model, **named)
    forecast = simulated.plan(stages).forecast
    return forecast, simulated.run(stages, lambda source: None)


def test_another_rule_writes_tags_again_and_decodes_nothing(tmp_path, bundle):
    simulated = SimulatedTable(tmp_path)
    _, first = night(simulated, bundle.url, parameters_id="pa-1")
    assert first.rules == ("pace", "tonality") and read_table_metadata(simulated.root).min_writer_version == 5
    forecast, same = night(simulated, bundle.url, parameters_id="pa-1")
    assert forecast.causes["unchanged"] == len(TRACKS) and same.content_hash == first.content_hash
    moved = [dict(PACE["tags"][0], when={"tempo_bpm": {"below": 90}}), dict(PACE["tags"][1]), PACE["tags"][2]]
    moved[1]["when"] = {"tempo_bpm": {"from": 90, "below": 126}}
    other = ruled_bundle(tmp_path / "other", {**PACE, "tags": moved}, MINOR)
    forecast, changed = night(simulated, other.url, parameters_id="pa-1")
    assert forecast.causes["taxonomy"] == forecast.actions["carry"] == len(TRACKS)
    assert forecast.actions["extract"] == 0 and changed.counts["decoded"] == 0
    before, after = (open_snapshot(simulated.root, number) for number in (1, 3))
    model = [tag_rows(one).filter(pc.not_equal(tag_rows(one)["source"], "rule")) for one in (before, after)]
    assert model[0].equals(model[1]) and not tag_rows(before, *RULED).equals(tag_rows(after, *RULED))
    assert before.files("embeddings") == after.files("embeddings")
    assert set(changed.evidence["drift"]) == {*bundle.taxonomy.tag_ids, "pace/fast", "tonality/minor"}
    assert problems(after) == []


def test_the_first_measurement_is_no_drift(tmp_path, bundle):
    simulated = SimulatedTable(tmp_path)
    _, first = night(simulated, bundle.url)
    assert first.rules and tag_rows(open_snapshot(simulated.root), *RULED).num_rows == 0
    forecast, second = night(simulated, bundle.url, parameters_id="pa-1", parameters_due=True)
    assert forecast.causes["parameters"] == len(TRACKS)
    drift = second.evidence["drift"]["pace/fast"]
    assert drift["tracks"] == [0, len(TRACKS)] and drift["unchanged"]["tracks"] == 0
    _, third = night(simulated, bundle.url, parameters_id="pa-1")
    assert third.evidence["drift"]["pace/fast"]["unchanged"]["tracks"] == len(TRACKS)
    assert problems(open_snapshot(simulated.root)) == []


@pytest.mark.long
def test_tracks_that_a_budget_leaves_keep_their_tags_of_rules(tmp_path, bundle):
    simulated = SimulatedTable(tmp_path)
    night(simulated, bundle.url, parameters_id="pa-1")
    before = tag_rows(open_snapshot(simulated.root), *RULED)
    stages = simulated.stages(TRACKS, ruled_bundle(tmp_path / "next", PACE, MINOR, seed=1).url, parameters_id="pa-1")
    costs = UnitCosts(core_seconds={"plan": 0.0, "read": 0.5, "extract": 0.5, "embed": 1.0, "assemble": 0.0})
    expectations = dataclasses.replace(stages.record.expectations, units=costs)
    stages = dataclasses.replace(stages, record=dataclasses.replace(stages.record, expectations=expectations))
    made = choice_of_run(stages, Budget(max_core_hours=5 / 3600), stages.record.launch, 2)
    run = simulated.run(with_choice(stages, made), lambda source: None)
    snapshot = open_snapshot(simulated.root)
    assert run.is_mixed and 0 < run.counts["postponed"] < len(TRACKS) and problems(snapshot) == []
    keys = [("category", "ascending"), ("tag", "ascending"), ("track_id", "ascending")]
    assert tag_rows(snapshot, *RULED).sort_by(keys).equals(before.sort_by(keys))


def test_a_run_says_which_rules_differ(table, tmp_path, bundle):
    other = ruled_bundle(tmp_path / "other", {**PACE, "min_confidence": 0.5}, MINOR)
    changes = table_changes(table, other, PublishedRows())
    assert changes.rules == RULED[2:3] + RULED[1:2] + RULED[:1] and changes.must_be_accepted
    assert changes.sentences() == ["3 tags with another rule (pace/fast, pace/medium, pace/slow)"]
    assert table_changes(table, bundle, PublishedRows()).sentences() == []
    gone = table_changes(table, ruled_bundle(tmp_path / "gone", MINOR), PublishedRows())
    assert gone.dropped == ("pace/fast", "pace/medium", "pace/slow")


@pytest.mark.long
def test_a_takedown_keeps_tags_of_rules_out_of_the_sums(tmp_path, bundle):
    publish_table(tmp_path / "table", bundle, parameters=True)
    ids = open_snapshot(str(tmp_path / "table")).scan("tracks")["track_id"].to_pylist()[:2]
    words = ["--track-id", ids[0], "--apply", "--reader-grace", "0s"]
    assert main(["purge", str(tmp_path / "table"), *words]) == 0
    snapshot = open_snapshot(str(tmp_path / "table"))
    assert problems(snapshot) == [] and not set(snapshot.scan("artist_tags")["tag"].to_pylist()) & {*RULED}


def test_the_rules_of_a_table_are_those_of_its_bundle(table, bundle):
    found = taxonomy_of_rows(table.scan("taxonomy").to_pylist(), rules=True)
    assert {one.name: one for one in found.rules}.keys() == {"pace", "tonality"}
    assert found.rule_texts == bundle.taxonomy.rule_texts
