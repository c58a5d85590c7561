"""An upload is analysed as `tag` analyses a track, and costs at most one decoding process."""

from pathlib import Path

import numpy as np
import pytest

from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import load_bundle
from models.trunks.loading import load_embedder
from pipelines.cli import main
from pipelines.synthesis.catalog import taxonomy
from tests.support.published import fake_bundle, publish_table
from tests.support.service import service
from tests.support.synth import encode, music
from transforms.audio.limits import Limits
from transforms.discovery.exact import nearest
from transforms.discovery.vectors import fit_space
from transforms.features.extract import extract
from transforms.features.spec import FeatureSpec
from transforms.table.reader import open_snapshot
from transforms.taxonomy.hierarchy import Taxonomy

PATH = "/v1/analysis"


@pytest.fixture(scope="module")
def analyst(served):
    model = str(Path(served).parent / "bundle")
    with service(served, model=model, upload_bytes=2_000_000) as client:
        yield client, model


@pytest.fixture(scope="module")
def song() -> bytes:
    return encode(music(12), format="FLAC")


@pytest.fixture(scope="module")
def expected(song, analyst):
    """The same file through the functions, in this process: bundle, embedding, scores."""
    bundle = load_bundle(analyst[1])
    features = extract(song, bundle.spec, Limits())
    embeddings = load_embedder(analyst[1]).embed([features.patches])
    return bundle, embeddings, bundle.score(embeddings)


def test_an_upload_gets_the_tags_of_tag(analyst, song, expected):
    bundle, _, scores = expected
    answer = analyst[0].post(PATH, content=song, headers={"Content-Type": "audio/flac"})
    assert answer.status_code == 200, answer.text
    found = answer.json()["data"]
    named = dict(zip(bundle.taxonomy.tag_ids, np.round(scores[0], 4).tolist(), strict=True))
    positives = dict(zip(bundle.taxonomy.tag_ids, bundle.positives(scores)[0].tolist(), strict=True))
    assert {row["tag"]: row["score"] for row in found["tags"]} == named
    assert {row["tag"]: row["is_positive"] for row in found["tags"]} == positives
    for category in {row["category"] for row in found["tags"]}:
        own = [row for row in found["tags"] if row["category"] == category]
        assert [row["rank"] for row in own] == list(range(1, len(own) + 1))
        assert [row["score"] for row in own] == sorted((row["score"] for row in own), reverse=True)
    facts = found["parameters"]
    assert (facts["format"], facts["channels"], facts["sample_rate"]) == ("flac", 2, 44_100)
    assert facts["duration_s"] == pytest.approx(12, abs=0.01)
    assert (found["tagger_id"], found["embedding_id"]) == (bundle.tagger_id, bundle.embedding_id)


def test_an_upload_gets_the_nearest_tracks(analyst, served, song, expected):
    bundle, embeddings, scores = expected
    snapshot = open_snapshot(served)
    space = fit_space(snapshot)
    order = [bundle.taxonomy.index[tag] for tag in space.tags]
    query = space.vectors(embeddings, np.round(scores, 4)[:, order].astype(np.float32))
    near = nearest(snapshot, space, query, 5)[0]
    found = analyst[0].post(f"{PATH}?neighbours=5", content=song).json()["data"]["neighbours"]
    assert [row["track_id"] for row in found] == list(near.track_ids)
    assert [row["similarity"] for row in found] == pytest.approx(near.similarities.tolist(), abs=1e-6)


def test_a_form_is_the_same_upload(analyst, song):
    client, _ = analyst
    plain = client.post(f"{PATH}?neighbours=0", content=song).json()
    form = client.post(f"{PATH}?neighbours=0", files={"file": ("../../a.flac", song, "audio/flac")}).json()
    assert form == plain
    for files in ({"file": (None, "text")}, [("file", ("a", song)), ("file", ("b", song))]):
        assert client.post(PATH, files=files).status_code == 400
    broken = client.post(PATH, content=b"x", headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert broken.status_code == 400


def test_what_is_no_audio_is_refused_with_its_reason(analyst):
    client, _ = analyst
    mp3 = encode(music(2), format="MP3")
    for data, reason in ((b"", "empty"), (b"<html>hello</html>" * 99, None), (mp3[:40], None), (b"\0" * 9999, None)):
        answer = client.post(PATH, content=data)
        document = answer.json()
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), data[:20]
        assert document["reason"] == (reason or document["reason"]) != ""
    assert client.post(PATH, content=b"RIFF" * 600_000).status_code == 413
    assert client.get("/ready").status_code == 200


def test_nothing_is_kept(analyst, song, tmp_path, monkeypatch):
    client, _ = analyst
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    large = encode(music(8), format="WAV")
    assert len(large) > 2**20
    assert client.post(PATH, files={"file": ("a.wav", large)}).status_code == 200
    assert list(tmp_path.rglob("*")) == []


def test_a_service_without_a_bundle_analyses_nothing(client, song):
    assert client.post(PATH, content=song[:1000]).status_code == 501


def other_bundle(folder: Path):
    """A bundle with another trunk."""
    return write_fake_bundle(str(folder / "other"), Taxonomy.from_json(taxonomy()), FeatureSpec(), seed=1)


def test_another_bundle_is_refused(served, tmp_path, capsys):
    other_bundle(tmp_path)
    assert main(["serve", served, "--model", str(tmp_path / "other")]) == 2
    assert "give the bundle that tagged the table" in capsys.readouterr().err
    assert main(["serve", served, "--max-upload", "1MB"]) == 2


def test_a_new_snapshot_with_another_embedding_is_not_mixed_in(tmp_path, song):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 3)
    with service(str(tmp_path / "table"), model=str(tmp_path / "bundle")) as client:
        publish_table(tmp_path / "table", other_bundle(tmp_path), 4)
        answer = client.post(PATH, content=song)
        assert answer.status_code == 501 and "another embedding" in answer.json()["detail"]
