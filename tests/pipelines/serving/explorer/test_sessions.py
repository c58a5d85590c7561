"""The sign-in of the page: cookies, other sites, sign-out."""

import json

import pytest

from pipelines.serving.access.clients import remove_client
from tests.support.service import clients_file, service

SESSION = "/v1/explorer/session"
OWN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


def guarded_service(served, folder):
    """A service with one client; its credentials and the file."""
    path, secrets = clients_file(folder, reader="read")
    with service(served, path, rate=1000.0) as client:
        yield client, {"client_id": "reader", "client_secret": secrets["reader"]}, path


@pytest.fixture(scope="module")
def shared(served, tmp_path_factory):
    yield from guarded_service(served, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def guarded(shared):
    """The service for all tests, with a browser that has no cookie."""
    shared[0].cookies.clear()
    return shared


@pytest.fixture
def fresh(served, tmp_path):
    """A service for one test."""
    yield from guarded_service(served, tmp_path)


def cookie_of(answer):
    name, *attributes = answer.headers["set-cookie"].split("; ")
    return name, {one.partition("=")[0].lower(): one.partition("=")[2] for one in attributes}


def test_a_session_opens_the_data_until_it_ends(guarded):
    client, credentials, _ = guarded
    assert client.get("/v1/explorer").status_code == 401
    answer = client.post(SESSION, json=credentials, headers=OWN)
    assert answer.json() == {"client_id": "reader", "needed": True}
    cookie, attributes = cookie_of(answer)
    assert attributes["samesite"] == "Strict" and "httponly" in attributes and attributes["path"] == "/"
    assert "secure" not in attributes and "domain" not in attributes
    assert client.get("/v1/explorer").status_code == 200
    assert client.get(SESSION).json()["client_id"] == "reader"
    assert client.delete(SESSION, headers=OWN).json()["client_id"] is None
    client.cookies.clear()
    stale = {"Cookie": cookie}
    assert client.get("/v1/explorer", headers=stale).status_code == 401, "the session has ended, not only its cookie"


def test_neither_secret_nor_token_is_in_an_answer(guarded):
    client, credentials, _ = guarded
    answer = client.post(SESSION, json=credentials, headers=OWN)
    told = answer.text + str(answer.headers) + client.get(SESSION).text + client.get("/").text
    assert credentials["client_secret"] not in told and "eyJ" not in told


def test_over_tls_the_cookie_is_secure_and_bound_to_the_host(guarded):
    client, credentials, _ = guarded
    headers = {"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin"}
    name, attributes = cookie_of(client.post(f"https://localhost{SESSION}", json=credentials, headers=headers))
    assert name.startswith("__Host-") and "secure" in attributes
    plain = {"Cookie": name.removeprefix("__Host-")}
    client.cookies.clear()
    assert client.get("https://localhost/v1/explorer", headers=plain).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
    ],
)
def test_other_sites_can_neither_sign_in_nor_out_nor_use_a_session(guarded, headers):
    client, credentials, _ = guarded
    assert client.post(SESSION, json=credentials, headers=headers).status_code == 403
    client.post(SESSION, json=credentials, headers=OWN)
    assert client.delete(SESSION, headers=headers).status_code == 403
    batch = client.post("/v1/tracks/batch", json={"track_ids": ["track-0001"]}, headers=headers)
    assert batch.status_code in (401, 403)
    assert client.post("/v1/tracks/batch", json={"track_ids": ["track-0001"]}, headers=OWN).status_code == 200
    if headers.get("Sec-Fetch-Site") == "cross-site":
        assert client.get("/v1/explorer", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "given, status",
    [
        ({"json": {"client_id": "reader", "client_secret": "wrong"}}, 401),
        ({"json": {"client_id": "nobody", "client_secret": "wrong"}}, 401),
        ({"json": {"client_id": "reader"}}, 400),
        ({"json": {"client_id": "reader", "client_secret": "x", "scope": "analyze"}}, 400),
        ({"data": {"client_id": "reader", "client_secret": "x"}}, 415),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    ],
)
def test_other_credentials_begin_no_session(guarded, given, status):
    client, _, _ = guarded
    answer = client.post(SESSION, **{**given, "headers": {**OWN, **given.get("headers", {})}})
    assert answer.status_code == status and "set-cookie" not in answer.headers


def test_a_form_of_text_is_no_sign_in(guarded):
    """What another site's form could send without a question of the browser."""
    client, credentials, _ = guarded
    headers = {**OWN, "Content-Type": "text/plain"}
    assert client.post(SESSION, content=json.dumps(credentials), headers=headers).status_code == 415


def test_failed_attempts_are_limited(fresh):
    client, credentials, _ = fresh
    wrong = {**credentials, "client_secret": "wrong"}
    statuses = [client.post(SESSION, json=wrong, headers=OWN).status_code for _ in range(12)]
    assert statuses[:10] == [401] * 10 and statuses[-1] == 429
    assert client.post(SESSION, json=credentials, headers=OWN).status_code == 429


def test_a_session_ends_with_its_client(fresh):
    client, credentials, path = fresh
    client.post(SESSION, json=credentials, headers=OWN)
    assert client.get("/v1/explorer").status_code == 200
    remove_client(path, "reader")
    assert client.get("/v1/explorer").status_code == 401


def test_a_cookie_that_nobody_made_is_ignored(guarded):
    client, _, _ = guarded
    for value in ("x", "é", "a" * 5000, "%00"):
        answer = client.get("/v1/explorer", headers={"Cookie": f"catalog-tagger-session={value}".encode("latin-1")})
        assert answer.status_code == 401


def test_without_clients_there_is_nothing_to_sign_in_to(client):
    assert client.get(SESSION).json() == {"client_id": None, "needed": False}
    assert client.post(SESSION, json={"client_id": "a", "client_secret": "b"}, headers=OWN).status_code == 501
