"""No untyped `OSError` leaves the storage door: every errno, at every call of the system, in every function."""

import contextlib
import errno
import io
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import google.auth.exceptions
import pytest
import requests
import urllib3
from google.api_core import exceptions as api

from transforms import storage
from transforms.audio.errors import SourceNotFound
from transforms.audio.limits import Limits
from transforms.extraction.chunk_extractor import read_source
from transforms.storage import SourceRoots, gcs, gcs_client, local

NUMBERS = sorted(errno.errorcode)


def _functions(here: str, source: Path) -> dict[str, Callable[[], object]]:
    return {
        "read_bytes": lambda: storage.read_bytes(f"{here}/file"),
        "read_bytes bounded": lambda: storage.read_bytes(f"{here}/file", max_bytes=100),
        "open_input": lambda: storage.open_input(f"{here}/file").close(),
        "create": lambda: storage.create(f"{here}/new/file", b"x"),
        "create taken": lambda: storage.create(f"{here}/file", b"x"),
        "write_bytes": lambda: storage.write_bytes(f"{here}/file", b"x"),
        "upload": lambda: storage.upload(source, f"{here}/uploaded"),
        "list_files": lambda: list(storage.list_files(here)),
        "list_folder": lambda: list(storage.list_folder(here)),
        "exists": lambda: storage.exists(f"{here}/file"),
        "delete": lambda: storage.delete(f"{here}/gone"),
    }


@contextlib.contextmanager
def _failing(call: str, number: int) -> Iterator[None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    module, name = (io, "open") if call == "io.open" else (os, call)
    real = getattr(module, name)
    setattr(module, name, fail)
    try:
        yield
    finally:
        setattr(module, name, real)


def _caught(function: Callable[[], object]) -> Exception | None:
    try:
        function()
    except Exception as error:  # noqa: BLE001 (the test tells which it may be)
        return error
    return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("file", "source", "gone"):
        (tmp_path / name).write_bytes(b"data")
    return tmp_path


@pytest.mark.parametrize(
    "call", ["open", "fstat", "stat", "scandir", "link", "replace", "fsync", "mkdir", "unlink", "io.open"]
)
def test_every_errno_at_every_call_is_a_storage_error(folder: Path, call: str) -> None:
    failed = 0
    for number in NUMBERS:
        for name, function in _functions(str(folder), folder / "source").items():
            with _failing(call, number):
                error = _caught(function)
            assert error is None or isinstance(error, storage.StorageError), f"{name}: {number}: {error!r}"
            assert error is None or str(folder) in str(error), f"{name}: {error} does not name its file"
            failed += error is not None
            for made in ("new/file", "uploaded"):
                (folder / made).unlink(missing_ok=True)
    assert failed > len(NUMBERS) - 20, "the functions make this call"


def test_an_error_while_an_open_file_is_read_is_a_storage_error(folder: Path) -> None:
    for read in (
        lambda stream: stream.read(),
        lambda stream: stream.read(1),
        lambda stream: stream.readinto(bytearray(9)),
    ):
        descriptor = os.open(folder / "file", os.O_WRONLY)  # reading it fails
        with io.BufferedReader(local._NamedReads("the file", descriptor)) as stream:
            assert isinstance(error := _caught(lambda read=read, stream=stream: read(stream)), storage.StorageError)
            assert "the file" in str(error)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_entry_that_cannot_be_described_hides_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It is listed without size and version, or passed over where it is no file."""

    class Entry(SimpleNamespace):
        def is_dir(self, *, follow_symlinks: bool) -> bool:
            raise OSError(number, "as told")

        def stat(self) -> os.stat_result:
            raise OSError(number, "as told")

    scandir = os.scandir

    @contextlib.contextmanager
    def entries(url: str) -> Iterator[list[object]]:
        with scandir(url) as real:
            yield [Entry(name=entry.name) if entry.name == "gone" else entry for entry in real]

    monkeypatch.setattr(os, "scandir", entries)
    for listing in (storage.list_files, storage.list_folder):
        found = {info.url.rpartition("/")[2]: info for info in listing(str(folder))}
        assert found.keys() - {"gone"} == {"file", "source"}
        if "gone" in found:
            assert (found["gone"].size, found["gone"].version) == (None, storage.UNKNOWN_VERSION)


def test_what_is_no_file_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name in ("loop", "loop/x", "pipe", "socket", "socket/x", ".", "nothing", "\0", "x" * 300, "\ud83d"):
            with pytest.raises(SourceNotFound):
                read_source(name, SourceRoots(str(tmp_path)), Limits())
        assert list(storage.list_folder(str(tmp_path))) == list(storage.list_files(f"{tmp_path}/loop")) == []


def test_a_working_folder_that_was_deleted_is_an_error_of_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(storage.NotFound):
        storage.create("new/file", b"x")


# gs://

ERRORS = [
    *(OSError(number, os.strerror(number)) for number in NUMBERS),
    OSError("no number"),
    ssl.SSLError(1, "bad certificate"),
    socket.gaierror(-2, "Name or service not known"),
    urllib3.exceptions.ProtocolError("broken"),
    urllib3.exceptions.ReadTimeoutError(None, "url", "late"),
    requests.ConnectionError("down"),
    requests.exceptions.ChunkedEncodingError("short"),
    requests.exceptions.InvalidURL("odd"),
    google.auth.exceptions.RefreshError("expired"),
    google.auth.exceptions.TransportError("down"),
    google.auth.exceptions.DefaultCredentialsError("none"),
    *(kind("as told") for kind in api.GoogleAPICallError.__subclasses__() if kind.code),
    api.RetryError("late", None),
]


def _named(error: BaseException) -> str:
    return f"{type(error).__name__} {getattr(error, 'errno', None) or ''}"


def test_every_error_on_the_way_to_gs_is_a_storage_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs_client, "_sleep", lambda seconds: None)
    for raised in ERRORS:

        def fail(raised: Exception = raised) -> None:
            raise raised

        monkeypatch.setattr(gcs, "client", fail)
        for name, function in _functions("gs://bucket", folder / "source").items():
            error = _caught(function)
            if name == "delete" and error is None:
                continue  # what is not there need not be deleted
            assert isinstance(error, storage.StorageError), f"{name}: {_named(raised)}: {error!r}"
            assert "gs://bucket" in str(error)


def test_a_name_that_is_not_utf_8_names_no_object() -> None:
    for name, function in _functions("gs://bucket/\ud83d", Path("source")).items():
        error = _caught(function)
        assert isinstance(error, storage.NotFound) or name == "delete", f"{name}: {error!r}"
