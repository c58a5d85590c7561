"""`taxonomy diff`: what a change of a taxonomy means, for files, bundles, datasets and tables."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import load_bundle
from pipelines.cli import main
from pipelines.synthesis.catalog import taxonomy
from tests.support.published import publish_table
from tests.transforms.dataset.test_manifest import manifest
from transforms.features.spec import FeatureSpec
from transforms.table.reader import open_snapshot
from transforms.taxonomy.hierarchy import Taxonomy

GONE = {
    "mood/groovy": "mood/funky",
    "mood/warm": "mood/dreamy",
    "instrument/bells": ["instrument/chimes", "instrument/tubular"],
}


def later() -> dict[str, Any]:
    """The synthetic taxonomy with a tag renamed, one merged, one split, one moved, one removed, and a new category."""
    document = taxonomy()
    rows = {category["name"]: category["tags"] for category in document["categories"]}
    moods = {tag["id"]: tag for tag in rows["mood"]}
    moods["mood/groovy"]["id"] = "mood/funky"
    moods["mood/wistful"]["parents"] = ["mood/soft"]
    rows["mood"].remove(moods["mood/warm"])
    rows["instrument"][:] = [t for t in rows["instrument"] if t["id"] not in ("instrument/bells", "instrument/flute")]
    rows["instrument"] += [{"id": tag} for tag in GONE["instrument/bells"]]
    document["categories"].append({"name": "venue", "kind": "binary", "tags": ["venue/live"]})
    return {**document, "redirects": GONE}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Both versions as files, bundles and datasets, and a table with a snapshot of each."""
    folder = tmp_path_factory.mktemp("versions")
    found = {}
    for name, document in (("old", taxonomy()), ("new", later())):
        version = Taxonomy.from_json(document)
        found[f"{name}.yaml"] = str(folder / f"{name}.yaml")
        (folder / f"{name}.yaml").write_text(version.to_yaml())
        write_fake_bundle(str(folder / name), version, FeatureSpec())
        dataset = folder / f"{name}-data"
        dataclasses.replace(manifest(), taxonomy=version).write(str(dataset))
        found |= {f"{name}-bundle": str(folder / name)}
        found |= {f"{name}-dataset": str(dataset)}
        publish_table(folder / "table", load_bundle(str(folder / name)), 12)
    return found | {"old-table": f"{folder / 'table'}@1", "new-table": str(folder / "table")}


def diff(capsys: pytest.CaptureFixture[str], *words: str, form: str = "json") -> Any:
    capsys.readouterr()
    assert main(["taxonomy", "diff", *words, "--format", form, "--quiet"]) == 0
    out = capsys.readouterr().out
    return json.loads(out) if form == "json" else out


@pytest.mark.parametrize("kind", [".yaml", "-bundle", "-dataset", "-table"])
def test_every_kind_of_place_tells_the_same(places: dict[str, str], kind: str, capsys) -> None:
    found = diff(capsys, places[f"old{kind}"], places[f"new{kind}"])
    assert found["renamed"] == {"mood/groovy": "mood/funky"} and found["merged"] == {"mood/dreamy": ["mood/warm"]}
    assert found["split"] == {"instrument/bells": ["instrument/chimes", "instrument/tubular"]}
    assert found["removed"] == ["instrument/flute"] and found["added"] == ["venue/live"] and found["dropped"] == []
    assert found["moved"] == {"mood/wistful": {"before": ["mood/sad"], "after": ["mood/soft"]}}
    assert (found["new_heads"], found["lost_heads"]) == (["venue"], [])
    assert sorted(found["other_heads"]) == ["instrument", "mood"]
    assert diff(capsys, places["new.yaml"], places[f"new{kind}"])["renamed"] == {}


def test_the_tracks_of_a_table_are_counted(places: dict[str, str], capsys) -> None:
    old = places["old-table"]
    found = diff(capsys, old, places["new.yaml"], "--table", old)
    snapshot = open_snapshot(places["new-table"], 1)
    tags = snapshot.scan("track_tags", ["track_id", "tag", "is_positive"]).to_pandas().query("is_positive")
    concerned = [*GONE, "mood/wistful", "instrument/flute"]
    counts = {tag: int((tags.tag == tag).sum()) for tag in concerned}
    held = tags[tags.tag.isin(concerned)].track_id.nunique()
    assert found["table"]["tracks"] == {
        "tagged": 12,
        "concerned": held,
        "by_tag": {tag: count for tag, count in counts.items() if count},
    }
    assert found["table"]["snapshot"] == 1 and 0 < max(counts.values()) <= held <= 12
    text = diff(capsys, old, places["new.yaml"], "--table", old, form="table")
    assert text.splitlines()[-1] == f"{held} of 12 tagged tracks in snapshot 1 of {old} have a tag that changes"
    assert "1 tag split: instrument/bells into instrument/chimes and instrument/tubular" in text.splitlines()
    rows = diff(capsys, old, places["new.yaml"], "--table", old, form="csv").splitlines()
    assert rows[0] == "change,tag,now,tracks" and len(rows) == 7
    numbers = [int(row.rpartition(",")[2] or 0) for row in rows[1:]]
    assert numbers == sorted(numbers, reverse=True) and numbers[0] == max(counts.values()), "most tracks first"
    assert f'split,instrument/bells,"instrument/chimes, instrument/tubular",{counts["instrument/bells"]}' in rows
    assert f"moved,mood/wistful,mood/wistful,{counts['mood/wistful']}" in rows and "added,,venue/live," in rows


def test_equal_versions(places: dict[str, str], capsys) -> None:
    assert diff(capsys, places["new.yaml"], places["new-bundle"], form="table") == "no difference\n"
    found = diff(capsys, places["new-dataset"], places["new.yaml"], "--table", places["new-table"])
    assert found["sentences"] == ["no difference"] and found["table"]["tracks"]["concerned"] == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["old.yaml", "nowhere.yaml"], 1, "nowhere.yaml: no such taxonomy file"),
        (["old.yaml", "table@7"], 1, "no snapshot 7; snapshots are 1 to 2"),
        (["old.yaml", "new.yaml", "--table", "new.yaml"], 2, "this is no table: give its folder, or TABLE@3"),
        (["loop.yaml", "new.yaml"], 1, "they lead in a circle"),
    ],
)
def test_refusals(places: dict[str, str], words: list[str], code: int, message: str, capsys) -> None:
    folder = Path(places["old.yaml"]).parent
    (folder / "loop.yaml").write_text(json.dumps({**taxonomy(), "redirects": {"mood/x": "mood/y", "mood/y": "mood/x"}}))
    assert main(["taxonomy", "diff", *(str(folder / word) if word[0] != "-" else word for word in words)]) == code
    said = capsys.readouterr().err
    assert message in said and len(said.splitlines()) == 1
