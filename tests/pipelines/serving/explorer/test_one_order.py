"""`search`, the page of the service and the page of an export give one order for one request."""

import json
import shutil
import subprocess

import pytest

from pipelines.cli import main
from tests.support.published import fake_bundle, publish_table
from tests.support.service import every_page, service
from tests.support.waiting import PATIENCE_S
from transforms.discovery.search.engine import search_tracks
from transforms.discovery.search.request import SearchRequest, ValueRange
from transforms.table.reader import open_snapshot
from transforms.tagging.assembly import PublishedRows

REQUESTS = [
    {"weights": {"mood/soft": 1.0}},
    {"weights": {"mood/soft": 0.8, "genre/folk": -0.5, "instrument/bells": 1.0}},
    {"weights": {"genre/techno": -1.0, "tempo/slow": 0.3}, "ranges": {"year": ValueRange(1990, 2012)}},
    {"weights": {"mood/calm": 0.1, "mood/sad": 0.1, "mood/warm": 0.1}, "must": ("mood/soft",)},
    {"weights": {"mood/dark": 1.0}, "must_not": ("mood/calm",), "text": "the"},
    {"weights": {"mood/calm": 0.7, "mood/soft": 0.0}, "ranges": {"bpm": ValueRange(None, 150)}},
]
"""Broad and narrower tags, and conditions."""


PUBLISHED = [
    pytest.param({"top_k": 2}, id="top_k"),
    pytest.param({}, id="all", marks=pytest.mark.long),
    pytest.param({"min_score": 0.3}, id="min_score", marks=pytest.mark.long),
]


@pytest.fixture(scope="module", params=PUBLISHED)
def table(request, tmp_path_factory):
    """A table with all scores, or with those alone that a publication keeps."""
    folder = tmp_path_factory.mktemp("ordered")
    publish_table(folder / "table", fake_bundle(folder / "bundle"), 24, publication=PublishedRows(**request.param))
    return str(folder / "table")


def expected(table, asked):
    """Id and score of each hit of `search`, to the four digits that are told."""
    answer = search_tracks(open_snapshot(table), SearchRequest(**asked, limit=100))
    return [(hit.track_id, round(hit.score, 4)) for hit in answer.hits]


def parameters(asked):
    """The request as the page writes it into its address."""
    return {
        "weigh": [f"{tag}:{weight}" for tag, weight in asked["weights"].items()],
        "range": [f"{name}:{span}" for name, span in asked.get("ranges", {}).items()],
        "tag": list(asked.get("must", ())),
        "without": list(asked.get("must_not", ())),
        "q": asked.get("text", ""),
    }


def test_the_page_has_the_order_of_search(table):
    with service(table) as client:
        for asked in REQUESTS:
            wanted = expected(table, asked)
            assert wanted, asked
            for limit in (4, 100):
                found = every_page(client, "/v1/explorer/tracks", limit=limit, **parameters(asked))
                assert [(row["track_id"], row["relevance"]) for row in found] == wanted, asked
            total = client.get("/v1/explorer/facets", params={**parameters(asked), "weigh": []}).json()["data"]["total"]
            assert total == len(wanted)


_SCRIPT = """
import fs from 'node:fs';
globalThis.fetch = async (path) => ({ ok: true, json: async () => JSON.parse(fs.readFileSync(path)) });
const { openExport } = await import('./page/explorer/exported.js');
const source = await openExport('page/data');
const found = [];
for (const query of JSON.parse(process.argv[2])) {
  const page = await source.search({ artist_id: '', sort: '', ...query }, null);
  const { total } = await source.facets(query);
  found.push({ total, rows: page.data.map((row) => [row.track_id, row.relevance]) });
}
console.log(JSON.stringify(found));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_an_export_has_the_order_of_search(table, tmp_path):
    assert main(["--quiet", "serve", table, "--export", str(tmp_path / "page")]) == 0
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "ask.js").write_text(_SCRIPT)
    words = ["node", "ask.js", json.dumps([parameters(asked) for asked in REQUESTS])]
    answered = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    for asked, found in zip(REQUESTS, json.loads(answered.stdout), strict=True):
        assert [(track, round(score, 4)) for track, score in found["rows"]] == expected(table, asked), asked
        assert found["total"] == len(found["rows"])
