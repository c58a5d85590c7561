"""Load on `catalog-tagger serve`: requests per second and latencies, on a table of tracks that do not exist.

make k6
python -m benchmarks.serving --tracks 1000000 --seconds 10 --clients 1 8 32 --mixed 20000 --k6 .tools/bin/k6

First each kind of request by itself. With `--mixed`, then so many requests of all kinds by their shares: the memory is
read ten times, and in the middle a new snapshot is published, in which all tracks have other titles. Every answer must
be 200, name a published snapshot with its content hash, and have titles of that snapshot alone. Without `--k6`, clients
are connections of this process. The processor time is that of the service alone.
"""

import argparse
import asyncio
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pyarrow as pa

from benchmarks.machine import describe_machine
from benchmarks.ready import publish_ready
from benchmarks.serving_k6 import KINDS, Editions, run_k6
from models.bundles.fake import write_fake_bundle
from pipelines.synthesis.catalog import taxonomy
from transforms.features.spec import FeatureSpec
from transforms.publishing.commit import commit_run, write_run
from transforms.schemas.tables import GROUPED_BY
from transforms.table.reader import open_snapshot
from transforms.tagging.bucket_files import write_table_file
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.taxonomy.hierarchy import Taxonomy

Request = tuple[str, bytes]
"""A path, and the body of a POST; empty: a GET."""

Kinds = dict[str, Callable[[random.Random], Request]]

SHARES = {"track": 55, "similar": 25, "tags of a track": 10, "weighted search": 5, "search by text": 5}
"""Kind -> its percentage of the mixed requests."""

READINGS = 10
"""Readings of the memory."""


def kinds_of(tracks: int) -> Kinds:
    """Kind of request -> one of it."""

    def of_track(form: str) -> Callable[[random.Random], Request]:
        def make(rng: random.Random) -> Request:
            return form.format(f"track-{rng.randrange(tracks):08d}"), b""

        return make

    def weighted(rng: random.Random) -> Request:
        weights = {"mood/calm": round(rng.uniform(-1, 1), 2), "genre/funk": round(rng.uniform(-1, 1), 2)}
        return "/v1/search", json.dumps({"weights": weights, "limit": 20}).encode()

    return {
        "track": of_track("/v1/tracks/{}"),
        "tags of a track": of_track("/v1/tracks/{}/tags"),
        "similar": of_track("/v1/tracks/{}/similar?limit=20"),
        "weighted search": weighted,
        "search by text": lambda rng: (f"/v1/tracks?q={rng.randrange(10_000)}&limit=20", b""),
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
        path, body = request
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
    """Asks until the service is ready, and then some requests; returns the seconds that this took."""
    link, rng, begun = await Connection(url).open(), random.Random(0), time.perf_counter()
    kinds = kinds_of(tracks)
    while (await link.ask(("/ready", b"")))[0] != 200:
        await asyncio.sleep(0.1)
    await link.ask(kinds["weighted search"](rng))
    for _ in range(20):
        await link.ask(kinds["similar"](rng))
    link.close()
    return round(time.perf_counter() - begun, 1)


class Edition:
    """A snapshot that differs from the newest one in all titles: each of them names the edition that it is of."""

    def __init__(self, table: str) -> None:
        self._table, before = table, open_snapshot(table)
        self.number, run = before.manifest.number + 1, before.manifest.run
        run_id = f"run-edition-{self.number}"
        known = PriorOutcomes(root=table, parent=None, ids=run.ids, due_again=frozenset(), buckets=before.buckets)
        files = [file for file in run.files if file.table != "tracks"]
        for bucket in range(before.buckets):
            rows = before.scan("tracks", bucket=bucket)
            titles = pa.array([f"Edition {self.number} of {one}" for one in rows["track_id"].to_pylist()])
            place = rows.schema.get_field_index("title")
            rows = rows.set_column(place, rows.schema.field(place), titles)
            files.append(write_table_file(known, bucket, "tracks", rows, run_id))
        files.sort(key=lambda file: file.table in GROUPED_BY)
        self._run = dataclasses.replace(run, run_id=run_id, parent=before.manifest.number, files=tuple(files))
        self.content_hash = self._run.content_hash
        title = before.scan("tracks", ["title"], bucket=0)["title"][0].as_py()
        self.titles = {before.manifest.number: title.partition(" of ")[0], self.number: f"Edition {self.number}"}
        self.hashes = {before.manifest.number: run.content_hash, self.number: self.content_hash}

    @property
    def expected(self) -> Editions:
        """What answers of both snapshots have."""
        return {n: {"content_hash": self.hashes[n], "title": title} for n, title in self.titles.items()}

    def publish(self) -> None:
        commit_run(self._table, write_run(self._table, self._run))


def editions_of(table: str) -> Editions:
    """What answers of the newest snapshot have."""
    snapshot = open_snapshot(table)
    title = snapshot.scan("tracks", ["title"], bucket=0)["title"][0].as_py().partition(" of ")[0]
    return {snapshot.manifest.number: {"content_hash": snapshot.manifest.run.content_hash, "title": title}}


class Mixed:
    """Requests of all kinds, whose answers are compared with the snapshots that they name."""

    def __init__(self, url: str, tracks: int, edition: Edition, server: psutil.Process) -> None:
        self._url, self._tracks, self._edition, self._server = url, tracks, edition, server
        self._taken: dict[tuple[int, str], list[float]] = {}
        self._seen: Counter[int] = Counter()
        self._wrong: list[str] = []
        self._memory: list[int] = []
        self._done = 0

    async def run(self, requests: int, clients: int) -> dict[str, object]:
        begun, before = time.perf_counter(), self._core()
        left = iter(range(requests))
        everyone = [self._client(left, seed, max(requests // READINGS, 1)) for seed in range(clients)]
        await asyncio.gather(self._switch(requests // 2), *everyone)
        wall = time.perf_counter() - begun
        return {
            "requests": requests,
            "clients": clients,
            "per_s": round(requests / wall, 1),
            "core_ms": round(1000 * (self._core() - before) / requests, 2),
            "rss_mb": self._memory,
            "answers_by_snapshot": dict(self._seen),
            "wrong": len(self._wrong),
            "first_wrong": self._wrong[:3],
            **{f"{kind}, snapshot {number}": {"requests": len(taken), **_figures(taken)}
               for (number, kind), taken in sorted(self._taken.items())},
        }  # fmt: skip

    def _core(self) -> float:
        return sum(self._server.cpu_times()[:2])

    async def _client(self, left: Iterator[int], seed: int, each: int) -> None:
        link, rng, kinds = await Connection(self._url).open(), random.Random(seed), kinds_of(self._tracks)
        for _ in left:
            kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
            request = kinds[kind](rng)
            status, data, took = await link.ask(request)
            self._check(kind, request, status, json.loads(data), took)
            self._done += 1
            if self._done % each == 0:
                self._memory.append(self._server.memory_info().rss // 10**6)
        link.close()

    async def _switch(self, after: int) -> None:
        while self._done < after:
            await asyncio.sleep(0.05)
        await asyncio.to_thread(self._edition.publish)

    def _check(self, kind: str, request: Request, status: int, document: dict, took: float) -> None:
        named, rows = document.get("snapshot", {}), document.get("data")
        number = named.get("number")
        if status != 200 or self._edition.hashes.get(number) != named["content_hash"]:
            self._wrong.append(f"{request[0]}: {status} {str(document)[:200]}")
            return
        self._seen[number] += 1
        self._taken.setdefault((number, kind), []).append(took)
        titles = [row["title"] for row in (rows if isinstance(rows, list) else [rows]) if "title" in row]
        if any(not title.startswith(f"{self._edition.titles[number]} of ") for title in titles):
            self._wrong.append(f"{request[0]}: snapshot {number} with {titles}")
        if not rows or (kind != "tags of a track" and not titles):
            self._wrong.append(f"{request[0]}: nothing")


@contextlib.contextmanager
def served(table: str, *flags: str) -> Iterator[tuple[str, psutil.Process]]:
    """URL and process of a service over a table."""
    command = [sys.executable, "-m", "pipelines.cli", "serve", table, "--port", "0", "--json", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")["url"]
        try:
            yield url, psutil.Process(server.pid)
        finally:
            server.terminate()


def made_table(folder: Path, tracks: int) -> str:
    """A table with a search index."""
    bundle = str(folder / "bundle")
    write_fake_bundle(bundle, Taxonomy.from_json(taxonomy()), FeatureSpec())
    table = str(publish_ready(folder / "ready", bundle, tracks)[1])
    subprocess.run([sys.executable, "-m", "pipelines.cli", "neighbours", table, "--quiet"], check=True)
    return table


def memory_of(server: psutil.Process) -> dict[str, int]:
    """Megabytes in memory, and how many of them are not pages of files, which the system can take back."""
    found = server.memory_info()
    return {"rss_mb": found.rss // 10**6, "anonymous_mb": (found.rss - found.shared) // 10**6}


class Measured:
    """A service whose requests k6 sends."""

    def __init__(self, k6: str, url: str, tracks: int, server: psutil.Process) -> None:
        self._k6, self._url, self._tracks, self._server = k6, url, tracks, server

    def run(self, kind: str, clients: int, editions: Editions, **size: float) -> dict[str, Any]:
        """Figures of requests of a kind, with the processor time of the service for each."""
        before = self._core()
        given = {"tracks": self._tracks, "editions": editions, "shares": SHARES}
        found = run_k6(self._k6, self._url, kind, clients, **given, **size)
        core = 1000 * (self._core() - before) / max(found["requests"], 1)
        return {"clients": clients, **found, "core_ms": round(core, 2), **memory_of(self._server)}

    def mixed(self, requests: int, clients: int, edition: Edition) -> dict[str, Any]:
        """Requests of all kinds, with the memory at each tenth of them, and another snapshot from the middle on."""
        done = threading.Event()
        memory: list[dict[str, int]] = []

        def watch() -> None:
            start, is_published = self._answered(), False
            while not done.wait(0.2):
                share = (self._answered() - start) / requests
                if share >= 0.5 and not is_published:
                    edition.publish()
                    is_published = True
                if share * READINGS >= len(memory) + 1:
                    memory.append(memory_of(self._server))

        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            watching = threads.submit(watch)
            try:
                found = self.run("mixed", clients, edition.expected, requests=requests)
            finally:
                done.set()
            watching.result()
        return found | {"memory": memory}

    def _answered(self) -> int:
        """Answers of the service so far, by its own metrics."""
        with urllib.request.urlopen(f"{self._url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(_COUNTED))

    def _core(self) -> float:
        return sum(self._server.cpu_times()[:2])


_COUNTED = "catalog_tagger_requests_total{"


def table_of(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The figures as a table of Markdown.

    >>> one = {"clients": 8, "per_s": 91.5, "p50_ms": 80.0, "p99_ms": 130.2, "core_ms": 3.6}
    >>> print(table_of({"track": [one | {"requests": 915, "wrong": 0}]}).splitlines()[-1])
    | track | 8 | 91.5 | 80.0 | 130.2 | 3.6 | 915 | 0 |
    """
    names = ("clients", "per_s", "p50_ms", "p99_ms", "core_ms", "requests", "wrong")
    head = "| request | clients | requests per second | median ms | p99 ms | core-ms | requests | wrong |"
    lines = [head, "|---|---:|---:|---:|---:|---:|---:|---:|"]
    lines += [
        f"| {kind} | {' | '.join(str(one[name]) for name in names)} |" for kind, own in rows.items() for one in own
    ]
    return "\n".join(lines)


def _with_k6(args: argparse.Namespace, table: str, url: str, process: psutil.Process, edition: Edition | None) -> None:
    """Prints the figures of k6."""
    measured, rows = Measured(args.k6, url, args.tracks, process), {}
    for kind in KINDS if args.seconds else ():
        known = editions_of(table)
        rows[kind] = [measured.run(kind, clients, known, seconds=args.seconds) for clients in args.clients]
        print(json.dumps({kind: rows[kind]}), flush=True)
    if edition is not None:
        rows["mixed"] = [measured.mixed(args.mixed, args.clients[-1], edition)]
        print(json.dumps({"mixed": rows["mixed"]}, indent=1), flush=True)
    print(table_of(rows))


def _alone_and_mixed(args: argparse.Namespace, url: str, process: psutil.Process, edition: Edition | None) -> None:
    """Prints the figures of connections of this process."""
    for name, make in kinds_of(args.tracks).items() if args.seconds else ():
        for clients in args.clients:
            found = asyncio.run(_alone(url, make, clients, args.seconds, process))
            print(json.dumps({name: found | memory_of(process)}), flush=True)
    if edition is not None:
        found = asyncio.run(Mixed(url, args.tracks, edition, process).run(args.mixed, args.clients[-1]))
        print(json.dumps({"mixed": found}, indent=1))


def main() -> None:
    """Prints the figures as JSON, and with `--k6` as a table too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, nargs="+", default=[8], help="numbers of clients; `--mixed`: the last")
    parser.add_argument("--mixed", type=int, default=0, help="requests of all kinds, with a new snapshot in the middle")
    parser.add_argument("--cache", default="1GiB")
    parser.add_argument("--table", help="a table that an earlier run has made; `--mixed` adds a snapshot")
    parser.add_argument("--k6", metavar="PATH", help="the program of k6, which then sends the requests")
    args = parser.parse_args()
    print(json.dumps({"tracks": args.tracks, "machine": describe_machine(), "load": os.getloadavg()}), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        table = args.table or made_table(Path(folder), args.tracks)
        edition = Edition(table) if args.mixed else None
        with served(table, "--cache", args.cache) as (url, process):
            start = memory_of(process)
            warm = asyncio.run(_warm(url, args.tracks))
            print(json.dumps({"start": start, "warm_s": warm, "warm": memory_of(process)}), flush=True)
            if args.k6:
                _with_k6(args, table, url, process, edition)
            else:
                _alone_and_mixed(args, url, process, edition)
            print(json.dumps({"end": memory_of(process), "load": os.getloadavg()}))


if __name__ == "__main__":
    main()
