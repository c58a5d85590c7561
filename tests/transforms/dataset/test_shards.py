"""One chunk, one shard, one report: what is written, what is kept, what is taken out."""

import hashlib
import random

import numpy as np
import pytest

from transforms.audio.errors import MachineFault, SourceNotFound, Truncated
from transforms.dataset.example import Example, decode_example, encode_example
from transforms.dataset.killed import note_killed, sources_of
from transforms.dataset.plan import LabelledChunk, LabelledTrack
from transforms.dataset.shards import ShardSettings, finish_chunk, read_report, without_tied
from transforms.extraction.chunk_extractor import ExtractedTrack
from transforms.extraction.kill_history import with_history
from transforms.extraction.source import Source
from transforms.features.extract import AudioFacts, Features
from transforms.features.spec import FeatureSpec
from transforms.formats.sealing import open_sealed, sealed_bytes
from transforms.formats.tfrecord import frame, read_records
from transforms.taxonomy.hierarchy import Taxonomy

SPEC = FeatureSpec(patch_frames=4, n_mels=8)
TAXONOMY = Taxonomy.from_json(
    {"categories": [{"name": "genre", "kind": "multiclass", "tags": ["genre/rock", "genre/pop"]}]}
)
FACTS = AudioFacts(duration_s=1, sample_rate=8000, channels=1, format="wav", decoded_fraction=1, damage=None)


def chunk(*tags):
    tracks = tuple(
        LabelledTrack(
            source=Source(track_id=f"t{i}", uri=f"{i}.wav", source_version="v"), group=f"g{i}", tags=((tag, None),)
        )
        for i, tag in enumerate(tags)
    )
    return LabelledChunk(split="train", tracks=tracks)


def extracted(planned, errors=None, scale=1.0):
    for i, track in enumerate(planned.tracks):
        error = (errors or {}).get(track.source.track_id)
        patches = np.full((i + 1, 4, 8), scale * (i + 1), np.float16)
        features = Features(patches=patches, starts_s=np.arange(i + 1, dtype=np.float32), facts=FACTS)
        sha256 = hashlib.sha256(track.source.track_id.encode()).hexdigest()
        yield ExtractedTrack(
            source=track.source,
            size=9,
            sha256=sha256,
            features=None if error else features,
            error=error,
            read_ms=1,
            extract_ms=1,
        )


@pytest.fixture
def settings(tmp_path):
    return ShardSettings(dataset=str(tmp_path), spec=SPEC, taxonomy=TAXONOMY)


def examples(tmp_path, report) -> list[Example]:
    with (tmp_path / report.shard.path).open("rb") as stream:
        return [decode_example(record) for record in read_records(stream)]


def test_examples_are_in_the_chunks_order_and_the_report_is_found_again(tmp_path, settings):
    planned = chunk("genre/rock", "genre/pop")
    report = finish_chunk(planned, extracted(planned), settings)
    assert [e.track_id for e in examples(tmp_path, report)] == ["t0", "t1"]
    assert (report.shard.examples, report.shard.patches) == (2, 3)
    found = read_report(report.fingerprint, settings)
    assert found.to_json() == report.to_json()


def test_a_bad_track_is_a_row_of_the_report(tmp_path, settings):
    planned = chunk("genre/rock", "genre/pop")
    report = finish_chunk(planned, extracted(planned, {"t0": Truncated("cut")}), settings)
    assert [e.track_id for e in examples(tmp_path, report)] == ["t1"]
    assert [(o.reason, o.detail, o.stage) for o in report.outcomes] == [("truncated", "cut", "decode"), (None,) * 3]


def test_a_chunk_of_bad_tracks_has_no_shard(tmp_path, settings):
    planned = chunk("genre/rock")
    report = finish_chunk(planned, extracted(planned, {"t0": Truncated("cut")}), settings)
    assert report.shard is None and not list(tmp_path.glob("*.tfrecord"))
    assert read_report(report.fingerprint, settings) is not None


def test_a_chunk_with_a_track_that_is_due_again_is_not_finished(tmp_path, settings):
    planned = chunk("genre/rock", "genre/pop")
    report = finish_chunk(planned, extracted(planned, {"t0": SourceNotFound("gone")}), settings)
    assert read_report(report.fingerprint, settings) is None and report.shard.examples == 1


def test_a_second_worker_writes_the_same_or_takes_what_is_there(tmp_path, settings):
    planned = chunk("genre/rock", "genre/pop")
    first = finish_chunk(planned, extracted(planned), settings)
    assert finish_chunk(planned, extracted(planned), settings).to_json() == first.to_json()
    other_machine = finish_chunk(planned, extracted(planned, scale=1.001), settings)
    assert other_machine.shard == first.shard and other_machine.stats.mel_sums == first.stats.mel_sums


@pytest.mark.parametrize("which", ["report", "shard", "both"])
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-5], lambda data: data[:40] + b"?" + data[41:], lambda data: b""]
)
def test_a_damaged_report_or_shard_is_made_again(tmp_path, settings, which, damage, caplog):
    planned = chunk("genre/rock", "genre/pop")
    first = finish_chunk(planned, extracted(planned), settings)
    files = {"report": tmp_path / "work" / f"{first.fingerprint}.json", "shard": tmp_path / first.shard.path}
    before = {path: path.read_bytes() for path in files.values()}
    for path in files.values() if which == "both" else [files[which]]:
        path.write_bytes(damage(path.read_bytes()))
    assert read_report(first.fingerprint, settings) is None
    assert "its tracks are decoded again" in caplog.text
    again = finish_chunk(planned, extracted(planned), settings)
    assert again.to_json() == first.to_json() == read_report(first.fingerprint, settings).to_json()
    assert {path: path.read_bytes() for path in files.values()} == before


def test_a_report_whose_shard_is_gone_is_no_report(tmp_path, settings):
    planned = chunk("genre/rock")
    report = finish_chunk(planned, extracted(planned), settings)
    (tmp_path / report.shard.path).unlink()
    assert read_report(report.fingerprint, settings) is None


def test_the_name_follows_from_the_content(tmp_path, settings):
    names = set()
    for tags in (("genre/rock",), ("genre/pop",), ("genre/rock", "genre/rock")):
        planned = chunk(*tags)
        names.add(finish_chunk(planned, extracted(planned), settings).shard.path)
    assert len(names) == 3


def test_tied_tracks_are_taken_out(tmp_path, settings):
    planned = chunk("genre/rock", "genre/pop", "genre/pop")
    report = finish_chunk(planned, extracted(planned), settings)
    rest = without_tied(report, {"t1"}, settings)
    assert [e.track_id for e in examples(tmp_path, rest)] == ["t0", "t2"]
    assert [o.reason for o in rest.outcomes] == [None, "tied", None]
    assert rest.stats.none == {"tied": 1} and rest.stats.outcomes == {"catalog": 3, "examples": 2, "none": 1}
    assert rest.shard.path != report.shard.path and without_tied(report, set(), settings) is report


def test_nothing_may_be_left(settings):
    planned = chunk("genre/rock")
    report = finish_chunk(planned, extracted(planned), settings)
    assert without_tied(report, {"t0"}, settings).shard is None


def test_the_shard_is_a_plain_loop_over_the_encoder(tmp_path, settings):
    planned = chunk("genre/rock")
    report = finish_chunk(planned, extracted(planned), settings)
    (track,) = extracted(planned)
    example = Example(
        track_id="t0",
        group="g0",
        duration_s=FACTS.duration_s,
        patches=track.features.patches,
        starts_s=track.features.starts_s,
        targets=np.array([1, 0], np.float32),
        mask=np.array([1, 1], np.float32),
        feature_id=SPEC.feature_id,
        taxonomy_id=TAXONOMY.taxonomy_id,
    )
    assert (tmp_path / report.shard.path).read_bytes() == frame(encode_example(example))


def damages(data: bytes):
    """Flips, cuts and zeroing, also at the end of a record, and other content."""
    pick = random.Random(2)
    for at in pick.sample(range(len(data)), min(20, len(data))):
        yield data[:at] + bytes([data[at] ^ 1 << pick.randrange(8)]) + data[at + 1 :]
    for length in {0, 1, 12, len(data) // 2, len(data) - 1, *pick.sample(range(len(data)), 4)}:
        yield data[:length]
        yield data[:length] + bytes(len(data) - length)
    yield from (b"{}", b"[]", b"null", b"\xff" * 99, b"[" * 100_000, data + data)


@pytest.mark.parametrize("place", ["shard", "report"])
def test_a_damaged_shard_or_report_is_written_again(tmp_path, settings, caplog, place):
    """Reports are JSON, whose values may change unnoticed here: only what cannot be read is asked for."""
    planned = chunk("genre/rock", "genre/pop")
    first = finish_chunk(planned, extracted(planned), settings)
    path = tmp_path / (first.shard.path if place == "shard" else f"work/{first.fingerprint}.json")
    sound, seen = path.read_bytes(), 0
    for damaged in damages(sound):
        caplog.clear()
        path.write_bytes(damaged)
        found = read_report(first.fingerprint, settings)
        if place == "report" and found is not None:
            continue
        assert found is None and [record.args[0] for record in caplog.records] == [
            str(tmp_path / f"work/{first.fingerprint}.json")
        ]
        seen += 1
        again = finish_chunk(planned, extracted(planned), settings)
        assert again.to_json() == first.to_json() and path.read_bytes() == sound
        assert read_report(first.fingerprint, settings).to_json() == first.to_json()
    assert seen > 10


def test_a_shard_that_was_cut_between_two_records_is_written_again(tmp_path, settings):
    planned = chunk("genre/rock", "genre/pop", "genre/pop")
    first = finish_chunk(planned, extracted(planned), settings)
    path = tmp_path / first.shard.path
    with path.open("rb") as stream:
        records = list(read_records(stream))
    for cut in ([], records[:1], records[1:], records[::-1], records * 2):
        path.write_bytes(b"".join(frame(record) for record in cut))
        assert read_report(first.fingerprint, settings) is None
        assert finish_chunk(planned, extracted(planned), settings).shard == first.shard


def test_a_report_whose_shard_is_gone_counts_as_absent(tmp_path, settings, caplog):
    planned = chunk("genre/rock")
    first = finish_chunk(planned, extracted(planned), settings)
    (tmp_path / first.shard.path).unlink()
    assert read_report(first.fingerprint, settings) is None
    assert f"{first.shard.path} is missing" in caplog.text


def test_the_history_of_killed_decoders_reaches_the_next_run(tmp_path, settings):
    planned = chunk("genre/rock", "genre/pop")
    fingerprint = planned.fingerprint(SPEC.feature_id, TAXONOMY.taxonomy_id)
    reasons = []
    for _ in range(3):
        told = sources_of(planned, fingerprint, settings.dataset)
        assert told.tracks[1] == planned.tracks[1].source
        fault = with_history(MachineFault("x", ("SIGKILL",), was_killed=True), told.tracks[0].history)
        report = finish_chunk(planned, extracted(planned, {"t0": fault}), settings)
        note_killed(report, settings.dataset)
        reasons.append(report.outcomes[0].reason)
    assert reasons == ["unavailable", "unavailable", "crash"] and read_report(fingerprint, settings) is not None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b"7", b'{"t0": 3}', b"\xff", b"[" * 100_000])
def test_a_damaged_history_is_none(tmp_path, settings, damage):
    planned = chunk("genre/rock")
    (tmp_path / "work").mkdir()
    fingerprint = planned.fingerprint(SPEC.feature_id, TAXONOMY.taxonomy_id)
    (tmp_path / f"work/{fingerprint}-killed.json").write_bytes(damage)
    assert sources_of(planned, fingerprint, settings.dataset).tracks == (planned.tracks[0].source,)


def test_without_killed_decoders_nothing_is_noted(tmp_path, settings):
    planned = chunk("genre/rock")
    note_killed(finish_chunk(planned, extracted(planned), settings), settings.dataset)
    assert len(list((tmp_path / "work").iterdir())) == 1


FORGED = {
    "more examples": lambda report: report["stats"]["splits"].update(train=99),
    "a tag less": lambda report: report["stats"]["known"]["train"].pop(),
    "negative": lambda report: report["stats"]["positive"]["train"].__setitem__(0, -1),
    "more than all": lambda report: report["stats"]["positive"]["train"].__setitem__(0, 1000),
    "frames": lambda report: report["stats"].update(frames=-5),
    "a band less": lambda report: report["stats"]["mel_sums"].pop(),
    "no number": lambda report: report["stats"]["mel_squares"].__setitem__(0, "x"),
    "another split": lambda report: report.update(split="test"),
    "another split of the shard": lambda report: report["shard"].update(split="test"),
    "a path": lambda report: report["shard"].update(path="../../etc/passwd"),
    "an example less": lambda report: report["outcomes"].pop(),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_report_whose_sums_are_not_those_of_its_examples_is_absent(tmp_path, settings, forge, caplog):
    planned = chunk("genre/rock", "genre/pop")
    report = finish_chunk(planned, extracted(planned), settings)
    assert read_report(report.fingerprint, settings).to_json() == report.to_json()
    (path,) = (tmp_path / "work").glob("*.json")
    fields = open_sealed(path.read_bytes()).fields
    forge(fields)
    path.write_bytes(sealed_bytes({name: value for name, value in fields.items() if name != "writer_version"}))
    assert read_report(report.fingerprint, settings) is None and "ignored, its tracks are decoded again" in caplog.text
