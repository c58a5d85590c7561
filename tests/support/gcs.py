"""A Cloud Storage emulator that enforces preconditions, and faults for the way to it."""

import contextlib
import fcntl
import hashlib
import io
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import requests.adapters
import urllib3

SOURCE = Path(__file__).parents[1] / "emulator"
BUILT = Path(__file__).parents[2] / ".tools"
_numbers = itertools.count()


def _go() -> str:
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        pytest.skip("the gs:// emulator is built with Go, which is not on PATH")
    return found


def _build() -> Path:
    """The emulator's binary, built once per content of its source, also where several test processes ask for it."""
    sources = sorted(path for path in SOURCE.rglob("*") if path.name in ("go.mod", "go.sum") or path.suffix == ".go")
    text = b"".join(path.read_bytes() for path in sources)
    binary = BUILT / f"gcs-emulator-{hashlib.sha256(text).hexdigest()[:16]}"
    BUILT.mkdir(exist_ok=True)
    with (BUILT / "gcs-emulator.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            _compile(binary)
    return binary


def _compile(binary: Path) -> None:
    go = _go()
    fetched = subprocess.run([go, "mod", "download"], cwd=SOURCE, capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(f"the gs:// emulator's Go modules cannot be fetched: {fetched.stderr.strip()[-300:]}")
    unfinished = binary.with_suffix(".unfinished")
    subprocess.run([go, "build", "-mod=readonly", "-o", str(unfinished), "."], cwd=SOURCE, check=True)
    unfinished.replace(binary)


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[str]:
    """URL of a running emulator; one a test process."""
    # The emulator gives times in its own zone, Cloud Storage in UTC, and the client reads no other.
    command, utc = [str(_build())], {**os.environ, "TZ": "UTC"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=utc) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.kill()


@pytest.fixture
def gcs(gcs_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a fresh, empty bucket, e.g. `gs://bucket-3`; this process and its children reach it."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    return new_bucket()


def new_bucket() -> str:
    """Makes a bucket on the emulator that STORAGE_EMULATOR_HOST names; its URL."""
    from transforms.storage.gcs_client import client

    bucket = f"bucket-{os.getpid()}-{next(_numbers)}"
    client().create_bucket(bucket)
    return f"gs://{bucket}"


class Wire(requests.adapters.HTTPAdapter):
    """The way to the emulator, counting requests and bytes of answers by URL, and failing as told.

    Each of `faults` befalls one request: a status code is answered in the server's place; "down" never reaches it;
    "lost" does, but its answer gets lost; "corrupt" flips a bit of the answer's body, "short" cuts its end off.
    """

    def __init__(self, *faults: int | str) -> None:
        super().__init__()
        self.faults = iter(faults)
        self.requests: list[str] = []
        self.received: list[tuple[str, int]] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.requests.append(f"{request.method} {request.url}")
        fault = next(self.faults, None)
        if fault == "down":
            raise requests.ConnectionError("connection refused")
        if isinstance(fault, int):
            return self._answer(request, fault)
        response = super().send(request, *args, **kwargs)
        self.received.append((str(request.url), int(response.headers.get("Content-Length", 0))))
        if fault == "lost":
            raise requests.ConnectionError("connection reset while reading the answer")
        return _damaged(response, fault) if fault in ("corrupt", "short") else response

    def _answer(self, request: requests.PreparedRequest, status: int) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, str(request.url)
        response._content = b'{"error": {"message": "as told"}}'
        return response


def _damaged(response: requests.Response, how: int | str | None) -> requests.Response:
    """The same answer with another body, and without a word of its length."""
    body = response.content[:-1] if how == "short" else bytes([response.content[0] ^ 1]) + response.content[1:]
    response.raw = urllib3.HTTPResponse(io.BytesIO(body), response.raw.headers, preload_content=False)
    response._content_consumed, response._content = False, False
    return response


@contextlib.contextmanager
def wire(*faults: int | str) -> Iterator[Wire]:
    """Puts a `Wire` between this process's client and the emulator."""
    from transforms.storage.gcs_client import client

    prefix, adapter = os.environ["STORAGE_EMULATOR_HOST"] + "/", Wire(*faults)
    session = client()._http
    session.mount(prefix, adapter)
    try:
        yield adapter
    finally:
        del session.adapters[prefix]
