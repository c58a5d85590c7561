"""`tag --notify`: somebody is told of a run that is blocked, fails or is late; the exit code stays what it is."""

import contextlib
import http.server
import json
import socketserver
import sys
import threading
import time
from typing import ClassVar

import pytest

from pipelines.inputs.flags import Arguments
from pipelines.launch import notification
from pipelines.launch.notification import notifying
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import CommandFailed, UsageError
from tests.support.world import make_world, tag_code
from transforms import storage

DONE = Answer(text="", document={})


@pytest.fixture
def server():
    """An HTTP server: its URL and the requests that it got; it answers with `status`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        got: ClassVar[list] = []
        status = 200

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.got.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(self.status)
            self.end_headers()

        def log_message(self, *words):
            pass

    Handler.got = []
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Handler.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        yield Handler
        server.shutdown()


def run(body, notify, late_after=None):
    return notifying(body)(Arguments(notify=notify, late_after=late_after, table="gs://b/table"), [])


def failing(error):
    def body(args, words):
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "event", "code"),
    [
        (CommandFailed("nothing was published: 3 of 4 tracks rejected", 3), "blocked", 3),
        (CommandFailed("another run was first", 4), "failed", 4),
        (CommandFailed("no catalog"), "failed", 1),
        (UsageError("--buckets=0"), "failed", 2),
        (storage.Unavailable("gs://b/x: down"), "failed", 1),
        (KeyError("bug"), "failed", 1),
    ],
)
def test_a_url_gets_one_document(server, error, event, code):
    with pytest.raises(type(error)):
        run(failing(error), server.url)
    ((kind, found),) = server.got
    assert kind == "application/json"
    assert {**found, "seconds": 0} == {
        "event": event,
        "table": "gs://b/table",
        "exit_code": code,
        "message": str(error),
        "seconds": 0,
    }


def test_nobody_is_told_of_a_run_that_succeeds(server):
    assert run(lambda args, words: DONE, server.url) is DONE and run(lambda args, words: DONE, None) is DONE
    assert server.got == []


def test_a_command_gets_it_on_standard_input(tmp_path):
    code = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())"
    out = tmp_path / "a file.json"
    with pytest.raises(CommandFailed):
        run(failing(CommandFailed("blocked", 3)), f"{sys.executable} -c '{code}' '{out}'")
    assert json.loads(out.read_text())["event"] == "blocked"


def test_no_shell_reads_the_command(tmp_path):
    with pytest.raises(CommandFailed):
        run(failing(CommandFailed("blocked", 3)), f"true; touch {tmp_path / 'made'}")
    assert not (tmp_path / "made").exists()


def test_secrets_are_not_told(server, caplog):
    with pytest.raises(CommandFailed):
        run(failing(CommandFailed("https://anna:geheim@host/a?X-Goog-Signature=0aff failed")), server.url)
    assert "geheim" not in str(server.got) and "0aff" not in str(server.got) and "***" in server.got[0][1]["message"]
    with pytest.raises(CommandFailed, match="blocked"):
        run(failing(CommandFailed("blocked", 3)), "http://anna:geheim@127.0.0.1:9/hook?token=abcdef123")
    assert "notification" in caplog.text and "geheim" not in caplog.text and "abcdef123" not in caplog.text


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/nobody", "/no/such/program", "false", "sleep 60"])
def test_a_notification_that_fails_is_a_warning(target, caplog, monkeypatch):
    monkeypatch.setattr(notification, "COMMAND_TIMEOUT_S", 0.3)
    with pytest.raises(CommandFailed) as failed:
        run(failing(CommandFailed("blocked", 3)), target)
    assert failed.value.code == 3 and "the notification of a run that is blocked failed" in caplog.text


def test_a_server_that_refuses_is_a_warning(server, caplog):
    server.status = 500
    with pytest.raises(CommandFailed, match="blocked"):
        run(failing(CommandFailed("blocked", 3)), server.url)
    assert "HTTP Error 500" in caplog.text


ODD_ANSWERS = [
    b"\x00\xff no protocol\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 999999999999999999999 x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000,
    b"",
]


@pytest.fixture
def odd_server():
    """A server that answers with any bytes, one in each pause: its port and the answer to set."""

    class Handler(socketserver.BaseRequestHandler):
        answer, pause_s = b"", 0.0

        def handle(self):
            self.request.recv(10_000)
            with contextlib.suppress(OSError):
                for start in range(0, len(self.answer), 1 if self.pause_s else len(self.answer)):
                    self.request.send(self.answer[start : start + 1] if self.pause_s else self.answer)
                    time.sleep(self.pause_s)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Handler.url = f"http://127.0.0.1:{server.server_address[1]}/geheimer-schluessel"
        yield Handler
        server.shutdown()


@pytest.mark.parametrize("answer", ODD_ANSWERS, ids=["rubbish", "redirection", "status", "headers", "nothing"])
def test_an_odd_answer_is_a_warning_without_the_target(answer, odd_server, caplog):
    odd_server.answer = answer
    with pytest.raises(CommandFailed, match="blocked"):
        run(failing(CommandFailed("blocked \ud800", 3)), odd_server.url)
    assert "the notification of a run that is blocked failed" in caplog.text and "geheim" not in caplog.text


def test_a_server_that_answers_byte_by_byte_does_not_hold_the_run(odd_server, caplog, monkeypatch):
    monkeypatch.setattr(notification, "URL_TIMEOUT_S", 0.5)
    odd_server.answer, odd_server.pause_s = b"HTTP/1.1 200 OK\r\nA: " + b"a" * 1000, 0.1
    with pytest.raises(CommandFailed, match="blocked"):
        run(failing(CommandFailed("blocked", 3)), odd_server.url)
    assert "there was no answer in time" in caplog.text


def test_words_of_a_command_are_not_told(caplog):
    with pytest.raises(CommandFailed, match="blocked"):
        run(failing(CommandFailed("blocked", 3)), "false --key geheim")
    assert "the command ended with exit status 1" in caplog.text and "geheim" not in caplog.text


@pytest.mark.parametrize("target", ["http://[::1/hook", "http://host/a b", "https://host/\x01", "file:///etc/passwd"])
def test_what_is_no_url_is_refused_before_the_run(target):
    with pytest.raises(UsageError, match="--notify"):
        run(lambda args, words: DONE, target)


def test_user_and_password_of_a_url_are_sent_as_a_header(server):
    port = server.url.rpartition(":")[2]
    with pytest.raises(CommandFailed):
        run(failing(CommandFailed("blocked", 3)), f"http://anna:geheim@127.0.0.1:{port}")
    assert len(server.got) == 1


def test_a_late_run_is_told_once_while_it_goes_on(server):
    def slow(args, words):
        while not server.got:
            time.sleep(0.01)
        time.sleep(0.1)
        return DONE

    assert run(slow, server.url, 0.05) is DONE
    ((_, found),) = server.got
    assert (found["event"], found["exit_code"]) == ("late", None)
    assert found["message"] == "the run has not ended after 0.05 s"
    assert run(lambda args, words: DONE, server.url, 60.0) is DONE and len(server.got) == 1


@pytest.mark.parametrize("target", ["ftp://host/x", "", "echo 'open"])
def test_what_is_neither_a_url_nor_a_command(target):
    with pytest.raises(UsageError, match="--notify"):
        run(lambda args, words: pytest.fail("it began"), target)


def test_late_after_needs_somebody_to_tell():
    with pytest.raises(UsageError, match="--late-after needs --notify"):
        run(lambda args, words: pytest.fail("it began"), None, 1.0)


def test_a_blocked_tag(tmp_path, server, capsys):
    world = make_world(tmp_path, 4)
    assert tag_code(world, tmp_path / "table", "--max-reject-ratio", "0", "--notify", server.url) == 3
    ((_, found),) = server.got
    assert (found["event"], found["exit_code"]) == ("blocked", 3) and "rejected" in found["message"]
    assert found["message"] in capsys.readouterr().err
    assert list((tmp_path / "table" / "leases").iterdir()) == []
