"""What `labels` and `split` keep of a catalog is bounded, whatever its rows say; the report shows names as text."""

import json
from pathlib import Path

import pytest

from pipelines.cli import main
from pipelines.inputs.labelled_tracks import catalog_labels
from pipelines.terminal.errors import CommandFailed
from transforms.catalog.problems import MOST_PROBLEMS
from transforms.catalog.reader import list_shards
from transforms.splits import survey
from transforms.splits.report import overview
from transforms.taxonomy.hierarchy import load_taxonomy

TAXONOMY = """
categories:
  - {name: pace, kind: binary, tags: [pace/slow, pace/fast]}
  - {name: mood, kind: multilabel, tags: [mood/calm, mood/dark]}
"""


def catalog(folder: Path, tags: list[list[str]], **columns: list[str]) -> list[str]:
    """Writes a catalog and a taxonomy; returns the flags that name them."""
    rows = []
    for i, names in enumerate(tags):
        more = {name: values[i] for name, values in columns.items()}
        rows.append({"track_id": f"t{i}", "uri": f"{i}.wav", "tags": [{"tag": tag} for tag in names], **more})
    (folder / "catalog.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "taxonomy.yaml").write_text(TAXONOMY)
    return ["--catalog", str(folder / "catalog.jsonl"), "--taxonomy", str(folder / "taxonomy.yaml")]


def surveyed(folder: Path) -> survey.CatalogLabels:
    shards, taxonomy = list_shards(str(folder / "catalog.jsonl")), load_taxonomy(str(folder / "taxonomy.yaml"))
    return survey.read_labels(shards, taxonomy, lambda row: "train")


def test_names_of_unknown_tags_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "MOST_UNKNOWN", 10)
    catalog(tmp_path, [["mood/calm", f"other/{i % 30}"] for i in range(90)])
    unknown = surveyed(tmp_path).unknown
    assert len(unknown) == 10 and set(unknown.values()) == {3}


def test_conflicts_are_counted_and_the_first_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "MOST_CONFLICTS", 5)
    catalog(tmp_path, [["pace/slow", "pace/fast", *(f"other/{i}" for i in range(400))] for _ in range(40)])
    found = surveyed(tmp_path)
    assert found.conflicts.num_rows == 5 and found.conflict_counts == {"pace": 40}
    assert max(map(len, found.conflicts["tags"].to_pylist())) == 1024
    assert overview(found, load_taxonomy(str(tmp_path / "taxonomy.yaml")))["categories"]["pace"]["conflicts"] == 40


@pytest.mark.parametrize("command", ["labels", "split"])
def test_problems_are_counted_and_the_first_are_listed(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = catalog(tmp_path, [["mood/calm"]] * 3000)
    text = (tmp_path / "catalog.jsonl").read_text().replace('"uri"', '"place"').replace('"place"', '"uri"', 1)
    (tmp_path / "catalog.jsonl").write_text(text)
    assert main([command, *flags, "--output", str(tmp_path / "out.parquet")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "2,999 problems in the catalog" in lines[0] and len(lines) == 1 + MOST_PROBLEMS


def test_names_are_no_markup_in_the_report(tmp_path: Path) -> None:
    tag = "mood/<img src=x onerror=alert(1)>[a](b)`"
    flags = catalog(tmp_path, [["mood/calm", tag, "pace/slow", "pace/fast"]] * 2)
    text = (tmp_path / "catalog.jsonl").read_text()
    (tmp_path / "catalog.jsonl").write_text(text.replace('"t0"', json.dumps("<b>\x1b[2J\u202e|")))
    assert main(["labels", *flags, "--output", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "labels.md").read_text()
    assert "<" not in text and r"a](" not in text and not {"\x1b", "\u202e"} & set(text)
    assert r"mood/&lt;img src=x onerror=alert(1)&gt;\[a\](b)\`" in text


@pytest.mark.parametrize("command", ["labels", "split"])
def test_a_file_that_is_there_twice_is_refused(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, _, taxonomy = catalog(tmp_path, [["mood/calm"]] * 20)
    (tmp_path / "folder").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / "folder" / name).write_bytes((tmp_path / "catalog.jsonl").read_bytes())
    output = tmp_path / ("out.parquet" if command == "split" else "out")
    flags = ["--catalog", str(tmp_path / "folder"), "--taxonomy", taxonomy, "--output", str(output)]
    assert main([command, *flags]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert sum("is already used in" in line for line in lines) == 20 and not output.exists()


def test_labels_for_heads_are_refused_if_an_id_occurs_twice(tmp_path: Path) -> None:
    catalog(tmp_path, [["mood/calm"]] * 3)
    lines = (tmp_path / "catalog.jsonl").read_text()
    (tmp_path / "catalog.jsonl").write_text(lines + "\n" + lines.splitlines()[1])
    taxonomy = load_taxonomy(str(tmp_path / "taxonomy.yaml"))
    with pytest.raises(CommandFailed, match=r"row 4.*'t1' is already used in .*row 2"):
        list(catalog_labels(str(tmp_path / "catalog.jsonl"), taxonomy, None, "fitted"))
