"""A text as a term of a search, compared with a plain loop over all rows."""

import dataclasses

import numpy as np
import pytest

from tests.support.embedded import publish_embedded
from transforms.discovery.playlists.request import PlaylistRequest
from transforms.discovery.search import sounds
from transforms.discovery.search.engine import SearchPlan, search_tracks
from transforms.discovery.search.request import SearchRequest, TextVector, ValueRange
from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.discovery.style_mix import MixRequest, mix_styles
from transforms.schemas.embedding_parts import EmbeddingPart
from transforms.table.reader import TRACK_ID, SnapshotReader, open_snapshot
from transforms.table.sampling import track_hashes

PARTS = (
    EmbeddingPart(name="other", kind="mean", start=0, stop=2),
    EmbeddingPart(name="pair", kind="mean", start=2, stop=5),
    EmbeddingPart(name="other", kind="deviation", start=5, stop=7),
    EmbeddingPart(name="pair", kind="deviation", start=7, stop=10),
)
TRUNKS = ("tr-other", "tr-pair")


def text(values, trunk_id="tr-pair") -> TextVector:
    return TextVector(text="a calm one", values=tuple(map(float, values)), text_id="te-1", trunk_id=trunk_id)


def of_snapshot(snapshot: SnapshotReader, seed: int = 0) -> TextVector:
    """A text for the trunk of a fake bundle."""
    run = snapshot.manifest.run
    (trunk,) = run.trunk_ids[run.ids.embedding_id]
    return text(np.random.default_rng(seed).normal(size=8), trunk)


def cosines_of(snapshot: SnapshotReader, asked: TextVector, start: int, stop: int, bucket=None) -> dict[str, float]:
    """The plain loop: track -> cosine."""
    query, found = np.array(asked.values), {}
    for row in snapshot.scan("embeddings", [TRACK_ID, "embedding"], bucket=bucket).to_pylist():
        mean = np.array(row["embedding"][start:stop])
        found[row[TRACK_ID]] = round(float(mean @ query / np.linalg.norm(mean) / np.linalg.norm(query)), 6)
    return found


def test_a_text_alone_ranks_by_its_cosine(snapshot):
    asked = of_snapshot(snapshot)
    answer = search_tracks(snapshot, SearchRequest(sounds_like=asked, limit=60))
    wanted = cosines_of(snapshot, asked, 0, 8)
    mean, deviation = np.mean(list(wanted.values())), np.std(list(wanted.values()))
    assert len(wanted) == 60 and answer.filters == () and answer.not_compared == 0 and answer.emptied_by is None
    assert [hit.track_id for hit in answer.hits] == sorted(wanted, key=lambda track: (-wanted[track], track))
    for hit in answer.hits:
        (one,) = hit.contributions
        assert (one.term, one.tag, one.score) == ("text", "text", wanted[hit.track_id])
        assert hit.score == pytest.approx(one.value) == pytest.approx((one.score - mean) / deviation)
        assert hit.why() == f"text {one.score:.2f} {one.value:+.2f}"


def test_a_text_is_one_term_beside_tags_and_conditions(snapshot):
    asked = of_snapshot(snapshot, 1)
    own = {
        "weights": {"mood/calm": 0.7},
        "ranges": {"bpm": ValueRange(80, None)},
        "must_not": ("mood/sad",),
        "limit": 60,
    }
    without = search_tracks(snapshot, SearchRequest(**own))
    together = search_tracks(snapshot, SearchRequest(sounds_like=asked, **own))
    alone = {hit.track_id: hit for hit in search_tracks(snapshot, SearchRequest(sounds_like=asked, limit=60)).hits}
    before = {hit.track_id: hit.score for hit in without.hits}
    wanted = {track: round(score + alone[track].score, 9) for track, score in before.items()}
    assert 3 < len(wanted) < 60 and together.filters == without.filters
    assert [hit.track_id for hit in together.hits] != [hit.track_id for hit in without.hits]
    assert [hit.track_id for hit in together.hits] == sorted(wanted, key=lambda track: (-wanted[track], track))
    for hit in together.hits:
        assert {one.term for one in hit.contributions} == {"text", "mood/calm"}
        assert (
            hit.score == pytest.approx(wanted[hit.track_id]) == pytest.approx(sum(c.value for c in hit.contributions))
        )


def test_words_without_a_tag_do_not_hide_a_text(snapshot):
    request = SearchRequest(words="kazoo", sounds_like=of_snapshot(snapshot), limit=3)
    answer = search_tracks(snapshot, request)
    assert answer.unmatched == ("kazoo",) and len(answer.hits) == 3 and answer.emptied_by is None


def test_the_same_request_has_the_same_answer_and_fewer_tracks_are_its_beginning(snapshot):
    request = SearchRequest(sounds_like=of_snapshot(snapshot, 2), weights={"mood/dark": -1}, limit=60)
    hits = search_tracks(snapshot, request).hits
    for limit in (1, 7, 60):
        assert search_tracks(snapshot, dataclasses.replace(request, limit=limit)).hits == hits[:limit]
    plan = SearchPlan(snapshot, request)
    assert plan.hits_of([hit.track_id for hit in hits[:5]]) == list(hits[:5])


def test_the_scale_is_that_of_a_sample_of_whole_buckets_which_are_read_once(snapshot, monkeypatch):
    asked = of_snapshot(snapshot, 3)
    whole = search_tracks(snapshot, SearchRequest(sounds_like=asked, limit=60)).hits
    monkeypatch.setattr(sounds, "_SAMPLED_TRACKS", 1)
    read, batches = [], SnapshotReader.batches

    def counted(self, name, *args, bucket=None, **others):
        if name == "embeddings":
            read.append(bucket)
        return batches(self, name, *args, bucket=bucket, **others)

    monkeypatch.setattr(SnapshotReader, "batches", counted)
    found = search_tracks(snapshot, SearchRequest(sounds_like=asked, limit=60)).hits
    order = np.argsort(track_hashes("text", map(str, range(snapshot.buckets)))).tolist()
    assert sorted(read) == list(range(snapshot.buckets)) and read[0] == order[0]
    sample = list(cosines_of(snapshot, asked, 0, 8, bucket=order[0]).values())
    assert [hit.track_id for hit in found] == [hit.track_id for hit in whole] and found[0].score != whole[0].score
    for hit in found:
        assert hit.score == pytest.approx((hit.contributions[0].score - np.mean(sample)) / np.std(sample))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Ten tracks with two trunks, of which the second is that of the text, and four with an earlier embedding."""
    rng, root = np.random.default_rng(0), tmp_path_factory.mktemp("mixed") / "table"
    tracks = {f"new-{i}": (rng.normal(size=10).astype(np.float16).astype(np.float32), 100.0 + i) for i in range(10)}
    earlier = {f"old-{i}": (rng.normal(size=6).astype(np.float32), 50.0 + i) for i in range(4)}
    publish_embedded(root, tracks, earlier=earlier, parts=PARTS, trunk_ids=TRUNKS)
    return open_snapshot(str(root))


def test_the_values_are_those_of_the_trunk_of_the_text(mixed):
    asked = text([1, -2, 0.5])
    rows = mixed.scan("embeddings", [TRACK_ID, "embedding"], embedding_id="em-1").to_pylist()
    wanted = {}
    for row in rows:
        mean = np.array(row["embedding"][2:5])
        wanted[row[TRACK_ID]] = round(float(mean @ np.array(asked.values) / np.linalg.norm(mean) / 5.25**0.5), 6)
    hits = search_tracks(mixed, SearchRequest(sounds_like=asked)).hits
    assert {hit.track_id: hit.contributions[0].score for hit in hits} == pytest.approx(wanted, abs=1e-6)
    longer = search_tracks(mixed, SearchRequest(sounds_like=text([10, -20, 5]))).hits
    assert [hit.track_id for hit in longer] == [hit.track_id for hit in hits] and len(hits) == 10


def test_tracks_of_another_embedding_are_left_out_and_counted(mixed):
    answer = search_tracks(mixed, SearchRequest(sounds_like=text([1, 0, 0]), limit=100))
    assert {hit.track_id[:3] for hit in answer.hits} == {"new"} and len(answer.hits) == 10
    assert answer.tracks == 14 and answer.not_compared == 4
    assert [dataclasses.astuple(one) for one in answer.filters] == [("has an embedding of trunk pair", 10, 10)]
    short = SearchRequest(sounds_like=text([1, 0, 0]), ranges={"duration": ValueRange(None, 60)})
    none = search_tracks(mixed, short)
    assert none.hits == () and none.not_compared == 4
    assert none.emptied_by.startswith("has an embedding of trunk pair: none of the remaining tracks (10 without")


def test_tracks_that_sound_the_same_are_in_the_order_of_their_ids(tmp_path):
    same = np.array([0, 0, 1, 2, 3, 0, 0, 0, 0, 0], np.float32)
    tracks = {f"t-{i}": (same * (1 + i), 10.0) for i in range(6)}
    tracks["t-6"] = (np.zeros(10, np.float32), 10.0)  # silence
    publish_embedded(tmp_path / "table", {t: tracks[t] for t in list(tracks)[:6]}, parts=PARTS, trunk_ids=TRUNKS)
    hits = search_tracks(open_snapshot(str(tmp_path / "table")), SearchRequest(sounds_like=text([3, 2, 1]))).hits
    assert [(hit.track_id, hit.score) for hit in hits] == [(f"t-{i}", 0.0) for i in range(6)]
    publish_embedded(tmp_path / "silent", tracks, parts=PARTS, trunk_ids=TRUNKS)
    hits = search_tracks(open_snapshot(str(tmp_path / "silent")), SearchRequest(sounds_like=text([3, 2, 1]))).hits
    assert hits[-1].track_id == "t-6" and hits[-1].contributions[0].score == 0 and np.isfinite(hits[-1].score)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            text([1, 2, 3], "tr-third"),
            "te-1 belongs to trunk tr-third, but snapshot 1 has embeddings em-1 of trunk tr-other",
        ),
        (text([1, 2, 3], "tr-third"), "tr-other and tr-pair, em-0 without a known trunk"),
        (text([1, 2], "tr-pair"), "te-1 gives 2 values, but trunk tr-pair .pair. gives 3"),
    ],
)
def test_a_text_of_another_trunk_is_refused(mixed, asked, words):
    with pytest.raises(DiscoveryError, match=words):
        search_tracks(mixed, SearchRequest(sounds_like=asked))


def test_a_snapshot_that_names_no_trunk_is_refused(tmp_path):
    publish_embedded(tmp_path / "table", {"a": (np.ones(10, np.float32), 1.0)}, parts=PARTS)
    with pytest.raises(DiscoveryError, match=r"does not say which trunks its embeddings are of.*run `tag` once more"):
        search_tracks(open_snapshot(str(tmp_path / "table")), SearchRequest(sounds_like=text([1, 2, 3])))


@pytest.mark.parametrize("values", [(0, 0, 0), (1, float("nan"), 0), (float("inf"), 0, 0)])
def test_a_vector_without_a_direction_is_refused(values):
    with pytest.raises(DiscoveryError, match="'a calm one': its vector is zero or not finite"):
        text(values)


def test_playlists_refuse_a_text_and_mixes_ignore_it_like_words(snapshot):
    request = SearchRequest(sounds_like=of_snapshot(snapshot))
    with pytest.raises(DiscoveryError, match="a playlist takes no text vector"):
        PlaylistRequest(target=request, tracks=3)
    mixes = [
        mix_styles(snapshot, MixRequest(styles={"mood/calm": 100}, conditions=c)) for c in (request, SearchRequest())
    ]
    assert mixes[0].tracks == mixes[1].tracks
