"""Drift gates, the comparison of snapshots and changes to a table follow tags that were renamed or merged."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundles.tagger_bundle import Bundle
from tests.support.nights import TAXONOMY, blank_bundle, publish_night, record_night, swapped, trained
from transforms.comparison.buckets import Pair, compare
from transforms.comparison.report import document, to_text
from transforms.comparison.scores import present_ids
from transforms.comparison.tag_changes import TagChanges, tag_changes_table
from transforms.comparison.track_changes import TrackCounts
from transforms.publishing.audit import Refused
from transforms.publishing.commit import publish
from transforms.publishing.gates import GateLimits
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import Run
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.changes import table_changes
from transforms.taxonomy.hierarchy import Taxonomy

TRACKS = range(1_100)


def changed(bundle: Bundle, names: dict[str, str], gone: Iterable[str] = (), redirects: dict[str, Any] | None = None):
    """The bundle with other ids of tags, without some, and with redirects; scores of the other tags stay."""
    kept = [i for i, tag in enumerate(bundle.taxonomy.tag_ids) if tag not in set(gone)]
    text = bundle.taxonomy.to_json()
    for category in text["categories"]:
        category["tags"] = [tag for tag in category["tags"] if tag["id"] not in set(gone)]
        for tag in category["tags"]:
            tag["id"] = names.get(tag["id"], tag["id"])
            tag["parents"] = [names.get(parent, parent) for parent in tag.get("parents", [])]
    taxonomy = Taxonomy.from_json({**text, "redirects": redirects or {}})
    columns = {name: getattr(bundle.heads, name)[..., kept] for name in ("weights", "bias", "slope", "offset")}
    facts = tuple(
        dataclasses.replace(bundle.tags[place], tag=tag) for place, tag in zip(kept, taxonomy.tag_ids, strict=True)
    )
    heads = dataclasses.replace(bundle.heads, **columns)
    return dataclasses.replace(bundle, taxonomy=taxonomy, heads=heads, tags=facts)


NAMES = {"mood/happy": "mood/joyful", "mood/soft": "mood/gentle"}
MERGED = {"gone": ["mood/rare"], "redirects": {"mood/rare": "mood/happy"}}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """Trained heads, and the same and others under new ids."""
    blank = blank_bundle(tmp_path_factory.mktemp("bundles") / "blank")
    first = trained(blank, np.arange(500))
    again = trained(blank, np.random.default_rng(1).permutation(500))
    return {
        "first": first,
        "renamed": changed(first, NAMES, redirects=NAMES),
        "renamed, no redirect": changed(first, NAMES),
        "renamed and trained again": changed(again, NAMES, redirects=NAMES),
        "renamed and swapped": changed(swapped(first, "mood/soft", "mood/happy"), NAMES, redirects=NAMES),
        "merged": changed(first, {}, **MERGED),
        "split": changed(first, NAMES, redirects={"mood/happy": ["mood/joyful", "mood/rare"]}),
    }


@pytest.fixture(scope="module")
def table(bundles: dict[str, Bundle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One snapshot. Tests record runs after it, and publish none."""
    folder = tmp_path_factory.mktemp("renamed") / "table"
    publish_night(folder, bundles["first"], TRACKS)
    return folder


def drift(run: Run) -> dict[str, float]:
    return {name: gate["value"] for name, gate in run.gates.items() if name.startswith("drift_")}


def failed(run: Run) -> list[str]:
    return [name for name, gate in run.gates.items() if not gate["passed"]]


def test_a_renamed_tag_with_the_same_scores_passes(table: Path, bundles) -> None:
    run = record_night(table, bundles["renamed"], TRACKS)
    assert failed(run) == []
    assert set(run.evidence["drift"]) == {NAMES.get(tag, tag) for tag in TAXONOMY.tag_ids}
    assert drift(run) == {
        **{"drift_prevalence": 1, "drift_scores": 0, "drift_order_unchanged": pytest.approx(0, abs=1e-6)},
        **{"drift_prevalence_unchanged": 1, "drift_scores_unchanged": 0},
    }
    assert run.evidence["drift"]["mood/joyful"]["positives"][0] > 100


def test_a_renamed_head_that_was_trained_again_passes(table: Path, bundles) -> None:
    run = record_night(table, bundles["renamed and trained again"], TRACKS)
    assert failed(run) == [] and 0 < drift(run)["drift_order_unchanged"] < 0.1


def test_two_swapped_tags_are_stopped_under_their_new_ids(table: Path, bundles) -> None:
    run = record_night(table, bundles["renamed and swapped"], TRACKS)
    assert failed(run) == ["drift_order_unchanged"]
    with pytest.raises(Refused, match="gate drift_order_unchanged") as refused:
        publish(str(table), run, GateLimits())
    named = [line.split(":")[0].strip() for line in str(refused.value).splitlines()[1:]]
    assert set(named[:2]) <= {"mood/gentle", "mood/joyful", "mood/calm"}


@pytest.mark.parametrize(("name", "compared"), [("renamed, no redirect", set()), ("split", {"mood/rare"})])
def test_a_tag_without_a_single_successor_is_not_compared(table: Path, bundles, name: str, compared: set[str]) -> None:
    found = record_night(table, bundles[name], TRACKS).evidence["drift"]
    assert found.keys() & {"mood/joyful", "mood/happy"} == set()
    assert compared <= found.keys()


def test_a_merged_tag_is_compared_with_the_highest_score_of_its_earlier_tags(table: Path, bundles) -> None:
    run = record_night(table, bundles["merged"], TRACKS)
    found = run.evidence["drift"]["mood/happy"]
    old = open_snapshot(str(table)).scan("track_tags", ["track_id", "tag", "is_positive"]).to_pandas()
    both = old[old.tag.isin(["mood/happy", "mood/rare"]) & old.is_positive]
    happy = both[both.tag == "mood/happy"]
    assert found["positives"] == [both.track_id.nunique(), len(happy)] and both.track_id.nunique() > len(happy)
    assert "mood/rare" not in run.evidence["drift"]


def test_a_step_back_to_the_earlier_ids_is_followed(bundles, tmp_path: Path) -> None:
    publish_night(tmp_path / "t", bundles["renamed"], TRACKS)
    run = record_night(tmp_path / "t", bundles["first"], TRACKS)
    assert failed(run) == [] and set(run.evidence["drift"]) == set(TAXONOMY.tag_ids)


def compared(pair: Pair) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    tracks, changes = TrackCounts(), TagChanges.none(len(pair.tags().ids))
    rows = []
    for part in compare(pair):
        tracks, changes, rows = tracks + part.tracks, changes + part.tags, rows + part.rows.to_pylist()
    return document(pair, tracks, tag_changes_table(pair.tags(), changes)), rows


@pytest.fixture(scope="module")
def history(bundles: dict[str, Bundle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshots: the first ids, the new ids, a merge."""
    folder = tmp_path_factory.mktemp("history") / "table"
    for name in ("first", "renamed", "merged"):
        publish_night(folder, bundles[name], range(150))
    return folder


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_the_comparison_shows_a_renamed_tag_as_one(history: Path, numbers: tuple[int, int]) -> None:
    found, rows = compared(Pair(*(open_snapshot(str(history), number) for number in numbers)))
    assert rows == [] and found["tracks"]["unchanged"] == 150
    assert {row["side"] for row in found["tags"]} == {"both"}
    assert all(row["gained"] == row["lost"] == row["shifted"] == 0 for row in found["tags"])
    names = NAMES if numbers == (1, 2) else {new: old for old, new in NAMES.items()}
    assert {row["former_ids"]: row["tag"] for row in found["tags"] if row["former_ids"]} == names
    line = f"- tags with another id: {', '.join(f'{old} is now {new}' for old, new in sorted(names.items()))}"
    assert sorted(line) == sorted(next(text for text in to_text(found).splitlines() if "another id" in text))
    assert all(side["positives_before"] == side["positives_after"] for side in found["categories"].values())


def test_the_comparison_counts_merged_tags_once(history: Path) -> None:
    first = open_snapshot(str(history), 1)
    found, _ = compared(Pair(first, open_snapshot(str(history), 3)))
    (row,) = [row for row in found["tags"] if row["tag"] == "mood/happy"]
    positive = first.scan("track_tags", ["track_id", "tag", "is_positive"]).to_pandas().query("is_positive")
    union = positive[positive.tag.isin(["mood/happy", "mood/rare"])].track_id.nunique()
    assert row["former_ids"] == "mood/rare" and row["positives_before"] == union and row["side"] == "both"
    assert "mood/rare" not in {row["tag"] for row in found["tags"]}


def test_changes_to_a_table_name_renamed_merged_and_split_tags(history: Path, bundles) -> None:
    said = {
        name: table_changes(open_snapshot(str(history), 1), bundles[name], PublishedRows()).sentences()
        for name in ("renamed", "merged", "split", "renamed, no redirect")
    }
    assert said["renamed"] == ["2 tags renamed (mood/happy to mood/joyful, mood/soft to mood/gentle)"]
    assert said["merged"] == ["1 tag merged (mood/rare into mood/happy)"]
    assert "1 tag split (mood/happy into mood/joyful and mood/rare)" in said["split"]
    assert said["renamed, no redirect"][:2] == [
        "2 tags dropped (mood/happy, mood/soft)",
        "2 tags added (mood/gentle, mood/joyful)",
    ]


CASES = {
    "nothing": ({"a/x": []}, {"a/x": []}, {}),
    "renamed": ({"a/x": []}, {"a/y": ["a/x"]}, {"a/x": "a/y"}),
    "renamed back": ({"a/y": ["a/x"]}, {"a/x": []}, {"a/y": "a/x"}),
    "merged into a new tag": ({"a/x": [], "a/y": []}, {"a/z": ["a/x", "a/y"]}, {"a/x": "a/z", "a/y": "a/z"}),
    "merged into one of both": ({"a/x": [], "a/y": []}, {"a/y": ["a/x"]}, {"a/x": "a/y"}),
    "a merge undone": ({"a/z": ["a/x", "a/y"]}, {"a/x": [], "a/y": []}, {}),
    "split": ({"a/x": []}, {"a/y": ["a/x"], "a/z": ["a/x"]}, {}),
    "a split undone": ({"a/y": ["a/x"], "a/z": ["a/x"]}, {"a/x": []}, {}),
    "the earlier id lives on": ({"a/x": []}, {"a/x": [], "a/y": ["a/x"]}, {}),
    "two generations": ({"a/x": []}, {"a/z": ["a/x", "a/y"]}, {"a/x": "a/z"}),
    "rows of earlier versions": ({"a/x": None}, {"a/x": None}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_present_ids(case: str) -> None:
    before, after, wanted = CASES[case]
    rows = [[{"tag": tag, "other_ids": ids} for tag, ids in side.items()] for side in (before, after)]
    assert present_ids(*rows) == wanted
    without = [{"tag": tag} for tag in before]
    assert present_ids(without, without) == {}
