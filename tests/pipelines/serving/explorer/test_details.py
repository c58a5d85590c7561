"""One track, one artist, the map, the quality, the changes, the audio."""

import numpy as np
import pytest
import soundfile

from pipelines.serving.explorer.projection import SIDE, principal_axes
from tests.support.published import BROKEN, fake_bundle, publish_table
from tests.support.service import service
from transforms.table.reader import open_snapshot

URL = "/v1/explorer"


def data(client, path, **given):
    answer = client.get(f"{URL}/{path}".rstrip("/"), params=given)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_a_track_has_its_row_its_tags_and_its_outcome(client, served, rows):
    found, snapshot = data(client, "track", id="track-0003"), open_snapshot(served)
    assert found["track"]["title"] == rows[3]["title"]
    tags = snapshot.scan("track_tags", track_ids=["track-0003"]).to_pylist()
    assert {(row["tag"], row["is_positive"], row["source"]) for row in found["tags"]} == {
        (row["tag"], row["is_positive"], row["source"]) for row in tags
    }
    assert found["outcome"]["duplicate_of"] == "track-0001" and "uri" not in found["outcome"]
    assert found["parameters"] == ["duration_s", "sample_rate", "channels"]


def test_a_rejected_id_has_its_reason_and_no_tags(client):
    found = data(client, "track", id="broken-a")
    assert (found["track"], found["tags"], found["outcome"]["reason"]) == (None, [], BROKEN["broken-a"])
    assert client.get(f"{URL}/track", params={"id": "nobody/../x"}).status_code == 404


def test_an_artist_has_its_tracks_by_year(client, rows):
    found = data(client, "artist", id="artist-001")
    own = sorted((r for r in rows if r["artist_id"] == "artist-001"), key=lambda row: (row["year"], row["track_id"]))
    assert [row["track_id"] for row in found["of_tracks"]] == [row["track_id"] for row in own]
    assert found["tags"] and found["name"] == own[0]["artist"]
    assert client.get(f"{URL}/artist", params={"id": "nobody"}).status_code == 404


def test_the_map_is_the_projection_of_a_plain_decomposition(client, served, rows):
    found = data(client, "map", category="mood")
    table = open_snapshot(served).scan("embeddings").to_pylist()
    vectors = {row["track_id"]: np.array(row["embedding"]) for row in table}
    assert sorted(found["track_id"]) == sorted(vectors)
    matrix = np.array([vectors[one] for one in found["track_id"]], np.float64)
    standard = (matrix - matrix.mean(axis=0)) / np.where(matrix.std(axis=0) > 1e-9, matrix.std(axis=0), 1)
    values, axes = np.linalg.svd(standard, full_matrices=False)[1:]
    assert found["explained"] == pytest.approx((values[:2] ** 2 / (values**2).sum()).tolist(), abs=1e-3)
    for name, axis in zip("xy", axes, strict=False):
        inside = [0 < value < SIDE for value in found[name]]
        correlation = np.corrcoef((standard @ axis)[inside], np.array(found[name])[inside])[0, 1]
        assert abs(correlation) > 0.9999
    moods = [[one["tag"] for one in row["top_tags"] if one["tag"].startswith("mood/")] for row in rows]
    best = {row["track_id"]: own for row, own in zip(rows, moods, strict=True)}
    for track, place in zip(found["track_id"], found["tag"], strict=True):
        shown = [tag for tag in best[track] if tag in found["tags"]]
        assert (found["tags"][place] if place >= 0 else None) == (shown[0] if shown else None)
    assert len(data(client, "map", points=5)["track_id"]) == 5
    assert client.get(f"{URL}/map", params={"category": "colour"}).status_code == 400


def test_axes_have_a_fixed_sign_and_ignore_constants():
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(size=(50, 4)) * [5, 1, 1, 0.1], np.ones((50, 1))], axis=1)
    scale, axes, shares = principal_axes(np.cov(values.T, bias=True))
    assert scale[-1] == 1 and np.abs(axes[-1]).max() < 1e-9 and 1 > shares[0] >= shares[1] > 0
    assert (axes[np.abs(axes).argmax(axis=0), [0, 1]] > 0).all()


def test_quality_counts_rejects_and_sources(client, served):
    found = data(client, "quality")
    assert {(row["reason"], row["tracks"], *row["examples"]) for row in found["rejects"]} == {
        (reason, 1, track) for track, reason in BROKEN.items()
    }
    assert sum(row["scores"] for row in found["sources"]) == open_snapshot(served).scan("track_tags").num_rows
    assert len(found["tags"]) == open_snapshot(served).scan("taxonomy").num_rows


def test_changes_are_those_since_the_snapshot_before(client, tmp_path):
    assert client.get(f"{URL}/changes").status_code == 404  # the first snapshot
    bundle = fake_bundle(tmp_path / "bundle")
    for tracks in (6, 9):
        publish_table(tmp_path / "table", bundle, tracks)
    with service(str(tmp_path / "table")) as later:
        found = data(later, "changes")
    assert (found["before"]["snapshot"], found["after"]["snapshot"]) == (1, 2)
    assert (found["tracks"]["added"], found["tracks"]["removed"]) == (3, 0)
    assert str(tmp_path) not in str(found)


@pytest.fixture(scope="module")
def listening(served, tmp_path_factory):
    """A service with the audio of some tracks, and the bytes of one."""
    tmp_path = tmp_path_factory.mktemp("listening")
    folder = tmp_path / "root" / "audio"
    folder.mkdir(parents=True)
    soundfile.write(folder / "track-0001.flac", np.sin(np.arange(8000) / 9), 8000)
    (folder / "track-0002.flac").write_text("no audio")
    (tmp_path / "secret.flac").write_bytes((folder / "track-0001.flac").read_bytes())
    (folder / "track-0004.flac").symlink_to(tmp_path / "secret.flac")
    with service(served, audio_root=str(tmp_path / "root")) as client:
        yield client, (folder / "track-0001.flac").read_bytes()


@pytest.mark.parametrize(
    "text, part", [("bytes=0-", slice(None)), ("bytes=5-9", slice(5, 10)), ("bytes=-7", slice(-7, None))]
)
def test_audio_is_sent_by_ranges(listening, text, part):
    client, audio = listening
    whole = client.get(f"{URL}/audio?id=track-0001")
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, audio, "audio/flac")
    answer = client.get(f"{URL}/audio?id=track-0001", headers={"Range": text})
    assert (answer.status_code, answer.content) == (206, audio[part])
    begin, end, _ = part.indices(len(audio))
    assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(audio)}"


@pytest.mark.parametrize("text", ["bytes=5-2", "bytes=0-1,5-6", "bytes=-", "items=0-1", "bytes=٣-٤"])
def test_a_range_that_is_none_gets_the_whole_file(listening, text):
    client, audio = listening
    answer = client.get(f"{URL}/audio?id=track-0001", headers={"Range": text.encode()})
    assert (answer.status_code, answer.content) == (200, audio)


def test_a_range_of_another_answer_gets_the_whole_file(listening):
    """A client goes on where it stopped only if it has the beginning of the same answer."""
    client, audio = listening
    url, tag = f"{URL}/audio?id=track-0001", client.get(f"{URL}/audio?id=track-0001").headers["etag"]
    part = client.get(url, headers={"Range": "bytes=2-4", "If-Range": tag})
    assert (part.status_code, part.content, part.headers["etag"]) == (206, audio[2:5], tag)
    for other in ('"another"', f"W/{tag}", "Mon, 30 Nov 2026 00:00:00 GMT"):
        whole = client.get(url, headers={"Range": "bytes=2-4", "If-Range": other})
        assert (whole.status_code, whole.content) == (200, audio)


def test_head_tells_the_size_of_the_audio(listening):
    client, audio = listening
    answer = client.head(f"{URL}/audio?id=track-0001")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", str(len(audio)))


def test_a_range_outside_of_the_file_is_refused(listening):
    client, audio = listening
    answer = client.get(f"{URL}/audio?id=track-0001", headers={"Range": f"bytes={len(audio)}-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(audio)}")


@pytest.mark.parametrize(
    "track", ["track-0002", "track-0004", "track-0005", "broken-a", "../secret", "/etc/passwd", "audio/track-0001.flac"]
)
def test_no_other_file_is_sent(listening, track):
    """No audio, a link out of the root, no file, a rejected id, and ids that look like paths."""
    client, _ = listening
    assert client.get(f"{URL}/audio", params={"id": track}).status_code == 404


def test_without_a_root_there_is_no_audio(client):
    assert client.get(f"{URL}/audio?id=track-0001").status_code == 501
    assert data(client, "")["audio"] is False
