import pyarrow.parquet as pq
import pytest
import soundfile
import yaml

from pipelines.cli import main
from pipelines.jobs.synthesize import FORMATS, synthesize


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    output = tmp_path_factory.mktemp("catalog")
    assert main(["synthesize", "--output", str(output), "--tracks", "12", "--duration", "2"]) == 0
    return output


@pytest.fixture(scope="module")
def rows(folder):
    return pq.read_table(folder / "catalog.parquet").to_pylist()


def test_rows_have_ids_of_their_own(rows):
    assert len(rows) == 14 and len({row["track_id"] for row in rows}) == 14


def test_songs_are_audio_of_the_length_asked_for(folder, rows):
    for row in rows:
        if row["track_id"].startswith("track-"):
            info = soundfile.info(str(folder / row["uri"]))
            assert info.duration == pytest.approx(2, abs=0.11)


def test_every_format_occurs(folder):
    infos = [soundfile.info(str(path)) for path in (folder / "audio").glob("track-*")]
    assert {(i.format, i.subtype, i.samplerate, i.channels) for i in infos} >= {f[1:] for f in FORMATS}


def test_one_song_is_there_twice(folder, rows):
    uris = {row["track_id"]: row["uri"] for row in rows}
    copy, original = (folder / uris["track-copy"], folder / uris["track-0000"])
    assert copy != original and copy.read_bytes() == original.read_bytes()


def test_tags_are_in_the_taxonomy(folder, rows):
    document = yaml.safe_load((folder / "taxonomy.yaml").read_text())
    known = {tag["id"] for category in document["categories"] for tag in category["tags"]}
    assert {tag.split(":")[0] for row in rows for tag in row["tags"]} <= known


def test_the_same_seed_makes_the_same_bytes(folder, tmp_path):
    synthesize(tmp_path, tracks=12, duration_s=2)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_broken_files_cannot_be_read_and_one_is_missing(tmp_path):
    synthesize(tmp_path, tracks=72, duration_s=0.5)
    rows = pq.read_table(tmp_path / "catalog.parquet").to_pylist()
    broken = [tmp_path / row["uri"] for row in rows if row["track_id"].startswith("broken-")]
    assert len(broken) == 6 and [path.name for path in broken if not path.exists()] == ["missing-0.mp3"]
    for path in filter(lambda path: path.exists(), broken):
        assert _frames(path) == 0


def _frames(path):
    try:
        return len(soundfile.read(str(path))[0])
    except soundfile.LibsndfileError:
        return 0


@pytest.mark.parametrize("flags", [["--tracks", "0"], ["--duration", "0.1"], ["--seed", "-1"]])
def test_senseless_values_are_usage_errors(flags, tmp_path):
    assert main(["synthesize", "--output", str(tmp_path), *flags]) == 2
