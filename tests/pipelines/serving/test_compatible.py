"""Paths and fields of other services: audio features, recommendations, OpenSubsonic."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines.serving.finding.features import FEATURES, feature_values
from transforms.discovery.vectors import bucket_vectors, fit_space
from transforms.discovery.walk import find_walk
from transforms.table.reader import open_snapshot

FEATURE_NAMES = {
    *("danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness", "instrumentalness"),
    *("liveness", "valence", "tempo", "duration_ms", "time_signature"),
}


def test_audio_features_have_all_names_and_null_for_what_is_unknown(client, rows):
    found = client.get("/v1/audio-features/track-0003").json()
    assert found.keys() == FEATURE_NAMES | {"id", "type"}
    assert (found["id"], found["duration_ms"], found["tempo"]) == ("track-0003", 8000, rows[3]["bpm"])
    assert found["valence"] is None and found["key"] is None
    several = client.get("/v1/audio-features?ids=track-0003,nobody,track-0001").json()["audio_features"]
    assert [one and one["id"] for one in several] == ["track-0003", None, "track-0001"]
    assert several[0] == found
    assert client.get(f"/v1/audio-features?ids={','.join(['a'] * 101)}").status_code == 400


def test_keys_become_pitch_class_and_mode():
    rows = pa.table({"key": ["A minor", "8B", "Eb major", None, "noise"], "duration_s": [1.5, None, 2, 3, 4]})
    assert np.array_equal(feature_values("key", rows), [9, 0, 3, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(feature_values("mode", rows), [0, 1, 1, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(feature_values("duration_ms", rows), [1500, np.nan, 2000, 3000, 4000], equal_nan=True)
    assert np.isnan(feature_values("valence", rows)).all() and set(FEATURES) == FEATURE_NAMES


@pytest.fixture(scope="module")
def vectors(served):
    """Track id -> vector."""
    snapshot = open_snapshot(served)
    space, found = fit_space(snapshot), {}
    for bucket in range(snapshot.buckets):
        ids, own = bucket_vectors(snapshot, space, bucket)
        found |= dict(zip(ids.to_pylist(), own, strict=True))
    return found


def ranked(vectors, query, keep, penalty=lambda track: 0.0):
    scores = {one: round(float(v.astype(float) @ query) - penalty(one), 6) for one, v in vectors.items() if keep(one)}
    return sorted(scores, key=lambda one: (-scores[one], one))


def test_recommendations_are_near_the_seeds_and_within_limits(client, rows, vectors):
    tempo = {row["track_id"]: row["bpm"] for row in rows}
    query = np.mean([vectors["track-0002"], vectors["track-0009"]], axis=0, dtype=float)
    query /= np.linalg.norm(query)
    seeds = {"track-0002", "track-0009"}
    url = "/v1/recommendations?seed_tracks=track-0002,track-0009&limit=100"
    document = client.get(url).json()
    assert [one["id"] for one in document["tracks"]] == ranked(vectors, query, lambda one: one not in seeds)
    assert document["seeds"] == [{"id": one, "type": "TRACK"} for one in ("track-0002", "track-0009")]
    limited = client.get(f"{url}&min_tempo=90&max_tempo=130").json()["tracks"]
    expected = ranked(vectors, query, lambda one: one not in seeds and 90 <= tempo[one] <= 130)
    assert [one["id"] for one in limited] == expected != []
    near = client.get(f"{url}&target_tempo=100").json()["tracks"]
    away = lambda one: min(abs(tempo[one] - 100) / 40, 1)  # noqa: E731
    assert [one["id"] for one in near] == ranked(vectors, query, lambda one: one not in seeds, away)
    assert near[0].keys() == {"id", "name", "type", "duration_ms", "artists", "album"}
    assert client.get(f"{url}&min_valence=0.1").json()["tracks"] == []


def test_artists_and_genres_are_seeds(client, rows, vectors):
    own = [row["track_id"] for row in rows if row["artist_id"] == "artist-001"]
    query = np.mean([vectors[one] for one in own], axis=0, dtype=float)
    query /= np.linalg.norm(query)
    found = client.get("/v1/recommendations?seed_artists=artist-001&limit=5").json()["tracks"]
    assert [one["id"] for one in found] == ranked(vectors, query, lambda one: True)[:5]
    genre = next(t["tag"] for row in rows for t in row["top_tags"] if t["tag"].startswith("genre/"))
    for seed in (genre, genre.partition("/")[2]):
        answer = client.get(f"/v1/recommendations?seed_genres={seed}&limit=3")
        assert len(answer.json()["tracks"]) == 3
    for query_text in ("", "seed_genres=none", "seed_tracks=a,b,c,d,e,f", "seed_tracks=track-0001&min_tempo=nan"):
        assert client.get(f"/v1/recommendations?{query_text}").status_code == 400
    assert client.get("/v1/recommendations?seed_tracks=nobody").status_code == 404
    assert client.get("/v1/recommendations?seed_tracks=track-0001&min_loud=1").json()["parameter"] == "min_loud"


def subsonic(answer):
    assert answer.status_code == 200
    return answer.json()["subsonic-response"]


@pytest.mark.parametrize("end", ["", ".view"])
def test_subsonic_clients_get_similar_tracks(client, end):
    own = client.get("/v1/tracks/track-0004/similar?limit=5").json()["data"]
    common = "u=me&t=token&s=salt&v=1.16.1&c=player&f=json"
    found = subsonic(client.get(f"/rest/getSonicSimilarTracks{end}?id=track-0004&count=5&{common}"))
    assert (found["status"], found["openSubsonic"]) == ("ok", True)
    assert [one["entry"]["id"] for one in found["sonicMatch"]] == [row["track_id"] for row in own]
    assert [one["similarity"] for one in found["sonicMatch"]] == [max(row["similarity"], 0.0) for row in own]
    assert found["sonicMatch"][0]["entry"].keys() >= {"id", "title", "isDir", "artist", "artistId", "duration"}
    assert subsonic(client.get(f"/rest/getOpenSubsonicExtensions{end}"))["openSubsonicExtensions"] == [
        {"name": "sonicSimilarity", "versions": [1]}
    ]


def test_a_path_is_that_of_the_function(client, served):
    walk = find_walk(open_snapshot(served), "track-0001", "track-0020", 5).steps
    found = subsonic(client.get("/rest/findSonicPath?startSongId=track-0001&endSongId=track-0020&count=7"))
    assert [one["entry"]["id"] for one in found["sonicMatch"]] == [step.track_id for step in walk]
    assert [one["similarity"] for one in found["sonicMatch"]] == pytest.approx(
        [1.0, *(np.clip(step.from_last, 0, 1) for step in walk[1:])], abs=1e-6
    )
    own = client.get("/v1/tracks/track-0001/path?to=track-0020&between=5").json()["data"]
    assert [row["track_id"] for row in own] == [step.track_id for step in walk]
    assert own[1]["from_last"] == pytest.approx(walk[1].from_last, abs=1e-6)
    assert client.get("/v1/tracks/track-0001/path?to=nobody").status_code == 404


@pytest.mark.parametrize("path, code", [
    ("getSonicSimilarTracks?id=nobody", 70),
    ("findSonicPath?startSongId=track-0001&endSongId=nobody", 70),
    ("findSonicPath?startSongId=track-0001&endSongId=track-0001", 0),
])  # fmt: skip
def test_subsonic_errors_have_its_form(client, path, code):
    found = subsonic(client.get(f"/rest/{path}"))
    assert (found["status"], found["error"]["code"]) == ("failed", code)
    assert client.get(f"/rest/{path}&f=xml").status_code == 400
