"""Everything on gs://: catalog, audio, bundle, dataset and tables, by the same commands as on a disk."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from tests.support.gcs import new_bucket, wire
from tests.support.world import World, read_table, tag
from transforms import storage
from transforms.formats.parquet import read_parquet
from transforms.table.snapshots import Snapshot, current_snapshot


@dataclasses.dataclass(frozen=True)
class Cloud:
    """A bucket with a world and a table with one snapshot of it."""

    bucket: str
    table: str

    def tag(self, table: str, *flags: str) -> int:
        places = ["--catalog", f"{self.bucket}/catalog.parquet", "--model", f"{self.bucket}/bundle", "--table", table]
        return main(["tag", *places, "--max-reject-ratio", "0.9", *flags])


@pytest.fixture(scope="module")
def cloud(gcs_server: str, world: World) -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
        bucket = new_bucket()
        for info in storage.list_files(str(world.folder)):
            storage.upload(Path(info.url), storage.join(bucket, info.url.removeprefix(f"{world.folder}/")))
        cloud = Cloud(bucket, f"{bucket}/table")
        assert cloud.tag(cloud.table, "--no-wait") == 0
        assert current_snapshot(cloud.table) is None, "launched without waiting: nothing is published yet"
        assert main(["publish", cloud.table, "--max-reject-ratio", "0.9"]) == 0
        yield cloud


def snapshot_of(cloud: Cloud) -> Snapshot:
    snapshot = current_snapshot(cloud.table)
    assert snapshot is not None
    return snapshot


def rows(cloud: Cloud, snapshot: Snapshot, name: str) -> pa.Table:
    return pa.concat_tables([read_parquet(storage.join(cloud.table, file.path)) for file in snapshot.files(name)])


@pytest.fixture(scope="module")
def local(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Snapshot]:
    """The same world tagged on a disk."""
    table = tmp_path_factory.mktemp("local") / "table"
    return table, tag(world, table)


@pytest.mark.parametrize("name", ["tracks", "track_tags", "embeddings", "taxonomy"])
def test_the_tables_are_those_of_a_local_run(cloud: Cloud, local: tuple[Path, Snapshot], name: str) -> None:
    assert rows(cloud, snapshot_of(cloud), name).equals(read_table(*local, name))


def test_a_second_run_decodes_nothing_and_survives_a_lost_answer(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.storage.gcs_client._sleep", lambda _: None)
    before = snapshot_of(cloud)
    with wire() as way:
        assert cloud.tag(cloud.table, "--no-wait") == 0
        lose_answer_to(way, "snapshots/")
        assert main(["publish", cloud.table, "--max-reject-ratio", "0.9"]) == 0
    after = snapshot_of(cloud)
    assert (after.number, after.run.content_hash) == (before.number + 1, before.run.content_hash)
    assert "decoded 0" in capsys.readouterr().out
    assert way.lost
    asked = [request for request in way.requests if "/audio%2F" in request]
    assert len(asked) <= 50 and all("fields=name" in request for request in asked), "only whether a sample is there"


def test_verify_and_query(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", cloud.table]) == 0
    capsys.readouterr()
    assert main(["query", cloud.table, "SELECT count(*) AS n FROM ledger", "--format", "csv"]) == 0
    assert capsys.readouterr().out.split() == ["n", str(rows(cloud, snapshot_of(cloud), "ledger").num_rows)]


def lose_answer_to(way, part: str) -> None:
    """The first upload whose body names `part` is carried out, and its answer lost."""
    import requests

    send = way.send

    def lossy(request, *args, **kwargs):
        response = send(request, *args, **kwargs)
        if request.method == "POST" and part.encode() in (request.body or b"") and not way.lost:
            way.lost = True
            raise requests.ConnectionError("connection reset while reading the answer")
        return response

    way.lost, way.send = False, lossy


def test_prepare(cloud: Cloud, world: World, tmp_path: Path) -> None:
    flags = ["--max-reject-ratio", "0.9"]
    places = ["--catalog", f"{cloud.bucket}/catalog.parquet", "--taxonomy", f"{cloud.bucket}/taxonomy.yaml"]
    assert main(["prepare", *places, "--output", f"{cloud.bucket}/dataset", *flags]) == 0
    places = ["--catalog", str(world.catalog), "--taxonomy", str(world.folder / "taxonomy.yaml")]
    assert main(["prepare", *places, "--output", str(tmp_path / "dataset"), *flags]) == 0
    shards = _shards(f"{cloud.bucket}/dataset")
    assert shards == _shards(str(tmp_path / "dataset"))
    assert "train" in dict(shards)


def _shards(dataset: str) -> list[tuple[str, bytes]]:
    """Split and content of all shards; their names depend on the sources' versions, which are each storage's own."""
    found = [info.url for info in storage.list_files(dataset) if info.url.endswith(".tfrecord")]
    return sorted((url.rsplit("/")[-1].split("-")[0], storage.read_bytes(url)) for url in found)


AWKWARD = ["a//b.wav", "/lead.wav", "tr%20ail #1?.wav", "ünï/é.wav", "sp ace/x.wav", "x/../y.wav"]
"""Object names that a path library would change."""


def test_names_and_places_that_need_care(cloud: Cloud, world: World, tmp_path: Path) -> None:
    """Each track stands for itself: one in a bucket that does not exist costs no other."""
    audio = next(world.folder.glob("audio/**/*.wav")).read_bytes()
    for name in AWKWARD:
        storage.create(f"{cloud.bucket}/{name}", audio)
    good = [f"{cloud.bucket}/{name}" for name in AWKWARD]
    bad = ["gs://no-such-bucket/x.wav", f"{cloud.bucket}/none.wav", f"{cloud.bucket}/a", f"{cloud.bucket}/two\nlines"]
    catalog = pa.table({"track_id": [str(n) for n in range(len(good + bad))], "uri": good + bad})
    pq.write_table(catalog, tmp_path / "catalog.parquet")
    table, model = f"{cloud.bucket}/awkward", f"{cloud.bucket}/bundle"
    places = ["--catalog", str(tmp_path / "catalog.parquet"), "--model", model, "--table", table]
    roots = ["--allow-root", cloud.bucket, "--allow-root", "gs://no-such-bucket"]
    assert main(["tag", *places, *roots, "--max-reject-ratio", "0.9"]) == 0
    found = rows(Cloud(cloud.bucket, table), snapshot_of(Cloud(cloud.bucket, table)), "ledger").to_pylist()
    assert {row["uri"]: row["reason"] for row in found} == dict.fromkeys(good) | dict.fromkeys(bad, "not_found")


@pytest.mark.long
def test_a_killed_run_is_taken_up_again(cloud: Cloud, capfd: pytest.CaptureFixture[str]) -> None:
    """Killed once two part files are on gs://: nothing is published, and their tracks are not decoded again."""
    table = f"{cloud.bucket}/killed"
    places = ["--catalog", f"{cloud.bucket}/catalog.parquet", "--model", f"{cloud.bucket}/bundle", "--table", table]
    command = [
        sys.executable,
        "-m",
        "pipelines.cli",
        "tag",
        *places,
        "--max-reject-ratio",
        "0.9",
        "--chunk-tracks",
        "2",
    ]
    with subprocess.Popen(command, start_new_session=True, cwd=Path(__file__).parents[3]) as run:
        while run.poll() is None and sum(1 for _ in storage.list_files(f"{table}/work")) < 2:
            time.sleep(0.02)
        assert run.poll() is None, "it ended before it could be killed"
        os.killpg(run.pid, signal.SIGKILL)
    assert current_snapshot(table) is None
    kept = sum(read_parquet(info.url).num_rows for info in storage.list_files(f"{table}/work"))
    assert subprocess.run(command, cwd=Path(__file__).parents[3], check=False).returncode == 0
    assert f"reused {kept}" in capfd.readouterr().out
