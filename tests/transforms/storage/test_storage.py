"""One suite for both kinds of storage: what holds for local paths holds for gs://."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.gcs import wire
from transforms import storage
from transforms.storage import local

NAMES = [
    "one track.mp3",
    "Größe/Ünïcode ♪.flac",
    "50%25 off#1?.wav",
    "a+b&c=d;e'f\".ogg",
    "..hidden/..",
    "back\\slash",
]


@pytest.fixture(params=["local", "gs"])
def store(request: pytest.FixtureRequest) -> str:
    """An empty folder: a path or a gs:// URL."""
    if request.param == "local":
        return str(request.getfixturevalue("tmp_path") / "store")
    return storage.join(request.getfixturevalue("gcs"), "store")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that retries make, not slept through."""
    made: list[float] = []
    monkeypatch.setattr("transforms.storage.gcs_client._sleep", made.append)
    return made


def test_create_then_read(store: str) -> None:
    storage.create(store + "/a/b", b"bytes")
    assert storage.read_bytes(store + "/a/b") == b"bytes"


def test_ranges_are_read_alone(store: str) -> None:
    storage.create(store + "/a", bytes(range(200)))
    assert storage.read_range(store + "/a", 10, 13) == bytes([10, 11, 12])
    assert storage.read_range(store + "/a", 0, 200) == bytes(range(200))
    with pytest.raises(storage.Unavailable, match="190 bytes came instead of 300"):
        storage.read_range(store + "/a", 10, 310)
    with pytest.raises(storage.NotFound):
        storage.read_range(store + "/b", 0, 1)


def test_empty_file(store: str) -> None:
    storage.create(store + "/empty", b"")
    assert storage.read_bytes(store + "/empty") == b""
    assert storage.open_input(store + "/empty").read() == b""


@pytest.mark.parametrize("name", [n for n in NAMES if n != "..hidden/.."])
def test_names_are_taken_as_they_stand(store: str, name: str) -> None:
    url = storage.join(store, name)
    storage.create(url, name.encode())
    assert storage.read_bytes(url) == name.encode()
    assert [info.url for info in storage.list_files(store)] == [url]
    assert storage.open_input(url).read() == name.encode()
    storage.delete(url)
    assert not storage.exists(url)


def test_line_break_in_a_name(store: str) -> None:
    url = store + "/two\nlines"
    if url.startswith("gs://"):
        with pytest.raises(storage.NotFound, match="no object can have this name"):
            storage.read_bytes(url)
    else:
        storage.create(url, b"x")
        assert [info.url for info in storage.list_files(store)] == [url]


@pytest.mark.parametrize("name", ["missing", "missing/deeper", "x" * 2000])
def test_reading_a_missing_file(store: str, name: str) -> None:
    with pytest.raises(storage.NotFound, match=r"miss|xxx"):
        storage.read_bytes(f"{store}/{name}")
    with pytest.raises(storage.NotFound):
        storage.open_input(f"{store}/{name}")


def test_reading_a_folder(store: str) -> None:
    storage.create(store + "/folder/file", b"x")
    with pytest.raises(storage.NotFound):
        storage.read_bytes(store + "/folder")
    assert not storage.exists(store + "/folder")


def test_max_bytes(store: str) -> None:
    storage.create(store + "/ten", b"0123456789")
    assert storage.read_bytes(store + "/ten", max_bytes=10) == b"0123456789"
    with pytest.raises(storage.TooLarge, match=r"ten.* 9\b|ten.*at most 9"):
        storage.read_bytes(store + "/ten", max_bytes=9)


def test_create_refuses_a_taken_name(store: str) -> None:
    storage.create(store + "/x", b"first")
    for data in (b"second", b"first"):
        with pytest.raises(storage.AlreadyExists, match="/x"):
            storage.create(store + "/x", data)
    assert storage.read_bytes(store + "/x") == b"first"


def test_race_has_one_winner(store: str) -> None:
    barrier = threading.Barrier(32)

    def attempt(number: int) -> int | None:
        barrier.wait()
        try:
            storage.create(store + "/snapshots/7.json", b"%d" % number)
        except storage.AlreadyExists:
            return None
        return number

    with ThreadPoolExecutor(32) as pool:
        winners = [n for n in pool.map(attempt, range(32)) if n is not None]
    assert len(winners) == 1
    assert storage.read_bytes(store + "/snapshots/7.json") == b"%d" % winners[0]
    assert len(list(storage.list_files(store))) == 1


def test_upload_race_has_one_winner(store: str, tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def attempt(number: int) -> bool:
        source = tmp_path / f"source-{number}"
        source.write_bytes(b"%d" % number * 1000)
        barrier.wait()
        try:
            storage.upload(source, store + "/data")
        except storage.AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_write_bytes_replaces(store: str) -> None:
    storage.write_bytes(store + "/hint", b"old")
    before = next(storage.list_files(store))
    storage.write_bytes(store + "/hint", b"newer")
    after = next(storage.list_files(store))
    assert storage.read_bytes(store + "/hint") == b"newer"
    assert before.version != after.version


@pytest.mark.parametrize("size", [0, 1, 9 << 20])
def test_upload(store: str, tmp_path: Path, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"\x01" * size)
    storage.upload(source, store + "/a/target")
    assert storage.read_bytes(store + "/a/target") == b"\x01" * size
    with pytest.raises(storage.AlreadyExists):
        storage.upload(source, store + "/a/target")


def test_upload_replaces_on_request(store: str, tmp_path: Path) -> None:
    for content in (b"old", b"newer", b""):
        source = tmp_path / "source"
        source.unlink(missing_ok=True)
        source.write_bytes(content)
        storage.upload(source, store + "/a/target", replace=True)
        source.unlink()
        assert storage.read_bytes(store + "/a/target") == content
    assert len(list(storage.list_files(store))) == 1


def test_a_replaced_local_file_keeps_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(0o640)
    storage.write_bytes(str(tmp_path / "a"), b"new")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640 and (tmp_path / "a").read_bytes() == b"new"


def test_uploaded_file_outlives_its_source(store: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"kept")
    storage.upload(source, store + "/target")
    source.unlink()
    assert storage.read_bytes(store + "/target") == b"kept"


def test_missing_folder_lists_nothing(store: str) -> None:
    assert list(storage.list_files(store + "/none")) == []
    assert list(storage.list_folder(store + "/none")) == []


def test_listing_is_in_byte_order_of_whole_names(store: str) -> None:
    names = ["a/b", "a-b", "a.b/c", "a/b2/c", "a0", "é", "z", "a/b/../odd"]
    names.remove("a/b/../odd")
    names.remove("a/b")
    for name in names:
        storage.create(storage.join(store, name), b"x")
    listed = [info.url.removeprefix(store + "/") for info in storage.list_files(store)]
    assert listed == sorted(names, key=str.encode)


def test_listing_tells_size_and_a_version_that_stays(store: str) -> None:
    storage.create(store + "/a", b"123")
    first, second = next(storage.list_files(store)), next(storage.list_folder(store))
    assert (first.size, first.url) == (3, store + "/a")
    assert first == second and first.version


def test_list_folder_is_one_level(store: str) -> None:
    for name in ("a", "b", "sub/c"):
        storage.create(storage.join(store, name), b"x")
    assert [info.url for info in storage.list_folder(store)] == [store + "/a", store + "/b"]
    assert [info.url for info in storage.list_folder(store + "/")] == [store + "/a", store + "/b"]


def test_folders_of_one_level(store: str) -> None:
    for name in ("a", "x/1", "x/y/2", "w/3"):
        storage.create(f"{store}/{name}", b"")
    assert list(storage.list_folders(store)) == list(storage.list_folders(store + "/")) == ["w", "x"]
    assert list(storage.list_folders(store + "/x")) == ["y"]
    assert list(storage.list_folders(store + "/none")) == []


def test_a_folder_is_not_a_prefix(store: str) -> None:
    storage.create(store + "/run=1/a", b"x")
    storage.create(store + "/run=10/b", b"x")
    assert [info.url for info in storage.list_files(store + "/run=1")] == [store + "/run=1/a"]


def test_listing_many(store: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: storage.create(f"{store}/{n:04}", b""), range(1005)))
    assert [info.url[-4:] for info in storage.list_folder(store)] == [f"{n:04}" for n in range(1005)]


def test_delete_of_a_missing_file_is_fine(store: str) -> None:
    storage.delete(store + "/none")
    storage.create(store + "/one", b"x")
    storage.delete(store + "/one")
    storage.delete(store + "/one")
    assert not storage.exists(store + "/one")


def test_parquet_through_open_input(store: str, tmp_path: Path) -> None:
    table = pa.table({"n": range(200_000), "text": [f"row {n}" for n in range(200_000)]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=20_000)
    storage.upload(tmp_path / "t.parquet", store + "/t.parquet")
    with storage.open_input(store + "/t.parquet") as stream:
        assert pq.ParquetFile(stream).read_row_group(7) == table.slice(140_000, 20_000)


def test_text_lines_through_open_input(store: str) -> None:
    lines = [b"line %d\n" % n for n in range(100_000)]
    storage.create(store + "/rows.jsonl", b"".join(lines))
    with storage.open_input(store + "/rows.jsonl") as stream:
        assert list(stream) == lines


@pytest.mark.parametrize("url", ["s3://bucket/x", "http://host/x", "gs:/bucket"])
def test_other_schemes(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, storage.NotFound), match="gs:/"):
        storage.read_bytes(url)


@pytest.mark.parametrize(
    ("base", "parts", "joined"),
    [
        ("gs://b/x", ["y", "z"], "gs://b/x/y/z"),
        ("gs://b/x/", ["y"], "gs://b/x/y"),
        ("gs://b", ["a//b/../c"], "gs://b/a//b/../c"),
        ("gs://b/x", ["/data/y"], "/data/y"),
        ("/data", ["gs://b/x", "y"], "gs://b/x/y"),
        ("/", ["y"], "/y"),
        ("", ["y"], "y"),
        ("x", [""], "x"),
        ("x", [], "x"),
    ],
)
def test_join(base: str, parts: list[str], joined: str) -> None:
    assert storage.join(base, *parts) == joined


# Local files


def test_killed_before_the_commit_leaves_no_name(tmp_path: Path) -> None:
    code = (
        "import os, signal; from transforms.storage import local, create; "
        "local._link = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        f"create({str(tmp_path / 'x')!r}, b'data')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert not storage.exists(str(tmp_path / "x"))
    assert len(list(tmp_path.iterdir())) == 1, "the unfinished file is there"
    assert list(storage.list_files(str(tmp_path))) == []
    storage.create(str(tmp_path / "x"), b"again")


def test_nothing_unfinished_is_left(tmp_path: Path) -> None:
    storage.create(str(tmp_path / "x"), b"1")
    with pytest.raises(storage.AlreadyExists):
        storage.create(str(tmp_path / "x"), b"2")
    storage.write_bytes(str(tmp_path / "x"), b"3")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_link_whose_answer_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = local.os.link

    def link_twice(source: Path, target: Path) -> None:
        link(source, target)
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(local.os, "link", link_twice)
    storage.create(str(tmp_path / "x"), b"data")
    assert storage.read_bytes(str(tmp_path / "x")) == b"data"


def test_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(local.os, "link", refuse)
    with pytest.raises(storage.StorageError, match="create-only commits need hard links"):
        storage.create(str(tmp_path / "x"), b"data")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "meaning"),
    [(13, storage.PermissionDenied), (5, storage.Unavailable), (116, storage.Unavailable), (2, storage.NotFound)],
)
def test_local_errors(number: int, meaning: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, "as told")

    monkeypatch.setattr(local.os, "open", fail)
    with pytest.raises(meaning, match="as told"):
        storage.read_bytes(str(tmp_path / "x"))


def test_pipe_in_a_catalog_does_not_hang(tmp_path: Path) -> None:
    local.os.mkfifo(tmp_path / "pipe")
    with pytest.raises(storage.NotFound, match="not a regular file"):
        storage.read_bytes(str(tmp_path / "pipe"))
    assert list(storage.list_files(str(tmp_path))) == []


def test_new_files_have_the_users_mode(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    storage.create(str(tmp_path / "x"), b"")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_null_byte_in_a_local_name() -> None:
    with pytest.raises(storage.NotFound, match="no file can have this name"):
        storage.read_bytes("/data/\0")


# gs://: what the way to the server does


def test_one_request_reads_a_whole_object(gcs: str) -> None:
    storage.create(gcs + "/x", b"data")
    with wire() as way:
        assert storage.read_bytes(gcs + "/x", max_bytes=100) == b"data"
    assert len(way.requests) == 1


def test_a_page_is_a_request(gcs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.storage.gcs.PAGE_OBJECTS", 3)
    for n in range(7):
        storage.create(f"{gcs}/{n}", b"")
    with wire() as way:
        assert [info.url[-1] for info in storage.list_files(gcs)] == list("0123456")
    assert len(way.requests) == 3


def test_footer_and_one_column_cost_few_requests(gcs: str, tmp_path: Path) -> None:
    table = pa.table({f"c{n}": range(300_000) for n in range(8)})
    pq.write_table(table, tmp_path / "t", row_group_size=100_000, use_dictionary=False, compression="none")
    storage.upload(tmp_path / "t", gcs + "/t")
    with wire() as way, storage.open_input(gcs + "/t") as stream:
        assert pq.ParquetFile(stream).read_row_group(1, ["c3"]).num_rows == 100_000
    assert len(way.requests) <= 4


@pytest.mark.parametrize("fault", [503, 500, 429, 408, "down", "lost"])
def test_transient_errors_are_retried(gcs: str, pauses: list[float], fault: int | str) -> None:
    storage.create(gcs + "/x", b"data")
    with wire(fault, fault, fault):
        assert storage.read_bytes(gcs + "/x") == b"data"
    assert len(pauses) == 3
    assert pauses[0] <= 0.5 and pauses[2] >= 1, "pauses grow"


@pytest.mark.parametrize("fault", ["corrupt", "short"])
def test_damage_on_the_way_is_noticed_and_read_again(gcs: str, pauses: list[float], fault: str) -> None:
    storage.create(gcs + "/x", b"data" * 1000)
    with wire(fault, fault) as way:
        assert storage.read_bytes(gcs + "/x", max_bytes=10_000) == b"data" * 1000
    assert len(way.requests) == 3


def test_an_upload_that_breaks_off_leaves_nothing(gcs: str, pauses: list[float], tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"m" * (20 << 20))
    with wire(None, None, *["down"] * 100), pytest.raises(storage.Unavailable):
        storage.upload(tmp_path / "source", gcs + "/x")
    assert list(storage.list_files(gcs)) == []


def test_throttled_for_ever(gcs: str, pauses: list[float]) -> None:
    with wire(*[429] * 100), pytest.raises(storage.Unavailable, match="429"):
        storage.read_bytes(gcs + "/x")
    assert 10 < sum(pauses) < 60


def test_messages_hold_no_request_lines(gcs: str) -> None:
    """They end in the ledger, one a rejected track."""
    # In this order: after a 404 the client looks for the bucket from a thread of its own.
    with wire(403), pytest.raises(storage.PermissionDenied) as denied:
        storage.read_bytes(gcs + "/x")
    assert str(denied.value) == f'{gcs}/x: 403 {{"error": {{"message": "as told"}}}}'
    with pytest.raises(storage.NotFound) as missing:
        storage.read_bytes(gcs + "/a b")
    assert str(missing.value) == f"{gcs}/a b: no such object or bucket"


@pytest.mark.parametrize("status", [401, 403])
def test_permission_denied_is_not_retried(gcs: str, pauses: list[float], status: int) -> None:
    with wire(status), pytest.raises(storage.PermissionDenied, match="/x"):
        storage.read_bytes(gcs + "/x")
    for action in (storage.exists, storage.delete, storage.open_input, lambda url: list(storage.list_files(url))):
        with wire(status), pytest.raises(storage.PermissionDenied):
            action(gcs + "/x")
    assert not pauses


def test_lost_answer_of_a_create_is_read_back(gcs: str, pauses: list[float]) -> None:
    with wire("lost"):
        storage.create(gcs + "/x", b"mine")
    assert storage.read_bytes(gcs + "/x") == b"mine"


def test_lost_answer_and_another_writer(gcs: str, pauses: list[float]) -> None:
    storage.create(gcs + "/x", b"theirs")
    with wire("down"), pytest.raises(storage.AlreadyExists):
        storage.create(gcs + "/x", b"mine")


@pytest.mark.parametrize("size", [1000, 9 << 20])
def test_lost_answer_of_an_upload_is_read_back(gcs: str, pauses: list[float], tmp_path: Path, size: int) -> None:
    (tmp_path / "source").write_bytes(b"m" * size)
    last = [None] if size < 1 << 20 else [None, None, None]
    with wire(*last[1:], "lost"):
        storage.upload(tmp_path / "source", gcs + "/x")
    assert next(storage.list_files(gcs)).size == size


def test_retry_of_a_listing_page(gcs: str, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.storage.gcs.PAGE_OBJECTS", 2)
    for n in range(5):
        storage.create(f"{gcs}/{n}", b"")
    with wire(None, 503, None, "lost"):
        assert [info.url[-1] for info in storage.list_files(gcs)] == list("01234")


def test_misspelt_bucket_is_an_error(gcs: str) -> None:
    with pytest.raises(storage.NotFound, match="gs://no-such-bucket"):
        list(storage.list_files("gs://no-such-bucket/x"))


def test_object_replaced_while_it_is_read(gcs: str) -> None:
    storage.create(gcs + "/x", b"a" * 1_000_000)
    with storage.open_input(gcs + "/x") as stream:
        assert stream.read(10) == b"a" * 10
        storage.write_bytes(gcs + "/x", b"b" * 1_000_000)
        stream.seek(900_000)
        with pytest.raises(storage.NotFound):
            stream.read(10)


def test_folder_markers_are_no_files(gcs: str) -> None:
    from transforms.storage.gcs_client import client

    client().bucket(gcs.removeprefix("gs://")).blob("folder/").upload_from_string(b"")
    assert list(storage.list_files(gcs)) == list(storage.list_folder(gcs + "/folder")) == []


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    from transforms.storage import gcs_client as calls

    def none(**_: object) -> None:
        raise calls.google.auth.exceptions.DefaultCredentialsError("none")

    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setattr(calls.google.auth, "default", none)
    calls._client_of.cache_clear()
    with pytest.raises(storage.PermissionDenied, match="application-default login"):
        storage.read_bytes("gs://bucket/x")


@pytest.mark.parametrize("url", ["https://host/a.parquet", "s3://bucket/a", "file:///etc/passwd"])
def test_another_scheme_is_an_error_of_storage(url: str) -> None:
    for use in (storage.read_bytes, storage.exists, storage.delete):
        with pytest.raises(storage.StorageError, match="give a local path or a gs:// URL"):
            use(url)
