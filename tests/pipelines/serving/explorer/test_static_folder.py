"""`serve --export`: the files of the folder, and what is left out."""

import contextlib
import io
import json
from pathlib import Path

import pytest

from pipelines.cli import main
from pipelines.serving.explorer.files import page_files


@pytest.fixture(scope="module")
def exported(served, tmp_path_factory):
    """The folder, and what the command answered."""
    folder, said = tmp_path_factory.mktemp("export") / "page", io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["serve", served, "--export", str(folder), "--export-tracks", "10", "--format", "json"]) == 0
    return folder, json.loads(said.getvalue())


@pytest.fixture(scope="module")
def folder(exported):
    return exported[0]


def read(folder: Path, name: str):
    return json.loads((folder / "data" / name).read_text())


def test_the_folder_has_the_page_and_a_policy_and_no_table(folder, served):
    for name, file in page_files().items():
        if name != "index.html":
            assert (folder / "explorer" / name).read_bytes() == file.data
    html = (folder / "index.html").read_text()
    assert 'name="explorer-data" content="data"' in html
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in html and "Content-Security-Policy" in html
    for path in folder.rglob("*.json"):
        assert served not in path.read_text()


def test_its_data_are_the_answers_of_the_service(folder, client, rows):
    catalog, start = read(folder, "catalog.json"), read(folder, "start.json")
    ids = [row["track_id"] for row in catalog["tracks"]]
    assert len(ids) == 10 and ids == sorted(ids) and set(ids) < {row["track_id"] for row in rows}
    assert (start["tracks"], start["left_out"], start["audio"], start["sign_in"]) == (10, len(rows) - 10, False, False)
    for place, track in enumerate(ids):
        answer = client.get("/v1/explorer/track", params={"id": track}).json()["data"]
        own = read(folder, f"tracks/{place}.json")
        near = own.pop("similar")
        assert own == answer
        every = client.get(f"/v1/tracks/{track}/similar?limit=100").json()["data"]
        assert near == [row for row in every if row["track_id"] in ids][:8] and len(near) == 8
        scores = {row["tag"]: round(row["score"] * 10_000) for row in answer["tags"]}
        assert dict(zip(catalog["tags"], catalog["scores"][place], strict=True)) == scores
    artist = read(folder, "artists/0.json")
    assert artist["id"] == catalog["artists"][0]
    assert {row["track_id"] for row in artist["of_tracks"]} <= set(ids)
    for i, category in enumerate(start["categories"]):
        found = read(folder, f"maps/{i}.json")
        assert found["category"] == category and sorted(found["track_id"]) == ids and len(found["x"]) == 10
    assert read(folder, "quality.json") == client.get("/v1/explorer/quality").json()["data"]
    assert "first of its table" in read(folder, "changes.json")["problem"]
    facets = client.get("/v1/explorer/facets").json()["data"]["columns"]
    assert {name: own["number"] for name, own in start["bins"].items()} == {
        n: len(f["counts"]) for n, f in facets.items()
    }


def test_the_answer_says_what_is_left_out(exported, rows):
    folder, said = exported
    left = len(rows) - 10
    assert said == {"folder": str(folder), "snapshot": 1, "tracks": 10, "artists": said["artists"], "left_out": left}
    assert said["artists"] == len(read(folder, "catalog.json")["artists"]) > 1


@pytest.mark.parametrize(
    "flags, word",
    [
        (["--export", "{taken}"], "empty or new"),
        (["--export", "{new}", "--audio-root", "x"], "--audio-root"),
        (["--export", "{new}", "--clients", "x"], "--clients"),
    ],
)
def test_what_cannot_be_exported_is_refused(served, tmp_path, capsys, flags, word):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    flags = [flag.format(taken=tmp_path / "taken", new=tmp_path / "new") for flag in flags]
    assert main(["serve", served, *flags]) == 2
    assert word in capsys.readouterr().err
    assert not (tmp_path / "new").exists() and [p.name for p in (tmp_path / "taken").iterdir()] == ["file"]
