"""Storage that does not answer: a sentence in bounded time, and the other sources go on."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from transforms import storage
from transforms.storage import gcs_client, local, paced_http, patience


@pytest.fixture
def never(monkeypatch):
    """Opening files and folders whose names begin with `gone` waits until the test ends."""
    end, real_open, real_scan = threading.Event(), os.open, os.scandir

    def wait(path):
        if "gone" in str(path):
            end.wait()

    monkeypatch.setattr(os, "open", lambda path, *args, **named: (wait(path), real_open(path, *args, **named))[1])
    monkeypatch.setattr(os, "scandir", lambda path=".": (wait(path), real_scan(path))[1])
    monkeypatch.setattr(patience, "SOURCE_S", 0.05)
    yield end
    end.set()
    while patience._left_behind:
        threading.Event().wait(0.01)


def test_a_source_without_an_answer_is_unavailable_and_others_are_read(tmp_path, never, monkeypatch):
    for name in ("gone.wav", "here.wav"):
        (tmp_path / name).write_bytes(b"sound")
    (tmp_path / "gone").mkdir()
    check = storage.RootsCheck(str(tmp_path))
    with pytest.raises(storage.Unavailable, match=r"gone\.wav: no answer within 0 s: look at the mount"):
        storage.read_bytes(f"{tmp_path}/gone.wav", roots=check)
    with pytest.raises(storage.Unavailable, match="gone: no answer"):
        storage.list_folder(f"{tmp_path}/gone", roots=check)
    monkeypatch.setattr(patience, "SOURCE_S", 60)
    assert storage.read_bytes(f"{tmp_path}/here.wav", roots=check) == b"sound"


def test_too_many_reads_without_an_answer_end_further_ones(tmp_path, never, monkeypatch):
    monkeypatch.setattr(patience, "MOST_LEFT_BEHIND", 2)
    for name in ("gone.wav", "here.wav"):
        (tmp_path / name).write_bytes(b"sound")
    check, tries = storage.RootsCheck(str(tmp_path)), []
    for _ in range(3):
        with pytest.raises(storage.Unavailable) as caught:
            storage.read_bytes(f"{tmp_path}/gone.wav", roots=check)
        tries.append("2 other reads still wait" in str(caught.value))
    assert tries == [False, False, True]
    never.set()
    while patience._left_behind:
        threading.Event().wait(0.01)
    monkeypatch.setattr(patience, "SOURCE_S", 60)
    assert storage.read_bytes(f"{tmp_path}/here.wav", roots=check) == b"sound"


def test_what_is_read_in_pieces_has_answered(monkeypatch):
    """The limit is about silence, not about the size of a file."""
    monkeypatch.setattr(patience, "SOURCE_S", 1.0)
    pause = threading.Event()

    def slow():
        for _ in range(10):
            with patience.waiting("piece"):
                pause.wait(0.15)
        return "all"

    assert patience.in_time("file", slow) == "all"


@pytest.mark.parametrize("error", [TimeoutError("own"), ValueError("own"), storage.NotFound("own")])
def test_an_error_of_the_operation_is_passed_on(error):
    def fail():
        raise error

    with pytest.raises(type(error), match="own"):
        patience.in_time("x", fail)


def test_every_operation_on_local_files_is_entered(tmp_path, monkeypatch):
    """Whatever the watchdog should know of: while the system is asked, the operation is among those that wait."""
    seen, real = [], {name: getattr(os, name) for name in ("open", "stat", "scandir", "link", "fsync")}

    def noted(name):
        def call(*args, **named):
            seen.append((name, storage.longest_wait() is not None))
            return real[name](*args, **named)

        return call

    for name in real:
        monkeypatch.setattr(os, name, noted(name))
    url = str(tmp_path / "f")
    storage.create(url, b"x")
    storage.write_bytes(url, b"y")
    with storage.open_input(url) as stream:
        assert stream.read() == b"y"
    assert storage.exists(url) and [info.url for info in storage.list_files(str(tmp_path))] == [url]
    storage.delete(url)
    assert {name for name, _ in seen} == set(real) and all(entered for _, entered in seen)
    assert storage.longest_wait() is None


def test_a_command_whose_storage_does_not_answer_ends_with_a_sentence():
    script = (
        "import threading\n"
        "from transforms import storage\n"
        "from pipelines.terminal.watchdog import end_without_storage\n"
        "end_without_storage(0.2)\n"
        "with storage.waiting('gs://user:secret@bucket/x'):\n"
        "    threading.Event().wait()\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 1 and "x: no answer within 0 s: look at the mount or the network" in done.stderr
    assert "secret" not in done.stderr


def _hold(connection):
    with contextlib.suppress(OSError):
        connection.recv(1)


def _server(answer):
    """Host and port of a server that receives a request and then does `answer(connection)`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            while b"\r\n\r\n" not in connection.recv(1 << 16):
                pass
            answer(connection)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


def _drops(text):
    def answer(connection):
        connection.sendall(text)
        while True:
            connection.sendall(b"a")
            threading.Event().wait(0.01)

    return answer


SLOW = {
    "nothing": _hold,
    "status line": _drops(b"HTTP/1.1 2"),
    "headers": _drops(b"HTTP/1.1 200 OK\r\nX-A: "),
    "content": _drops(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
    "chunks": _drops(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nF4240\r\n"),
}


@pytest.mark.parametrize("how", SLOW)
@pytest.mark.parametrize("ask", [storage.read_bytes, storage.exists, lambda url: list(storage.list_files(url))])
def test_a_server_that_answers_slowly_is_unavailable(how, ask, monkeypatch):
    listener, address = _server(SLOW[how])
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    monkeypatch.setattr(paced_http, "PATIENCE_S", 0.1)
    monkeypatch.setattr("transforms.storage.gcs.TIMEOUT_S", (5, 0.3))
    monkeypatch.setattr(gcs_client, "ATTEMPTS", 2)
    monkeypatch.setattr(gcs_client, "_sleep", lambda seconds: None)
    with listener, pytest.raises(storage.Unavailable, match="gs://b/x: still failing after 2 attempts"):
        ask("gs://b/x")


def test_no_attempt_follows_after_too_long(monkeypatch):
    tries = []

    def fail():
        tries.append(1)
        raise ConnectionError("down")

    monkeypatch.setattr(gcs_client, "RETRY_S", 0.0)
    monkeypatch.setattr(gcs_client, "_sleep", lambda seconds: None)
    with pytest.raises(storage.Unavailable, match="after 1 attempts"):
        gcs_client.call("gs://b/x", fail)
    assert len(tries) == 1


def test_a_listing_that_does_not_end_is_refused(monkeypatch):
    page = b'{"items": [], "nextPageToken": "same"}'
    text = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
    listener, address = _server(lambda connection: connection.sendall(text % (len(page), page)))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    with listener, pytest.raises(storage.StorageError, match="the listing does not end"):
        list(storage.list_files("gs://b/x"))


def test_a_copy_between_disks_is_made_in_pieces(tmp_path: Path, monkeypatch):
    def refuse(*args, **named):
        raise OSError(18, "other disk")

    (tmp_path / "a").write_bytes(b"0123456789")
    real = os.link
    monkeypatch.setattr(local, "_PIECE", 3)
    monkeypatch.setattr(os, "link", lambda one, other: refuse() if str(one).endswith("/a") else real(one, other))
    storage.upload(tmp_path / "a", str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == b"0123456789"
