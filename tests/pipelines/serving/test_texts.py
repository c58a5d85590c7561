"""`search --text`, `q` of the service and of its page, and the page of an export find the same tracks for a text."""

import dataclasses
import itertools
import json
import shutil
import subprocess

import pytest

from pipelines.cli import main
from tests.support import published
from tests.support.service import every_page, served_table, service
from tests.support.waiting import PATIENCE_S
from transforms.discovery.search.engine import search_tracks
from transforms.discovery.search.request import SearchRequest
from transforms.table.reader import open_snapshot

TITLES = (
    *("Hell's Bells", "Hell’s Bells (Live)", "HELLS BELLS", "Cafe del-Mar", "Café (del) Mar", "No. 2, Op. 27"),
    *(
        "Sigur Rós \u2013 Ágætis byrjun",
        "ΟΔΟΣ ΟΝΕΙΡΩΝ",
        "οδός",
        "한국 노래",
        "AC/DC: T.N.T.",
        "...",
        "İstanbul",
        "100%",
    ),
)
TEXTS = {
    "hell's": 6,
    "Hells BELLS": 6,
    "hell": 6,
    "del mar": 4,
    "CAFÉ del-mar!": 4,
    "(mar)": 4,
    "op.27": 2,
    "agætis-byrjun": 2,
    "οδος": 4,
    "한국": 2,
    "ac/dc": 2,
    "acdc": 0,
    "istanbul": 2,
    "100 %": 2,
    "the": None,
}
"""Text -> number of the tracks of two rounds of TITLES; None: of any number, by names of artists."""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table whose tracks have these titles."""
    titles, make = itertools.cycle(TITLES), published.make_tracks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            published,
            "make_tracks",
            lambda *given: [dataclasses.replace(track, title=next(titles)) for track in make(*given)],
        )
        return served_table(tmp_path_factory.mktemp("texts"), 2 * len(TITLES))


def found_by_search(table: str, text: str) -> list[str]:
    answer = search_tracks(open_snapshot(table), SearchRequest(text=text, limit=100))
    return [hit.track_id for hit in answer.hits]


FEW = ("CAFÉ del-mar!", "οδος", "acdc")


@pytest.mark.parametrize(
    ("texts", "limit"),
    [pytest.param(FEW, 100, id="few"), pytest.param(tuple(TEXTS), 3, id="all", marks=pytest.mark.long)],
)
def test_all_ways_of_the_service_find_what_search_finds(table, texts, limit):
    with service(table) as client:
        for text in texts:
            count, wanted = TEXTS[text], found_by_search(table, text)
            assert len(wanted) == count or (count is None and wanted), text
            for path, given in (
                ("/v1/tracks", {}),
                ("/v1/tracks", {"sort": "-track_id"}),
                ("/v1/tracks", {"sort": "-year"}),
                ("/v1/tracks", {"range": "year:..2100"}),
                ("/v1/explorer/tracks", {}),
                ("/v1/explorer/tracks", {"weigh": "mood/calm"}),
                ("/v1/explorer/tracks", {"sort": "year"}),
            ):
                found = [row["track_id"] for row in every_page(client, path, limit=limit, q=text, **given)]
                assert sorted(found) == wanted, (path, given, text)
                if not given:
                    assert found == wanted
            counted = client.get("/v1/tracks", params={"q": text, "count": True, "limit": 1}).json()["total"]
            facets = client.get("/v1/explorer/facets", params={"q": text}).json()["data"]
            assert counted == facets["total"] == len(wanted)
            assert sum(facets["columns"]["year"]["counts"]) == len(wanted)
            weighted = client.post("/v1/search", json={"text": text, "limit": 100}).json()
            assert [row["track_id"] for row in weighted["data"]] == wanted
            assert weighted["filters"][0]["left"] == len(wanted)


def test_a_text_without_letters_and_digits_is_refused_and_spaces_ask_for_nothing(table):
    with service(table) as client:
        for path in ("/v1/tracks", "/v1/explorer/tracks", "/v1/explorer/facets", "/v1/artists"):
            answer = client.get(path, params={"q": "%"})
            assert (answer.status_code, "no letters or digits" in answer.json()["detail"]) == (400, True)
            assert client.get(path, params={"q": "  "}).status_code == 200
        assert client.post("/v1/search", json={"text": "%"}).status_code == 400


def test_artists_are_found_by_the_words_of_their_names(table):
    rows = open_snapshot(table).scan("tracks", ["artist_id", "artist"]).to_pylist()
    names = {row["artist_id"]: row["artist"] for row in rows}
    with service(table) as client:
        for artist, name in names.items():
            shouted = name.upper().replace(" ", " - ")
            found = {row["id"] for row in every_page(client, "/v1/artists", limit=2, q=shouted)}
            assert artist in found <= {one for one in names if names[one] == name or name in names[one]}


_SCRIPT = """
import fs from 'node:fs';
globalThis.fetch = async (path) => ({ ok: true, json: async () => JSON.parse(fs.readFileSync(path)) });
const { openExport } = await import('./page/explorer/exported.js');
const source = await openExport('page/data');
const found = {};
for (const q of JSON.parse(process.argv[2])) {
  const query = { q, artist_id: '', sort: '', weigh: [], tag: [], without: [], range: [] };
  try {
    const page = await source.search(query, null);
    found[q] = page.data.map((row) => row.track_id);
  } catch (error) {
    found[q] = error.status;
  }
}
console.log(JSON.stringify(found));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_the_page_of_an_export_finds_what_search_finds(table, tmp_path):
    assert main(["--quiet", "serve", table, "--export", str(tmp_path / "page")]) == 0
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "ask.js").write_text(_SCRIPT)
    words = ["node", "ask.js", json.dumps([*TEXTS, "%"])]
    answered = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    found = json.loads(answered.stdout)
    assert found.pop("%") == 400
    assert found == {text: found_by_search(table, text)[:25] for text in TEXTS}, "of the first page"
