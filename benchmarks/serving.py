"""Load on `catalog-tagger serve`: requests per second and latencies, on a table of tracks that do not exist.

python -m benchmarks.serving --tracks 1000000 --seconds 10 --mixed 20000

First each kind of request by itself. With `--mixed`, then so many requests of all kinds by their shares: the memory is
read ten times, and in the middle a new snapshot is published, in which a tenth of the tracks is gone. Every answer is
compared with the snapshot that it names: it names one that was published, and has a track if and only if that snapshot
has it. Clients are connections of this process; the processor time is that of the service alone.
"""

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.machine import describe_machine
from benchmarks.ready import publish_ready
from models.bundles.fake import write_fake_bundle
from pipelines.synthesis.catalog import taxonomy
from transforms.features.spec import FeatureSpec
from transforms.publishing.commit import commit_run, write_run
from transforms.table.reader import open_snapshot
from transforms.taxonomy.hierarchy import Taxonomy

Request = tuple[str, bytes, int | None]
"""A path, the body of a POST (empty: a GET), and the number of the track that is asked for."""

Kinds = dict[str, Callable[[random.Random], Request]]

SHARES = {"track": 60, "similar": 25, "tags of a track": 10, "weighted search": 5}
"""Kind -> its percentage of the mixed requests."""

READINGS = 10
GONE = 10
"""One of so many tracks is gone in the second snapshot: the first of each ten."""


def kinds_of(tracks: int) -> Kinds:
    """Kind of request -> one of it."""

    def of_track(form: str) -> Callable[[random.Random], Request]:
        def make(rng: random.Random) -> Request:
            number = rng.randrange(tracks)
            return form.format(f"track-{number:08d}"), b"", number

        return make

    def weighted(rng: random.Random) -> Request:
        weights = {"mood/calm": round(rng.uniform(-1, 1), 2), "genre/funk": round(rng.uniform(-1, 1), 2)}
        return "/v1/search", json.dumps({"weights": weights, "limit": 20}).encode(), None

    return {
        "track": of_track("/v1/tracks/{}"),
        "tags of a track": of_track("/v1/tracks/{}/tags"),
        "similar": of_track("/v1/tracks/{}/similar?limit=20"),
        "weighted search": weighted,
        "search by text": lambda rng: (f"/v1/tracks?q={rng.randrange(10_000)}&limit=20", b"", None),
    }


class Connection:
    """A client that waits for each answer before it sends the next request."""

    def __init__(self, url: str) -> None:
        self._place = urlsplit(url)

    async def open(self) -> "Connection":
        self._reader, self._writer = await asyncio.open_connection(self._place.hostname, self._place.port)
        return self

    async def ask(self, request: Request) -> tuple[int, bytes, float]:
        """Status, body and seconds of an answer."""
        path, body, _ = request
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        begun = time.perf_counter()
        self._writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.partition("content-length: ")[2].partition("\r")[0])
        data = await self._reader.readexactly(length)
        return int(answer[9:12]), data, time.perf_counter() - begun

    def close(self) -> None:
        self._writer.close()


def _figures(taken: list[float]) -> dict[str, float]:
    taken = sorted(taken)
    return {f"p{p}_ms": round(1000 * taken[min(len(taken) * p // 100, len(taken) - 1)], 1) for p in (50, 99)}


async def _alone(
    url: str, make: Callable[[random.Random], Request], clients: int, seconds: float, server: psutil.Process
) -> dict[str, float]:
    """Requests of one kind."""
    taken: list[float] = []
    begun, before = time.perf_counter(), sum(server.cpu_times()[:2])

    async def client(seed: int) -> int:
        link, rng, wrong = await Connection(url).open(), random.Random(seed), 0
        while time.perf_counter() < begun + seconds:
            status, _, took = await link.ask(make(rng))
            taken.append(took)
            wrong += status != 200
        link.close()
        return wrong

    wrong = sum(await asyncio.gather(*map(client, range(clients))))
    wall, core = time.perf_counter() - begun, sum(server.cpu_times()[:2]) - before
    counts = {"clients": clients, "requests": len(taken), "wrong": wrong}
    per = {"per_s": round(len(taken) / wall, 1), "core_ms": round(1000 * core / len(taken), 2)}
    return counts | per | _figures(taken)


async def _warm(url: str, tracks: int) -> float:
    """Asks until what the service keeps has been read; returns the seconds that the first searches took."""
    link, rng, begun = await Connection(url).open(), random.Random(0), time.perf_counter()
    kinds = kinds_of(tracks)
    while (await link.ask(kinds["weighted search"](rng)))[0] == 503:
        pass
    for _ in range(20):
        await link.ask(kinds["similar"](rng))
    link.close()
    return round(time.perf_counter() - begun, 1)


class Mixed:
    """Requests of all kinds, whose answers are compared with the snapshots that they name."""

    def __init__(self, url: str, tracks: int, table: str, server: psutil.Process) -> None:
        self._url, self._tracks, self._table, self._server = url, tracks, table, server
        self._taken: dict[str, list[float]] = {kind: [] for kind in SHARES}
        self._seen: Counter[str] = Counter()
        self._wrong: list[str] = []
        self._memory: list[int] = []
        self._done = 0

    async def run(self, requests: int, clients: int) -> dict[str, object]:
        begun, before = time.perf_counter(), sum(self._server.cpu_times()[:2])
        first, self._switched = open_snapshot(self._table), False
        self._hashes = {1: first.manifest.run.content_hash}
        left = iter(range(requests))
        everyone = [self._client(left, seed, requests) for seed in range(clients)]
        await asyncio.gather(self._switch(requests // 2), *everyone)
        core = sum(self._server.cpu_times()[:2]) - before
        return {
            "requests": requests,
            "clients": clients,
            "wall_s": round(time.perf_counter() - begun, 1),
            "per_s": round(requests / (time.perf_counter() - begun), 1),
            "core_ms": round(1000 * core / requests, 2),
            "rss_mb": self._memory,
            "answers_by_snapshot": dict(self._seen),
            "wrong": len(self._wrong),
            "first_wrong": self._wrong[:3],
            **{kind: {"requests": len(taken), **_figures(taken)} for kind, taken in self._taken.items() if taken},
        }

    async def _client(self, left: Iterator[int], seed: int, requests: int) -> None:
        link, rng = await Connection(self._url).open(), random.Random(seed)
        kinds = kinds_of(self._tracks)
        for _ in left:
            kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
            request = kinds[kind](rng)
            status, data, took = await link.ask(request)
            self._taken[kind].append(took)
            self._check(kind, request, status, json.loads(data))
            self._done += 1
            if self._done % max(requests // READINGS, 1) == 0:
                self._memory.append(self._server.memory_info().rss // 10**6)
        link.close()

    async def _switch(self, after: int) -> None:
        while self._done < after:
            await asyncio.sleep(0.05)
        number, content = await asyncio.to_thread(publish_fewer, self._table)
        self._hashes[number] = content

    def _check(self, kind: str, request: Request, status: int, document: dict) -> None:
        """A 404 names its snapshot in a sentence; every other answer as a member."""
        if status == 200:
            named = document["snapshot"]
            number, ids = named["number"], _ids_of(document["data"])
            if self._hashes.get(number, named["content_hash"]) != named["content_hash"]:
                self._wrong.append(f"{request[0]}: snapshot {named}")
        elif status == 404:
            number, ids = int(document["detail"].rpartition(" ")[2]), []
        else:
            self._wrong.append(f"{request[0]}: {status} {document}")
            return
        self._seen[f"{number}: {status}"] += 1
        is_gone = request[2] is not None and request[2] % GONE == 0 and number > self.first_number
        if (status == 404) != is_gone:
            self._wrong.append(f"{request[0]}: {status} of snapshot {number}")
        if number > self.first_number and any(int(one.rpartition("-")[2]) % GONE == 0 for one in ids):
            self._wrong.append(f"{request[0]}: a track that is gone in snapshot {number}")

    first_number = 0


def _ids_of(data: object) -> list[str]:
    rows = data if isinstance(data, list) else [data]
    return [row["track_id"] for row in rows if isinstance(row, dict) and "track_id" in row]


def publish_fewer(table: str) -> tuple[int, str]:
    raise NotImplementedError
