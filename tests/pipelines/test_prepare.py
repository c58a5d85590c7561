"""`prepare` from catalog to dataset: the same as a plain loop, whatever the engine, the order and the interruptions."""

import csv
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from tests.support.schemas import assert_has_schema
from tests.support.synth import encode as encode_audio
from tests.support.synth import music
from tests.support.world import SHARED
from transforms import storage
from transforms.audio.errors import TrackError
from transforms.audio.limits import Limits
from transforms.dataset.example import Example, decode_example
from transforms.dataset.manifest import read_manifest
from transforms.features.extract import extract
from transforms.features.spec import FeatureSpec
from transforms.formats.tfrecord import read_records
from transforms.publishing import receipts
from transforms.schemas.dataset import DATASET_CONFLICTS, DATASET_REJECTS
from transforms.splits.by_artist import SPLITS, SplitRatios, group_of, split_of
from transforms.storage import FileInfo
from transforms.taxonomy.hierarchy import load_taxonomy
from transforms.taxonomy.targets import encode_targets

SPEC = FeatureSpec(patches_per_track=2)
RATIOS = SplitRatios(train=0.5, validation=0.25, test=0.25)
TAXONOMY = """
categories:
  - name: mood
    kind: multilabel
    tags: [mood/calm, {id: mood/sleepy, parents: [mood/calm]}]
  - name: voice
    kind: binary
    tags: [voice/vocal, voice/instrumental]
"""
TAGS = ("mood/sleepy:0.5|voice/vocal", "mood/calm", "voice/instrumental|genre/rock", "voice/vocal|voice/instrumental")


@dataclasses.dataclass(frozen=True)
class Music:
    """A folder with `catalog.csv`, `taxonomy.yaml`, `spec.json` and some WAV files, good and bad."""

    folder: Path

    @property
    def catalog(self) -> Path:
        return self.folder / "catalog.csv"

    def rows(self) -> list[dict[str, str]]:
        with self.catalog.open() as file:
            return list(csv.DictReader(file))


def side(artist: str) -> str:
    return split_of({"track_id": "", "artist_id": artist, "artist": None, "album_id": None}, RATIOS)


def artists_of(wanted: str, count: int) -> list[str]:
    return [artist for artist in (f"a{i}" for i in range(200)) if side(artist) == wanted][:count]


def write_catalog(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["track_id", "uri", "artist_id", "tags", "fold"])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Music:
    """Five artists with two tracks each; a corrupt, a missing and an unlabelled track; one recording on two sides."""
    folder = tmp_path_factory.mktemp("catalog")
    (folder / "taxonomy.yaml").write_text(TAXONOMY)
    (folder / "spec.json").write_text(json.dumps(SPEC.to_json()))
    artists = artists_of("train", 3) + artists_of("validation", 1) + artists_of("test", 1)
    rows = []
    for i, artist in enumerate(artists * 2):
        rows.append({"track_id": f"00{i}", "uri": f"{i}.wav", "artist_id": artist, "tags": TAGS[i % 3]})
        (folder / f"{i}.wav").write_bytes(encode_audio(music(1.0 + 0.4 * i, 8_000), 8_000))
    shutil.copy(folder / "0.wav", folder / "copy.wav")
    (folder / "broken.wav").write_bytes(b"RIFF0000WAVEjunk" * 50)
    extra = {"copy": "copy.wav", "broken": "broken.wav", "missing": "none.wav", "conflict": "3.wav"}
    for track, uri in extra.items():
        rows.append({"track_id": track, "uri": uri, "artist_id": artists[-1], "tags": "mood/calm"})
    rows[-1]["artist_id"] = artists[3]
    rows[-1]["tags"] = TAGS[3] + "|mood/calm"
    rows.append({"track_id": "untagged", "uri": "1.wav", "artist_id": artists[0], "tags": "genre/rock"})
    write_catalog(folder / "catalog.csv", rows)
    return Music(folder)


def prepare(catalog: Music, output: Path, *flags: str, source: Path | None = None) -> int:
    command = ["prepare", "--catalog", str(source or catalog.catalog), "--catalog-root", str(catalog.folder)]
    command += ["--taxonomy", str(catalog.folder / "taxonomy.yaml"), "--output", str(output)]
    command += ["--feature-spec", str(catalog.folder / "spec.json"), "--split-ratios", "0.5,0.25,0.25"]
    return main([*command, "--max-reject-ratio", "0.5", *flags])


@pytest.fixture(scope="module")
def dataset(catalog: Music, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("prepared") / "dataset"
    assert prepare(catalog, output) == 0
    return output


def examples(dataset: Path) -> dict[str, tuple[str, Example]]:
    """Split and example of every track, by track_id."""
    found = {}
    for shard in read_manifest(str(dataset)).shards:
        with (dataset / shard.path).open("rb") as stream:
            for example in map(decode_example, read_records(stream)):
                assert example.track_id not in found
                found[example.track_id] = (shard.split, example)
    return found


def loop(catalog: Music) -> tuple[dict[str, tuple[str, Example]], dict[str, str]]:
    """What `prepare` should make: examples and reject reasons, by a plain loop over the pure functions."""
    taxonomy = load_taxonomy(str(catalog.folder / "taxonomy.yaml"))
    made: dict[str, tuple[str, str, Example]] = {}
    reasons = {}
    for row in catalog.rows():
        tags = [(t.partition(":")[0], float(t.partition(":")[2] or 1)) for t in row["tags"].split("|")]
        labels = encode_targets(tags, taxonomy)
        if not labels.mask.any():
            continue
        path = catalog.folder / row["uri"]
        if not path.exists():
            reasons[row["track_id"]] = "not_found"
            continue
        try:
            features = extract(path.read_bytes(), SPEC, Limits())
        except TrackError as error:
            reasons[row["track_id"]] = error.reason
            continue
        example = Example(
            track_id=row["track_id"],
            group=f"artist_id:{row['artist_id']}",
            duration_s=float(np.float32(features.facts.duration_s)),
            patches=features.patches,
            starts_s=features.starts_s,
            targets=labels.targets,
            mask=labels.mask,
            feature_id=SPEC.feature_id,
            taxonomy_id=taxonomy.taxonomy_id,
        )
        made[row["track_id"]] = (side(row["artist_id"]), hashlib.sha256(path.read_bytes()).hexdigest(), example)
    sides: dict[str, set[str]] = {}
    for split, sha256, _ in made.values():
        sides.setdefault(sha256, set()).add(split)
    tied = {track for track, (_, sha256, _) in made.items() if len(sides[sha256]) > 1}
    return {t: (s, e) for t, (s, _, e) in made.items() if t not in tied}, reasons | dict.fromkeys(tied, "tied")


def rejects(dataset: Path) -> dict[str, str]:
    rows = pq.read_table(dataset / "rejects.parquet").to_pylist()
    return {row["track_id"]: row["reason"] for row in rows}


def files(dataset: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in dataset.iterdir() if path.is_file()}


def test_equals_a_plain_loop(catalog: Music, dataset: Path) -> None:
    expected, reasons = loop(catalog)
    found = examples(dataset)
    assert found.keys() == expected.keys()
    for track, (split, example) in expected.items():
        assert found[track][0] == split
        for field in dataclasses.fields(Example):
            np.testing.assert_array_equal(getattr(found[track][1], field.name), getattr(example, field.name))
    assert rejects(dataset) == reasons


def test_rejects_and_conflicts_have_their_schemas(dataset: Path) -> None:
    assert_has_schema(dataset / "rejects.parquet", DATASET_REJECTS)
    assert_has_schema(dataset / "conflicts.parquet", DATASET_CONFLICTS)


def test_the_counts_balance(catalog: Music, dataset: Path) -> None:
    manifest = read_manifest(str(dataset))
    assert manifest.counts == {"catalog": 15, "examples": 10, "rejected": 2, "none": 3}
    assert manifest.none == {"tied": 2, "unlabelled": 1}
    assert manifest.conflicts == {"voice": 1} and manifest.unknown_tags == {"genre/rock": 3}
    (row,) = pq.read_table(dataset / "conflicts.parquet").to_pylist()
    assert (row["track_id"], row["category"]) == ("conflict", "voice") and row["split"] in SPLITS
    assert sum(manifest.splits.values()) == 10 and sum(shard.examples for shard in manifest.shards) == 10


def test_no_artist_and_no_recording_is_on_two_sides(catalog: Music, dataset: Path) -> None:
    rows = {row["track_id"]: row for row in catalog.rows()}
    sides: dict[str, set[str]] = {}
    for track, (split, _) in examples(dataset).items():
        audio = (catalog.folder / rows[track]["uri"]).read_bytes()
        for key in (rows[track]["artist_id"], hashlib.sha256(audio).hexdigest()):
            sides.setdefault(key, set()).add(split)
    assert all(len(found) == 1 for found in sides.values())


def test_statistics_are_those_of_the_training_split(dataset: Path) -> None:
    manifest = read_manifest(str(dataset))
    found = [example for split, example in examples(dataset).values() if split == "train"]
    frames = np.concatenate([e.patches.reshape(-1, SPEC.n_mels) for e in found]).astype(np.float64)
    np.testing.assert_allclose(manifest.mel_mean, frames.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(manifest.mel_std, frames.std(axis=0), atol=1e-4)
    assert manifest.tag_positive["train"] == tuple(int(n) for n in sum(e.targets > 0 for e in found))
    assert manifest.tag_known["train"] == tuple(int(n) for n in sum(e.mask > 0 for e in found))


def test_shards_are_listed_with_their_bytes(dataset: Path) -> None:
    manifest = read_manifest(str(dataset))
    assert {path.name for path in dataset.glob("*.tfrecord")} == {shard.path for shard in manifest.shards}
    for shard in manifest.shards:
        data = (dataset / shard.path).read_bytes()
        assert (shard.bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert shard.path.startswith(f"{shard.split}-")


def test_order_and_workers_change_no_byte(catalog: Music, dataset: Path, tmp_path: Path) -> None:
    write_catalog(tmp_path / "turned.csv", catalog.rows()[::-1])
    workers = "1" if (os.cpu_count() or 1) > 1 else "2"  # the dataset was made with one worker a core
    flags = ("--direct_num_workers", workers, "--direct_running_mode", "multi_threading")
    assert prepare(catalog, tmp_path / "again", *flags, source=tmp_path / "turned.csv") == 0
    assert files(tmp_path / "again") == files(dataset)


def test_the_dataset_records_its_gates_and_the_receipt_what_it_took(dataset: Path) -> None:
    manifest = read_manifest(str(dataset))
    counts, gates = manifest.counts, manifest.gates
    tried = counts["examples"] + counts["rejected"] + manifest.none["tied"]
    assert gates["rejected"] == {"value": counts["rejected"] / tried, "limit": 0.5, "passed": True}
    assert gates["files"] == {"value": 0, "limit": 0, "passed": True}
    receipt = receipts.newest(str(dataset))
    assert receipt is not None and receipt.counts == counts and receipt.refused is None
    counters = receipt.measured["counters"]
    assert counters["extract"]["tracks_read"] == tried
    assert counters["split"]["rows"] == counts["catalog"]
    assert counters["split"]["tied_tracks"] == manifest.none["tied"]
    assert receipt.measured["core_seconds"].keys() == {"read", "extract", "write"}


def test_a_dataset_whose_shard_is_cut_off_is_not_finished(
    catalog: Music, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = storage.list_folder

    def cut_off(url: str, **roots: object) -> Iterator[FileInfo]:
        for file in listed(url, **roots):
            yield dataclasses.replace(file, size=file.size - 1) if file.url.endswith(".tfrecord") else file

    monkeypatch.setattr(storage, "list_folder", cut_off)
    assert prepare(catalog, tmp_path / "dataset") == 3
    assert "bytes in storage" in capsys.readouterr().err
    assert not (tmp_path / "dataset" / "dataset.json").exists()


def test_other_chunks_hold_the_same_examples(catalog: Music, dataset: Path, tmp_path: Path) -> None:
    assert prepare(catalog, tmp_path / "small", "--chunk-tracks", "2") == 0
    small, manifest = read_manifest(str(tmp_path / "small")), read_manifest(str(dataset))
    assert len(small.shards) > len(manifest.shards) and max(shard.examples for shard in small.shards) <= 2
    assert examples(tmp_path / "small").keys() == examples(dataset).keys()
    assert small.mel_mean == manifest.mel_mean and small.mel_std == manifest.mel_std


def test_a_second_run_has_nothing_to_do(catalog: Music, dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(dataset)
    assert prepare(catalog, dataset) == 0
    assert "is already finished" in capsys.readouterr().out
    assert files(dataset) == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--split-ratios", "0.6,0.2,0.2"), "split ratios"),
        (("--chunk-tracks", "7"), "tracks per shard: 64 in the folder, 7 now"),
        (("--split-column", "fold"), "split column: None in the folder, fold now"),
    ],
)
def test_another_run_says_what_differs(
    catalog: Music, dataset: Path, flags: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(catalog, dataset, *flags) == 1
    assert message in capsys.readouterr().err


def test_a_changed_catalog_is_noticed(
    catalog: Music, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_catalog(tmp_path / "less.csv", catalog.rows()[1:])
    assert prepare(catalog, dataset, source=tmp_path / "less.csv") == 1
    assert "digest of the catalog's rows" in capsys.readouterr().err


def test_finished_chunks_are_not_extracted_again(catalog: Music, tmp_path: Path) -> None:
    rows = [row for row in catalog.rows() if row["track_id"] != "missing"]
    write_catalog(tmp_path / "rows.csv", rows)
    output = tmp_path / "dataset"
    assert prepare(catalog, output, "--max-reject-ratio", "0.01", source=tmp_path / "rows.csv") == 3
    assert not (output / "dataset.json").exists() and rejects(output)["broken"]
    # Same paths, times and sizes, but no audio: whoever reads again would find silence, not examples.
    moved = Music(tmp_path / "moved")
    shutil.copytree(catalog.folder, moved.folder)
    for path in moved.folder.glob("*.wav"):
        path.write_bytes(b"\0" * path.stat().st_size)
        shutil.copystat(catalog.folder / path.name, path)
    assert prepare(moved, output, source=tmp_path / "rows.csv") == 0
    assert read_manifest(str(output)).counts["examples"] == 10


def test_a_missing_file_is_looked_for_again(catalog: Music, tmp_path: Path) -> None:
    moved = Music(tmp_path / "moved")
    shutil.copytree(catalog.folder, moved.folder)
    assert prepare(moved, tmp_path / "dataset", "--max-reject-ratio", "0.01") == 3
    shutil.copy(moved.folder / "5.wav", moved.folder / "none.wav")
    assert prepare(moved, tmp_path / "dataset") == 0
    assert "missing" not in rejects(tmp_path / "dataset") or rejects(tmp_path / "dataset")["missing"] == "tied"


def test_official_splits_are_taken_over_and_unknown_tags_dropped(
    catalog: Music, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", "valid", "test", "")
    rows = [{**row, "fold": words[i % 4], "tags": row["tags"] + "|mood/clam"} for i, row in enumerate(catalog.rows())]
    write_catalog(tmp_path / "official.csv", rows[:8])
    flags = ("--split-column", "fold", "--unknown-tags", "drop")
    assert prepare(catalog, tmp_path / "dataset", *flags, source=tmp_path / "official.csv") == 0
    manifest = read_manifest(str(tmp_path / "dataset"))
    assert manifest.splits == {"train": 2, "validation": 2, "test": 2} and manifest.none == {"official": 2}
    assert manifest.unknown_tags["mood/clam"] == 6
    sides: dict[str, set[str]] = {}
    for row in rows[:8]:
        if row["fold"]:
            sides.setdefault(group_of({"artist": None, "album_id": None, **row}), set()).add(row["fold"])
    assert manifest.groups == {"all": len(sides), "shared": sum(len(found) > 1 for found in sides.values())}
    assert 0 < manifest.groups["shared"] < len(sides)
    assert (
        f"{manifest.groups['shared']} of {len(sides)} artists (or substitutes for missing artists)"
        in capsys.readouterr().out
    )


def test_every_problem_is_reported_and_nothing_is_written(
    catalog: Music, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [{"track_id": "", "uri": "x"}, {"track_id": "000", "uri": "http://x"}, {"track_id": "u", "tags": "mood/clam"}]
    good = {"uri": "0.wav", "artist_id": "", "tags": "mood/calm", "fold": ""}
    rows = [*catalog.rows(), *({**good, **row} for row in bad), {**good, "track_id": "001"}]
    write_catalog(tmp_path / "bad.csv", rows)
    assert prepare(catalog, tmp_path / "dataset", source=tmp_path / "bad.csv") == 1
    shown = capsys.readouterr().err
    for text in ("4 problems", "row 16 (line 17), column track_id", "row 17", "row 18, column tags: tag 'mood/clam'"):
        assert text in shown
    assert "row 19, column track_id: track_id '001' is already used" in shown
    assert not list((tmp_path / "dataset").glob("*.tfrecord"))


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--split-ratios", "1,1,1"), 2, "add up to 1"),
        (("--chunk-tracks", "0"), 2, "at least 1"),
        (("--split-column", "side"), 2, "further columns are fold"),
        (("--max-reject-ratio", "2"), 2, "'2' is not a number from 0 to 1"),
        (("--feature-spec", "nowhere.json"), 1, "not a feature spec"),
        (("--taxonomy", "nowhere.yaml"), 1, "no such taxonomy file"),
        (("--catalog", "nowhere.csv"), 1, "no such file"),
    ],
)
def test_mistakes_are_named(
    catalog: Music, tmp_path: Path, flags: tuple[str, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(catalog, tmp_path / "dataset", *flags) == code
    assert message in capsys.readouterr().err


def test_a_catalog_without_labels_is_refused(
    catalog: Music, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_catalog(tmp_path / "bare.csv", [{**row, "tags": ""} for row in catalog.rows()])
    assert prepare(catalog, tmp_path / "dataset", source=tmp_path / "bare.csv") == 3
    assert "none of the 15 tracks has a tag of the taxonomy" in capsys.readouterr().err


def test_on_cloud_storage_the_same_bytes(catalog: Music, dataset: Path, gcs: str) -> None:
    for path in catalog.folder.iterdir():
        storage.upload(path, storage.join(gcs, "music", path.name))
    command = ["prepare", "--catalog", f"{gcs}/music/catalog.csv", "--taxonomy", f"{gcs}/music/taxonomy.yaml"]
    command += ["--feature-spec", f"{gcs}/music/spec.json", "--split-ratios", "0.5,0.25,0.25"]
    assert main([*command, "--max-reject-ratio", "0.5", "--output", f"{gcs}/dataset"]) == 0
    made = {file.url.rpartition("/")[2]: storage.read_bytes(file.url) for file in storage.list_folder(f"{gcs}/dataset")}
    expected = files(dataset)
    assert made.keys() == expected.keys()
    assert all(made[name] == expected[name] for name in made if name != "rejects.parquet")  # it shows urls


@pytest.mark.skipif(not SHARED.exists(), reason="no real recordings beside the repository")
def test_real_recordings(tmp_path: Path) -> None:
    with (SHARED / "dev" / "manifest.csv").open(encoding="utf-8") as file:
        clips = [row for row in csv.DictReader(file) if row["tags"].startswith("sound---")][::14]
    rows = [{"track_id": c["track_id"], "uri": c["path"], "artist_id": c["group_id"], "tags": c["tags"]} for c in clips]
    write_catalog(tmp_path / "catalog.csv", rows)
    tags = sorted({tag.replace("---", "/") for c in clips for tag in c["tags"].split("|") if tag.startswith("sound")})
    taxonomy = {"categories": [{"name": "sound", "kind": "multilabel", "tags": tags}]}
    (tmp_path / "taxonomy.yaml").write_text(json.dumps(taxonomy))
    (tmp_path / "spec.json").write_text(json.dumps(SPEC.to_json()))
    found = Music(tmp_path)
    assert prepare(found, tmp_path / "dataset", "--catalog-root", str(SHARED / "dev")) == 0
    manifest = read_manifest(str(tmp_path / "dataset"))
    assert manifest.counts["catalog"] == len(rows) == manifest.counts["examples"] + manifest.counts["rejected"]
    assert manifest.counts["examples"] >= 0.9 * len(rows)
