"""The OpenAPI document says what the service answers: to its own examples, to attacks, and to what schemathesis sends.

schemathesis is not among the packages of `make setup`: `make test-long` installs it.
"""

import collections
import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from pipelines.serving.access.clients import ClientsFile, read_clients
from pipelines.serving.access.tokens import issue_token
from pipelines.serving.application import make_application, make_service
from pipelines.serving.settings import ServiceSettings
from tests.support.openapi import Operation, operations_of
from tests.support.service import clients_file, service

ATTACKS = (
    "x' OR '1'='1",
    "../../../../../../etc/passwd",
    *('x" OR "1"="1', "x'; DROP TABLE tracks; --", "x' UNION SELECT uri FROM ledger --", "1 OR 1=1", "title) OR (1=1"),
    *("read_text('/etc/passwd')", "' || (SELECT string_agg(uri, ',') FROM ledger) || '", "year); ATTACH 'x.db'; --"),
    *("..\\..\\table.json", "%2e%2e%2fetc%2fpasswd", "/etc/passwd", "file:///etc/passwd", "snapshot://1/tracks"),
    *("....//....//etc/passwd", "mood/../../table.json", "C:\\Windows\\win.ini", "gs://bucket/x", "\x00/etc/passwd"),
)
"""SQL that would change a query, and paths that would leave a folder. Quick tests send the first two."""

HARMLESS = "nothing-has-this-id"
LEAKS = ("root:", "Traceback", "CatalogException", "ParserException", "duckdb.", "audio/track", '"buckets"')
"""What no answer to an attack may have: another file, a failure of the database, the place of a file."""

EXAMPLES = 120
"""Requests of each operation and kind that schemathesis makes."""


@pytest.fixture(scope="module")
def target(served):
    """A service without clients and without a bundle, and its document."""
    with service(served, audio_root=served, query_s=60.0) as client:
        yield client, operations_of(client.get("/v1/openapi.json").json())


@pytest.fixture(scope="module")
def table_digest(served):
    yield (digest := digest_of(served))
    assert digest_of(served) == digest, "a request has changed the table"


def digest_of(folder: str) -> str:
    found = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        found.update(f"{path} ".encode() + (path.read_bytes() if path.is_file() else b""))
    return found.hexdigest()


def check(operation: Operation, answer) -> None:
    kind = answer.headers.get("content-type", "")
    assert answer.status_code != 500, (operation.label, answer.request.url, answer.text)
    known = operation.is_documented(answer.status_code, kind)
    assert known, (operation.label, answer.status_code, kind, str(answer.request.url), answer.text[:300])


def send(client, request):
    return client.request(**request, follow_redirects=False)


def test_everything_has_an_example(target):
    lacking = []
    for operation in target[1]:
        lacking += [
            f"{operation.label}: {one['name']}" for one in operation.parameters if not operation.example_of(one)
        ]
        lacking += [
            f"{operation.label}: {kind}" for kind, body in operation.bodies.items() if not described(operation, body)
        ]
        good = operation.spec["responses"]["200"]["content"]
        lacking += [f"{operation.label}: 200 {kind}" for kind, one in good.items() if not described(operation, one)]
    assert lacking == []


def described(operation: Operation, content) -> bool:
    """Whether a media type has an example. Bytes of a file have none."""
    schema = operation.schema_of(content["schema"])
    is_bytes = "binary" in str(schema) or schema.get("format") == "binary"
    return is_bytes or operation.example_of(content) is not None


@pytest.mark.long
def test_examples_of_the_document_are_accepted(target):
    """Each parameter with its example, beside those that are required. An example names no id of this table."""
    client, operations = target
    seen = collections.Counter()
    for operation in operations:
        optional = [one for one in operation.parameters if not one.get("required") and one["name"] != "cursor"]
        if operation.path == "/v1/recommendations":  # none of its seeds is required by itself
            optional = [one for one in optional if one["name"].startswith("seed")]
        values = [{}, *({(one["in"], one["name"]): operation.example_of(one)} for one in optional)]
        for given_values in values:
            if operation.path == "/v1/recommendations" and not given_values:
                continue
            answer = send(client, operation.request(given_values))
            check(operation, answer)
            allowed = {200, 206, 304, 404, 416} | STATES.get(operation.label, set())
            assert answer.status_code in allowed, (operation.label, given_values, answer.text)
            seen[answer.status_code] += 1
    assert seen[200] > 100


STATES = {
    "GET /v1/{kind}/{key}/recommendations": {400},  # there is no such artist
    "POST /v1/profile": {400},  # nor track
    "POST /v1/playlists": {400},
    "POST /v1/mix": {200},
    "POST /v1/analysis": {501},  # the service has no bundle
    "POST /v1/oauth/token": {501},  # the service has no clients
    "POST /v1/explorer/session": {501},
    "DELETE /v1/explorer/session": {403},  # no page of the service sends it
}
"""Operation -> further statuses of the answer to its example, by the state of this service."""


def test_a_path_is_spelled_in_one_way(target):
    for path in ("/v1/tags", "/v1/tags/", "/v1/tracks/", "/v1/tracks/track-0001/", "/health/", "/v1//tracks", "/v1//"):
        answer = target[0].get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path


def attack(target, attacks, paths=None) -> int:
    client, operations = target
    sent = 0
    for operation in operations:
        for slot in operation.slots() if paths is None or operation.path in paths else ():
            harmless = [send(client, one) for one in operation.filled(slot, HARMLESS)]
            for text in attacks:
                for plain, request in zip(harmless, operation.filled(slot, text), strict=True):
                    answer = send(client, request)
                    check(operation, answer)
                    assert not any(leak in answer.text.replace(text, "") for leak in LEAKS), (request, answer.text)
                    # An attack is a value like another: it finds what an unknown word finds.
                    if answer.status_code == plain.status_code == 200 and slot.where == "query":
                        assert found_by(answer) == found_by(plain), (request, answer.text[:300])
                    sent += 1
    return sent


def found_by(answer) -> int:
    document = answer.json() if "json" in answer.headers["content-type"] else {}
    return len(document.get("data", document.get("tracks", ())))


QUICK = ("/v1/tracks", "/v1/tracks/{track_id}", "/v1/artists", "/v1/tags/{tag}", "/v1/explorer/audio")


def test_an_attack_on_parameters_finds_nothing(target, table_digest):
    assert attack(target, ATTACKS[:2], QUICK) >= 40


@pytest.mark.long
def test_attacks_on_every_parameter_find_nothing(target, table_digest):
    assert attack(target, ATTACKS) > 3000


@pytest.fixture(scope="module")
def schemas(served, tmp_path_factory):
    """Documents as schemathesis reads them: of an open service, and of one with clients, with the header of a token."""
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed: make schemathesis")
    path, _ = clients_file(tmp_path_factory.mktemp("clients"), tester="read analyze")
    options = {"table": served, "model": str(Path(served).parent / "bundle"), "audio_root": served, "rate": 1e6}
    made = [
        make_service(ServiceSettings(host="testserver", query_s=60.0, upload_bytes=100_000, **options), clients)
        for clients in (None, ClientsFile(path))
    ]
    token = {"Authorization": f"Bearer {issue_token(read_clients(path), 'tester', ['read', 'analyze'])}"}
    yield [
        (schemathesis.openapi.from_asgi("/v1/openapi.json", make_application(one)), headers)
        for one, headers in zip(made, ({}, token), strict=True)
    ]
    for one in made:
        one.analyser.close()
        one.snapshots.close()


KNOWN = {"track_id": "track-0003", "artist_id": "artist-001", "album_id": "album-001", "tag": "mood/calm"}
"""Values of path parameters that this table has."""


def strategies(operation):
    """Requests that fit the document, the same with ids of this table, and requests that do not fit it."""
    from schemathesis import GenerationMode

    yield operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    names = {one.name for one in operation.path_parameters}
    if own := {name: value for name, value in KNOWN.items() if name in names}:
        yield operation.as_strategy(generation_mode=GenerationMode.POSITIVE, path_parameters=own)
    if "seed_tracks" in {one.name for one in operation.query}:
        yield operation.as_strategy(generation_mode=GenerationMode.POSITIVE, query={"seed_tracks": "track-0003"})
    if names or list(operation.query) or list(operation.body):
        yield operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


@pytest.mark.long
@pytest.mark.parametrize("number", [0, 1], ids=["open", "clients"])
def test_schemathesis_finds_no_fault(schemas, table_digest, number):
    """Statuses, media types, headers and schemas of answers are those of the document; what does not fit is refused.

    Not all that fits the document is accepted: it does not know which columns and tags a table has.
    """
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

    schema, headers = schemas[number]
    statuses, examples = collections.Counter(), EXAMPLES // (1 + 3 * number)
    for found in schema.get_all_operations():
        for strategy in strategies(found.ok()):

            @settings(max_examples=examples, suppress_health_check=list(HealthCheck), deadline=None)
            @given(strategy)
            def run(case):
                answer = case.call(headers=headers)
                statuses[answer.status_code] += 1
                assert answer.status_code != 500
                # 501 and 503 are documented; a long address has 414 before anything of it is read.
                excluded = [not_a_server_error, positive_data_acceptance]
                excluded += [negative_data_rejection] if answer.status_code == 414 else []
                case.validate_response(answer, headers=headers, excluded_checks=excluded)

            run()
    print(dict(statuses))
    assert sum(statuses.values()) > 30 * examples and statuses[200] > 5 * examples and statuses[400] > 5 * examples
