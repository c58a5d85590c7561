"""A thousand clients at the same time, a new snapshot in the middle, and the broken-file corpus as uploads."""

import asyncio
import concurrent.futures
import csv
import json
import random
import tarfile
from collections import Counter
from pathlib import Path

import psutil
import pytest

from pipelines.serving.access.connections import ConnectionLimits, allow_files
from tests.support.browser import listening_service
from tests.support.openapi import operations_of
from tests.support.published import fake_bundle, publish_table
from tests.support.service import service
from tests.support.world import SHARED
from transforms.audio.errors import TrackError
from transforms.audio.limits import Limits
from transforms.extraction.sandbox import Sandbox
from transforms.features.spec import FeatureSpec

CLIENTS, EACH = 1000, 6
SEARCH = {"weights": {"mood/calm": 0.8, "genre/funk": -1}, "limit": 7}
ASKED = [
    *((f"/v1/tracks/track-{n:04d}", None) for n in range(24)),
    *((f"/v1/tracks/track-{n:04d}/similar?limit=5", None) for n in range(0, 24, 3)),
    *((f"/v1/tracks/track-{n:04d}/tags?category=mood", None) for n in range(0, 24, 5)),
    *(("/v1/tracks?sort=-year&limit=9", None), ("/v1/artists", None), ("/v1/taxonomy/mood", None)),
    *(("/v1/snapshot", None), ("/v1/tracks/nobody", None), ("/v1/search", SEARCH)),
]
"""Paths with the bodies of POSTs."""


@pytest.fixture
def growing(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 24)
    return str(tmp_path / "table"), lambda: publish_table(tmp_path / "table", bundle, 26)


def answers_of(table: str) -> dict[str, tuple[int, bytes]]:
    """What a client gets that is alone."""
    with service(table, query_s=600.0) as client:
        found = {path: client.request("POST" if body else "GET", path, json=body) for path, body in ASKED}
    return {path: (answer.status_code, answer.content) for path, answer in found.items()}


async def ask(link, path: str, body) -> tuple[int, bytes]:
    reader, writer = link
    data = json.dumps(body).encode() if body else b""
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + data)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(answer.partition("content-length: ")[2].partition("\r")[0])
    return int(answer[9:12]), await reader.readexactly(length)


@pytest.mark.long
def test_a_thousand_clients_get_the_answers_of_one(growing):
    """All are connected at the same time. Each answer is one of those of the first or of the second snapshot."""
    table, publish = growing
    allow_files(3 * CLIENTS)
    expected = {1: answers_of(table)}
    seen, wrong = Counter(), []

    async def client(place, seed, connected, go):
        link, rng = await asyncio.open_connection("127.0.0.1", place), random.Random(seed)
        connected.append(seed)
        await go.wait()
        for _ in range(EACH):
            path, body = rng.choice(ASKED)
            seen[path, await ask(link, path, body)] += 1
        link[1].close()

    async def run(place):
        connected, go = [], asyncio.Event()
        everyone = [asyncio.create_task(client(place, seed, connected, go)) for seed in range(CLIENTS)]
        while len(connected) < CLIENTS:
            await asyncio.sleep(0.01)
        go.set()
        while sum(seen.values()) < CLIENTS * EACH // 2:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(publish)
        await asyncio.gather(*everyone)

    limits = ConnectionLimits(head_s=600.0, idle_s=600)
    with listening_service(table, limits=limits, query_s=600.0, waiting_s=600.0, refresh_s=0.0) as url:
        asyncio.run(run(int(url.rpartition(":")[2])))
    expected[2] = answers_of(table)
    numbers = Counter()
    for (path, answer), count in seen.items():
        own = [number for number in expected if expected[number][path] == answer]
        wrong += [] if own else [(path, answer)]
        numbers[own[0] if own else None] += count
    assert wrong == [] and sum(numbers.values()) == CLIENTS * EACH
    assert numbers[1] and numbers[2], "both snapshots were served"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Path -> bytes of each file."""
    archive = SHARED / "bad.tar.gz"
    if not archive.exists():
        pytest.skip(f"no {archive.name} beside the repository")
    root = tmp_path_factory.mktemp("bad")
    with tarfile.open(archive) as opened:
        opened.extractall(root, filter="data")
    with (root / "bad" / "manifest.csv").open(encoding="utf-8") as rows:
        return {row["path"]: (root / "bad" / row["path"]).read_bytes() for row in csv.DictReader(rows)}


def reasons_of(corpus) -> dict[str, str | None]:
    """Path -> the reason of `tag`; None: it has features."""
    with Sandbox(FeatureSpec(), Limits(max_bytes=MOST_BYTES, cpu_s=60, wall_s=60), children=2) as sandbox:
        errors = {path: sandbox.submit(data).exception() for path, data in corpus.items()}
    assert all(error is None or isinstance(error, TrackError) for error in errors.values())
    return {path: error and error.reason for path, error in errors.items()}


MOST_BYTES = 1_000_000


@pytest.mark.long
def test_every_broken_file_gets_a_documented_answer_and_is_not_kept(served, corpus, tmp_path, monkeypatch):
    """The answer is that of `tag`: tags, or the reason. Half of the files come as forms; five at the same time."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    expected = reasons_of(corpus)
    model = str(Path(served).parent / "bundle")
    with service(served, model=model, upload_bytes=MOST_BYTES, waiting_s=600.0) as client:
        (operation,) = [
            one for one in operations_of(client.get("/v1/openapi.json").json()) if one.path == "/v1/analysis"
        ]

        def upload(numbered):
            number, (path, data) = numbered
            if number % 2:
                return path, client.post("/v1/analysis?neighbours=2", files={"file": (path, data)})
            return path, client.post("/v1/analysis?neighbours=2", content=data)

        with concurrent.futures.ThreadPoolExecutor(5) as threads:
            answers = dict(threads.map(upload, enumerate(corpus.items())))
        assert client.get("/ready").status_code == 200
        children = psutil.Process().children(recursive=True)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    statuses = Counter()
    for path, answer in answers.items():
        statuses[answer.status_code] += 1
        assert operation.is_documented(answer.status_code, answer.headers["content-type"]), (path, answer.text)
        document = answer.json()
        if len(corpus[path]) > MOST_BYTES:
            assert answer.status_code in (413, 422), path
        elif expected[path] is None:
            assert answer.status_code == 200 and document["data"]["tags"], (path, answer.text)
        else:
            assert (answer.status_code, document["reason"]) == (422, expected[path]), path
    assert statuses[200] > 20 and statuses[422] > 50
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
