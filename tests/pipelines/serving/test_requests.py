"""What every path refuses, and in which form; ETags; the OpenAPI document."""

import gzip
import re

import pytest

from pipelines.serving.paging import Cursor, read_cursor
from tests.support.service import service

LONG = "x" * 9000
WITHOUT_SNAPSHOT = {"/v1/oauth/token", "/v1/explorer/session", "/v1/explorer/audio"}
"""Paths whose answers are not data of a snapshot."""
REFUSED = {
    "/v1/tracks?titel=a": (400, "'titel'"),
    "/v1/tracks/track-0001?limit=3": (400, "'limit'"),
    "/v1/tracks?limit=101": (400, "limit"),
    "/v1/tracks?limit=0": (400, "limit"),
    "/v1/tracks?year=abc": (400, "year"),
    "/v1/tracks?sort=top_tags": (400, "sort"),
    "/v1/tracks?range=title:1..2": (400, "range"),
    "/v1/tracks?range=year:1990": (400, "range"),
    "/v1/tracks?range=year:nan..": (400, "range"),
    "/v1/tracks?range=year:1999..1990": (400, "1999 is greater than 1990"),
    "/v1/recommendations?seed_tracks=track-0001&min_tempo=120&max_tempo=90": (400, "min_tempo"),
    "/v1/tracks?tag=mood/calm:1.5": (400, "score"),
    "/v1/tracks?q=%25+!": (400, "no letters or digits"),
    f"/v1/tracks?q={LONG}": (414, "8192"),
    f"/v1/tracks/{'x' * 1100}": (400, "track_id"),
    "/v1/nothing": (404, "/v1/nothing"),
    "/v1/tracks/nobody": (404, "nobody"),
    "/v1/tracks/..%2f..%2ftable.json": (404, "Not Found"),
    "/v1/../table.json": (404, "Not Found"),
}


@pytest.mark.parametrize("url", REFUSED)
def test_a_refusal_is_a_problem_document(client, url):
    status, names = REFUSED[url]
    answer = client.get(url)
    document = answer.json()
    assert answer.status_code == document["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["type"].startswith("urn:catalog-tagger:problem:") and names in document["detail"]
    assert "etag" not in answer.headers


def test_other_methods_and_bodies_are_refused(client):
    assert client.post("/v1/tracks", json={}).json()["status"] == 405
    other = client.delete("/v1/tracks/track-0001")
    assert (other.status_code, other.headers["allow"]) == (405, "GET, HEAD")
    for body in ("{", "[]", '{"track_ids": []}', '{"track_ids": ["a"], "more": 1}', '{"track_ids": ["\\ud800"]}'):
        answer = client.post("/v1/tracks/batch", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["status"]) == (400, 400), body
    many = client.post("/v1/tracks/batch", json={"track_ids": [str(n) for n in range(101)]})
    assert many.status_code == 400 and "track_ids" in many.json()["detail"]


def test_a_body_in_another_form_is_refused_by_its_form(client):
    text = '{"track_ids": ["track-0001"]}'
    for kind in ("text/plain", "text/xml", "application/x-www-form-urlencoded"):
        answer = client.post("/v1/tracks/batch", content=text, headers={"Content-Type": kind})
        assert (answer.status_code, answer.headers["accept"]) == (415, "application/json"), kind
        assert repr(kind) in answer.json()["detail"]
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = client.post("/v1/tracks/batch", content=gzip.compress(b" " * 10**7), headers=packed)
    assert (answer.status_code, answer.json()["status"]) == (415, 415)


@pytest.mark.parametrize(
    "path", ["/", "/health", "/v1/tracks?limit=2", "/v1/tracks/nobody", "/v1/tracks/batch", "/v1/nothing", "/metrics"]
)
def test_head_has_the_head_of_get_and_no_body(client, path):
    whole, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    left_out = {"content-length"} if path == "/metrics" else set()  # it counts the first of both
    assert {name: head.headers[name] for name in head.headers.keys() - left_out} == {
        name: whole.headers[name] for name in whole.headers.keys() - left_out
    }
    if "etag" in whole.headers:
        assert client.head(path, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("origin", ["http://[", "null", "//", "http://localhost@evil.example", "localhost"])
def test_an_origin_that_is_none_is_refused(client, origin):
    answer = client.post("/v1/search", json={"words": "calm"}, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["status"]) == (403, 403)


def test_a_body_is_limited_with_and_without_its_length(client):
    assert client.post("/v1/tracks/batch", content=b" " * (2**20 + 1)).status_code == 413

    def parts():
        for _ in range(20):
            yield b" " * 100_000

    answer = client.post("/v1/tracks/batch", content=parts())
    assert (answer.status_code, answer.json()["title"]) == (413, "The body of the request is too large")


def test_only_this_machine_is_named_without_clients(client):
    assert client.get("/health", headers={"Host": "music.example"}).json()["status"] == 403
    for host in ("localhost:8080", "127.0.0.1", "[::1]:80"):
        assert client.get("/health", headers={"Host": host}).json() == {"status": "ok"}


def test_a_page_of_another_site_sends_nothing_and_reads_nothing(client, served):
    evil, good = {"Origin": "https://evil.example"}, {"Origin": "https://music.example"}
    assert client.post("/v1/tracks/batch", json={"track_ids": ["a"]}, headers=evil).status_code == 403
    assert "access-control-allow-origin" not in client.get("/v1/snapshot", headers=evil).headers
    with service(served, origins=(good["Origin"],)) as listed:
        answer = listed.post("/v1/tracks/batch", json={"track_ids": ["a"]}, headers=good)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, good["Origin"])
        assert "access-control-allow-origin" not in listed.get("/v1/snapshot", headers=evil).headers
        asked = {**evil, "Access-Control-Request-Method": "POST"}
        assert listed.options("/v1/tracks/batch", headers=asked).status_code == 400


def test_an_answer_that_the_client_has_is_not_sent_again(client):
    first = client.get("/v1/tracks?limit=2")
    etag = first.headers["etag"]
    assert first.json()["snapshot"]["content_hash"] in etag
    again = client.get("/v1/tracks?limit=2", headers={"If-None-Match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    # The ETag of one address says nothing about another, which may not exist.
    assert client.get("/v1/tracks?limit=3", headers={"If-None-Match": etag}).status_code == 200
    assert client.get("/v1/tracks/nobody", headers={"If-None-Match": etag}).status_code == 404


def test_a_cursor_is_of_one_request_and_one_snapshot(client):
    cursor = client.get("/v1/tracks?limit=2&sort=year").json()["next"]
    assert client.get(f"/v1/tracks?limit=5&sort=year&cursor={cursor}").status_code == 200
    for other in ("sort=-year", "sort=year&country=JP", "sort=title"):
        assert client.get(f"/v1/tracks?{other}&cursor={cursor}").json()["title"].startswith("The cursor")
    assert client.get(f"/v1/artists?cursor={cursor}").status_code == 400
    gone = Cursor(77, "0" * 16, ("a",)).text()
    assert client.get(f"/v1/tracks?cursor={gone}").status_code == 410


@pytest.mark.parametrize("key", [(), (1, 2, 3), ("a", 1), (["a"], "b"), (1e999, "a"), (True, "a"), (2**70, "a")])
def test_a_forged_cursor_is_refused(client, key):
    first = client.get("/v1/tracks?limit=1&sort=year").json()["next"]
    forged = read_cursor(first)._replace(key=key).text()
    answer = client.get(f"/v1/tracks?limit=1&sort=year&cursor={forged}")
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


def test_every_answer_has_headers_for_browsers(client):
    for url in ("/v1/snapshot", "/v1/nothing", "/health"):
        headers = client.get(url).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_metrics_count_by_path_template(client):
    client.get("/v1/tracks/track-0002")
    client.get("/v1/tracks/nobody-at-all")
    client.get("/v1/made-up")
    text = client.get("/metrics").text
    counts = dict(re.findall(r"^catalog_tagger_requests_total\{(.*)\} ([0-9.]+)", text, re.M))
    assert float(counts['method="GET",path="/v1/tracks/{track_id}",status="404"']) >= 1
    assert float(counts['method="GET",path="other",status="404"']) >= 1
    assert "nobody-at-all" not in text and "made-up" not in text
    assert "catalog_tagger_snapshot_number 1.0" in text


def test_the_document_is_complete(client):
    document = client.get("/v1/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"] and operation["tags"], where
            good = next(found for status, found in operation["responses"].items() if status.startswith("2"))
            kinds = good["content"]
            assert all(kind.get("example") or kind.get("schema") for kind in kinds.values()), where
            for parameter in operation.get("parameters", ()):
                assert parameter["description"], f"{where}: {parameter['name']}"
            if path.startswith("/v1/") and path not in WITHOUT_SNAPSHOT:
                is_own = operation["tags"] != ["compatible"]  # others have no envelope
                assert bool(kinds["application/json"]["example"].get("snapshot")) is is_own, where
                assert "application/problem+json" in operation["responses"]["400"]["content"], where
    assert document["components"]["schemas"]["ProblemDocument"]["properties"]["detail"]
    references = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert references <= document["components"]["schemas"].keys()
