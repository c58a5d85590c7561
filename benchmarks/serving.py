"""Load on `catalog-tagger serve`: requests per second and latencies, on a table of tracks that do not exist.

python -m benchmarks.serving --tracks 100000 --seconds 10
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.ready import publish_ready
from models.bundles.fake import write_fake_bundle
from pipelines.synthesis.catalog import taxonomy
from transforms.features.spec import FeatureSpec
from transforms.taxonomy.hierarchy import Taxonomy

Request = tuple[str, bytes]
"""A path, and the body of a POST; empty: a GET."""


def requests(tracks: int) -> dict[str, Callable[[random.Random], Request]]:
    """Kind of request -> one of it."""

    def track(rng: random.Random) -> str:
        return f"track-{rng.randrange(tracks):08d}"

    def weighted(rng: random.Random) -> Request:
        weights = {"mood/calm": round(rng.uniform(-1, 1), 2), "genre/funk": round(rng.uniform(-1, 1), 2)}
        return "/v1/search", json.dumps({"weights": weights, "limit": 20}).encode()

    return {
        "track": lambda rng: (f"/v1/tracks/{track(rng)}", b""),
        "tags of a track": lambda rng: (f"/v1/tracks/{track(rng)}/tags", b""),
        "search by text": lambda rng: (f"/v1/tracks?q={rng.randrange(10_000)}&limit=20", b""),
        "weighted search": weighted,
        "similar": lambda rng: (f"/v1/tracks/{track(rng)}/similar?limit=20", b""),
    }


async def _client(url: str, make: Callable[[random.Random], Request], seed: int, end: float, taken: list[float]) -> int:
    """One connection that sends request after request; returns the number of answers that are not 200."""
    place, rng, wrong = urlsplit(url), random.Random(seed), 0
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    while time.perf_counter() < end:
        path, body = make(rng)
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        begun = time.perf_counter()
        writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(answer.partition("content-length: ")[2].partition("\r")[0]))
        taken.append(time.perf_counter() - begun)
        wrong += " 200 " not in answer.partition("\r")[0]
    writer.close()
    return wrong


async def _load(
    url: str, make: Callable[[random.Random], Request], clients: int, seconds: float, server: psutil.Process
) -> dict[str, float]:
    warm: list[float] = []
    await _client(url, make, 10_000, time.perf_counter() + min(seconds, 3), warm)
    taken: list[float] = []
    begun, before = time.perf_counter(), sum(server.cpu_times()[:2])
    found = await asyncio.gather(*(_client(url, make, n, begun + seconds, taken) for n in range(clients)))
    wall, core = time.perf_counter() - begun, sum(server.cpu_times()[:2]) - before
    taken.sort()
    at = {f"p{p}_ms": round(1000 * taken[min(len(taken) * p // 100, len(taken) - 1)], 1) for p in (50, 99)}
    counts = {"clients": clients, "requests": len(taken), "wrong": sum(found)}
    return counts | {"per_s": round(len(taken) / wall, 1), "core_ms": round(1000 * core / len(taken), 2)} | at


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--table", help="a table that an earlier run has made")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = args.table or str(_table(Path(folder), args.tracks))
        command = [
            sys.executable,
            "-m",
            "pipelines.cli",
            "serve",
            table,
            "--port",
            "0",
            "--json",
            "--query-timeout",
            "60",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            url = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")["url"]
            process = psutil.Process(server.pid)
            figures: dict[str, object] = {"rss_start_mb": process.memory_info().rss // 10**6}
            for name, make in requests(args.tracks).items():
                found = asyncio.run(_load(url, make, args.clients, args.seconds, process))
                figures[name] = found | {"rss_mb": process.memory_info().rss // 10**6}
            print(json.dumps(figures, indent=2))
            server.terminate()


def _table(folder: Path, tracks: int) -> Path:
    bundle = str(folder / "bundle")
    write_fake_bundle(bundle, Taxonomy.from_json(taxonomy()), FeatureSpec())
    return publish_ready(folder / "ready", bundle, tracks)[1]


if __name__ == "__main__":
    main()
