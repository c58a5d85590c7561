"""The same rows from Flink, embedded in Beam's job server, where its jars are at hand."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.same_content import check_same_content
from tests.engines.same_neighbours import check_same_neighbours
from tests.support.world import World

JARS = Path(__file__).parents[2] / ".tools" / "flink"
OPENS = [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in ("util", "lang", "net", "nio")]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    pytest.fail("the job server did not start")


@pytest.fixture(scope="module")
def job_endpoint() -> Iterator[str]:
    """Address of a job server with a Flink of its own."""
    java = shutil.which("java")
    if java is None or not list(JARS.glob("*.jar")):
        pytest.skip("no Flink job server: `make engine-flink` fetches it where Java and Maven are")
    ports = [_free_port() for _ in range(3)]
    flags = zip(("--job-port", "--artifact-port", "--expansion-port"), map(str, ports), strict=True)
    main = "org.apache.beam.runners.flink.FlinkJobServerDriver"
    command = [java, *OPENS, "-cp", f"{JARS}/*", main, *(word for flag in flags for word in flag)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(ports[0], server)
        yield f"localhost:{ports[0]}"
    finally:
        server.kill()
        server.wait()


@pytest.mark.long
def test_flink_publishes_the_same_content(world: World, tmp_path: Path, job_endpoint: str) -> None:
    flags = ["--runner=PortableRunner", f"--job_endpoint={job_endpoint}", "--environment_type=LOOPBACK"]
    check_same_content(world, tmp_path, "--parallelism=2", *flags)


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
def test_flink_finds_the_same_neighbours(tmp_path: Path, monkeypatch, job_endpoint: str, workers: int) -> None:
    flags = ["--runner=PortableRunner", f"--job_endpoint={job_endpoint}", "--environment_type=LOOPBACK"]
    check_same_neighbours(monkeypatch, tmp_path, f"--parallelism={workers}", *flags)
