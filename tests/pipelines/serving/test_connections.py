"""Slow clients: each limit ends their connection, and other clients do not wait for them."""

import contextlib
import dataclasses
import resource
import socket
import time

import pytest

from pipelines.cli import main
from pipelines.serving.access.connections import ConnectionLimits, LimitedConnection, allow_files
from tests.support.browser import listening_service
from tests.support.waiting import PATIENCE_S, wait_until

LIMITS = ConnectionLimits(head_s=0.4, unread_s=0.4, idle_s=1, connections=20)
HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def place(served):
    with listening_service(served, limits=LIMITS, body_s=0.4) as url:
        yield "127.0.0.1", int(url.rpartition(":")[2])


@contextlib.contextmanager
def connected(place, data=b""):
    with socket.create_connection(place, timeout=PATIENCE_S) as link:
        link.sendall(data)
        yield link


def rest_of(link) -> bytes:
    """All bytes until the service closes the connection."""
    found = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := link.recv(65_536):
            found += piece
    return bytes(found)


def drip(link, data: bytes) -> int:
    """Sends one byte after the other until the connection is closed; returns how many were sent."""
    link.settimeout(0.02)
    for sent in range(len(data)):
        try:
            link.sendall(data[sent : sent + 1])
            if link.recv(4096) == b"":
                return sent
        except TimeoutError:
            continue
        except ConnectionError:
            return sent
    return len(data)


def answers(place) -> bool:
    with connected(place, HEAD + b"Connection: close\r\n\r\n") as link:
        return b'{"status":"ok"}' in rest_of(link)


def is_served(place) -> bool:
    """Whether another client gets its answer; on a busy machine its first heads may come too late."""
    wait_until(lambda: answers(place), "another client is served")
    return True


def test_a_body_does_not_wait_for_its_head_to_be_acknowledged(place, monkeypatch):
    """With Nagle's algorithm each answer takes 40 ms more: the head and the body are two packets."""
    options = []

    def note(connection):
        link = connection.transport.get_extra_info("socket")
        options.append(link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        complete(connection)

    complete = LimitedConnection.on_response_complete
    monkeypatch.setattr(LimitedConnection, "on_response_complete", note)
    assert is_served(place)
    assert set(options) == {1}


def test_a_client_that_sends_nothing_is_cut(place):
    with connected(place) as link:
        assert rest_of(link) == b""
    assert is_served(place)


def test_a_head_that_comes_byte_by_byte_is_cut(place):
    with connected(place) as link:
        assert 0 < drip(link, HEAD + b"X-Filler: " + b"a" * 5000) < 1000
    assert is_served(place)


def test_a_second_head_has_the_same_time(place):
    with connected(place, HEAD + b"\r\n") as link:
        assert link.recv(4096).startswith(b"HTTP/1.1 200")
        assert 0 < drip(link, HEAD + b"X-Filler: " + b"a" * 5000) < 1000


def test_a_body_after_a_refusal_is_not_read_for_ever(place):
    head = b"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    with connected(place, head) as link:
        wait_until(lambda: link.recv(4096).startswith(b"HTTP/1.1 404"), "the path is refused before its body")
        assert drip(link, b"a" * 5000) < 1000


def test_a_body_that_stalls_is_refused(place):
    head = (
        b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )
    with connected(place, head + b'{"words"') as link:
        answer = rest_of(link)
    assert answer.startswith(b"HTTP/1.1 408") and b"did not arrive within 0.4 s" in answer
    assert b"urn:catalog-tagger:problem:slow-body" in answer and is_served(place)


def test_a_client_that_never_reads_is_cut(place):
    """It asks again and again; the answers stay in the buffers of both sides until they are full."""
    request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.settimeout(PATIENCE_S)
        link.connect(place)

        def is_cut():
            try:
                link.sendall(request)
            except ConnectionError:
                return True
            return False

        wait_until(is_cut, "the connection is cut")
    assert is_served(place)


def test_connections_above_the_limit_are_closed_at_once(place):
    with contextlib.ExitStack() as stack:
        begun = time.monotonic()
        links = [stack.enter_context(connected(place, HEAD)) for _ in range(60)]
        assert {rest_of(link) for link in links} == {b""}
        assert time.monotonic() - begun < PATIENCE_S
    assert is_served(place)


def test_requests_above_the_limit_are_told_to_wait(served):
    with listening_service(served, limits=ConnectionLimits(requests=3)) as url, contextlib.ExitStack() as stack:
        busy = "127.0.0.1", int(url.rpartition(":")[2])
        for _ in range(3):
            stack.enter_context(connected(busy, HEAD))
        with connected(busy, HEAD + b"\r\n") as link:
            answer = rest_of(link)
    assert answer.startswith(b"HTTP/1.1 503") and b"retry-after: 1\r\n" in answer and b'"status": 503' in answer


def test_a_head_that_is_too_large_and_another_protocol_are_refused(place):
    with connected(place, HEAD + b"X-Filler: " + b"a" * 100_000) as link:
        answer = rest_of(link)
    assert answer.startswith(b"HTTP/1.1 400") and b"content-type: application/problem+json" in answer
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    with connected(place, HEAD + upgrade + b"Sec-WebSocket-Version: 13\r\n\r\n") as link:
        assert link.recv(4096).startswith(b"HTTP/1.1 200")
    for text in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        with connected(place, text) as link:
            assert rest_of(link)[9:12] in (b"400", b"403")
    assert is_served(place)


def test_the_process_may_open_as_many_files_as_it_has_connections():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(600, before[1]), before[1]))
        allow_files(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(812, before[1]), before[1])
        allow_files(10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(812, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("port", ["80999", "-1", "65536", "http"])
def test_a_port_that_does_not_exist_is_named(port, capsys):
    assert main(["serve", "table", "--port", port]) == 2
    said = capsys.readouterr().err
    assert f"'{port}' is not a port" in said and "65535" in said


def test_limits_are_those_of_the_guide():
    """See `docs/guides/service.md`."""
    assert dataclasses.astuple(ConnectionLimits()) == (2048, 4096, 10.0, 65_536, 15, 60.0)
