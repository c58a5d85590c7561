"""Clients, tokens, scopes and rates."""

import asyncio
import base64
import functools
import hashlib
import hmac
import json
import time
from collections import Counter
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwe import JWERegistry
from joserfc.jwk import OctKey, RSAKey

from pipelines.cli import main
from pipelines.serving.access.clients import Clients, ClientsFile, add_client, read_clients, remove_client
from pipelines.serving.access.granting import Attempts
from pipelines.serving.access.rates import Rates
from pipelines.serving.access.tokens import LIFE_S, InvalidToken, caller_of, issue_token
from pipelines.serving.problems import Declined
from pipelines.terminal.errors import UsageError
from tests.support.service import clients_file, service, token_of

TOKEN = "/v1/oauth/token"


@pytest.fixture(scope="module")
def guarded(served, tmp_path_factory):
    """A service with two clients, their secrets, and the file."""
    path, secrets = clients_file(tmp_path_factory.mktemp("clients"), reader="read", analyst="read analyze")
    with service(served, path, rate=1000.0) as client:
        yield client, secrets, path


def test_nothing_but_health_and_the_document_is_open(guarded):
    client, _, _ = guarded
    for url in ("/health", "/ready", "/v1/openapi.json"):
        assert client.get(url).status_code == 200
    for url in ("/v1/tracks", "/v1/tracks/track-0001", "/metrics", "/v1/snapshot", "/v1/nothing", "/other"):
        answer = client.get(url)
        assert (answer.status_code, answer.json()["status"]) == (401, 401), url
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_opens_and_names_its_life(guarded):
    client, secrets, _ = guarded
    form = {"grant_type": "client_credentials", "client_id": "analyst", "client_secret": secrets["analyst"]}
    for given in (
        {"data": form},
        {"json": form},
        {"data": {"grant_type": "client_credentials"}, "auth": ("analyst", secrets["analyst"])},
        {"data": {**form, "scope": "read"}},
    ):
        answer = client.post(TOKEN, **given)
        document = answer.json()
        assert (answer.status_code, document["token_type"], document["expires_in"]) == (200, "Bearer", 7200), given
        assert document["scope"] == ("read" if "scope" in given.get("data", {}) else "analyze read")
        assert answer.headers["cache-control"] == "no-store"
        header = {"Authorization": f"Bearer {document['access_token']}"}
        assert client.get("/v1/tracks/track-0001", headers=header).status_code == 200


def test_processes_with_one_file_of_clients_share_tokens_and_cursors(guarded, served):
    """So a proxy may send each request to any of them."""
    first, secrets, path = guarded
    with service(served, path, rate=1000.0) as second:
        header = token_of(first, "reader", secrets["reader"])
        page = first.get("/v1/tracks?limit=5", headers=header).json()
        following = second.get("/v1/tracks", params={"limit": 5, "cursor": page["next"]}, headers=header)
        whole = second.get("/v1/tracks?limit=10", headers=header)
    assert page["data"] + following.json()["data"] == whole.json()["data"]
    assert page["snapshot"] == following.json()["snapshot"]


@pytest.mark.parametrize(
    "change, status, error",
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"scope": "read write"}, 400, "invalid_scope"),
        ({"scope": "analyze"}, 400, "invalid_scope"),
    ],
)
def test_wrong_credentials_are_refused_by_rfc_6749(guarded, change, status, error):
    client, secrets, _ = guarded
    form = {"grant_type": "client_credentials", "client_id": "reader", "client_secret": secrets["reader"], **change}
    answer = client.post(TOKEN, data={name: value for name, value in form.items() if value is not None})
    assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"grant_type": 1}', b"\xff", b"a=1&a=2", b"&" * 99, b"[" * 9999])
def test_a_body_that_is_no_form_is_refused(guarded, body):
    kind = "application/json" if body[:1] in b"{[" else "application/x-www-form-urlencoded"
    answer = guarded[0].post(TOKEN, content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def part(document):
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


FORGED = (
    *("no algorithm", "none with a signature", "another algorithm", "algorithm of another kind"),
    *("algorithm in other letters", "critical header", "other key", "expired", "no expiry", "expiry as text"),
    *("other audience", "other issuer", "no subject", "unknown client", "subject of another kind", "changed claims"),
    *("cut", "too long", "no token", "empty parts", "key in the header", "address of keys", "path as key id"),
    *("signed with an RSA key", "public key as secret", "encrypted", "not yet valid", "several audiences"),
)


@functools.cache
def forgeries(path: str) -> dict[str, str]:
    clients = read_clients(path)
    good = issue_token(clients, "reader", ["read"])
    head, body, mark = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    key, pair = OctKey.import_key(clients.key), RSAKey.generate_key(2048)
    own, public = OctKey.import_key(b"k" * 32), pair.as_pem(private=False)

    def headed(algorithm, key, **header):
        return jwt.encode({"alg": algorithm, **header}, claims, key, algorithms=[algorithm])

    def signed(algorithm, *, key=key, **changes):
        return jwt.encode({"alg": algorithm}, {**claims, **changes}, key, algorithms=[algorithm])

    def by_hand(header, secret=clients.key):
        text = f"{part(header)}.{body}"
        own = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        return f"{text}.{base64.urlsafe_b64encode(own).rstrip(b'=').decode()}"

    return {
        "no algorithm": f"{part({'alg': 'none'})}.{body}.",
        "none with a signature": f"{part({'alg': 'none'})}.{body}.{mark}",
        "another algorithm": signed("HS512"),
        "algorithm of another kind": by_hand({"alg": "RS256"}),
        "algorithm in other letters": by_hand({"alg": "hs256"}),
        "critical header": by_hand({"alg": "HS256", "crit": ["b64"], "b64": False}),
        "other key": signed("HS256", key=OctKey.import_key(b"k" * 32)),
        "expired": issue_token(clients, "reader", ["read"], now=time.time() - LIFE_S - 60),
        "no expiry": signed("HS256", exp=None),
        "expiry as text": signed("HS256", exp="9999999999"),
        "other audience": signed("HS256", aud="another"),
        "other issuer": signed("HS256", iss="another"),
        "no subject": signed("HS256", sub=None),
        "unknown client": signed("HS256", sub="nobody"),
        "subject of another kind": signed("HS256", sub=["reader"]),
        "changed claims": f"{head}.{part({**claims, 'scope': 'read analyze'})}.{mark}",
        "cut": good[:-4],
        "too long": good + "a" * 5000,
        "key in the header": headed("HS256", own, jwk=own.as_dict()),
        "address of keys": headed("HS256", own, jku="http://localhost/keys.json"),
        "path as key id": headed("HS256", own, kid="../../../dev/null"),
        "signed with an RSA key": headed("RS256", pair),
        "public key as secret": by_hand({"alg": "HS256"}, public),
        "encrypted": jwt.encode({"alg": "dir", "enc": "A128CBC-HS256"}, claims, key, registry=JWERegistry()),
        "not yet valid": signed("HS256", nbf=int(time.time()) + 3600),
        "several audiences": signed("HS256", aud=["another", "third"]),
        "no token": "....",
        "empty parts": "..",
    }


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_token_is_refused(guarded, kind):
    client, _, path = guarded
    token = forgeries(path)[kind]
    answer = client.get("/v1/tracks", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    with pytest.raises(InvalidToken):
        caller_of(read_clients(path), token)


def test_a_token_is_taken_from_one_header_alone(guarded):
    client, secrets, _ = guarded
    good = token_of(client, "reader", secrets["reader"])["Authorization"]
    token = good.removeprefix("Bearer ")
    for request in (
        {"url": f"/v1/tracks?access_token={token}"},
        {"url": "/v1/tracks", "headers": {"Cookie": f"access_token={token}; Authorization={token}"}},
        {"url": "/v1/tracks", "headers": [("Authorization", "Bearer x"), ("Authorization", good)]},
        {"url": "/v1/tracks", "headers": {"Authorization": f"Basic {token}"}},
        {"url": "/v1/tracks", "headers": {"Authorization": token}},
        {"url": "/v1/tracks", "headers": {"X-Authorization": good, "X-Forwarded-For": "127.0.0.1"}},
        {"url": "//v1/tracks"},
        {"url": "/health/../v1/tracks"},
        {"url": "/explorer/../v1/tracks"},
        {"url": "/V1/tracks"},
    ):
        answer = client.request("GET", **request, follow_redirects=False)
        assert answer.status_code in (401, 404) or "html" in answer.headers["content-type"], request
        assert "track-0001" not in answer.text
    assert client.get("/v1/tracks", headers={"Authorization": good}).status_code == 200


def test_a_token_has_no_scope_that_its_client_lacks(guarded):
    _, _, path = guarded
    clients = read_clients(path)
    assert caller_of(clients, issue_token(clients, "reader", ["read", "analyze"])).scopes == {"read"}


def test_scopes_are_checked(guarded):
    client, secrets, path = guarded
    header = {"Authorization": f"Bearer {issue_token(read_clients(path), 'analyst', ['analyze'])}"}
    answer = client.get("/v1/tracks", headers=header)
    assert (answer.status_code, answer.json()["detail"]) == (403, "the token lacks the scope 'read'")
    answer = client.post("/v1/analysis", headers=token_of(client, "reader", secrets["reader"]))
    assert answer.status_code == 403 and "analyze" in answer.headers["www-authenticate"]


def test_rates_are_limited_by_client(served, tmp_path):
    path, _ = clients_file(tmp_path, one="read", two="read")
    clients = read_clients(path)
    headers = {name: {"Authorization": f"Bearer {issue_token(clients, name, ['read'])}"} for name in ("one", "two")}
    with service(served, path, rate=0.01) as client:  # one request at once, then one in 100 s
        answers = [client.get("/v1/snapshot", headers=headers["one"]) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert 1 <= int(answers[1].headers["retry-after"]) <= 101
        assert client.get("/v1/snapshot", headers=headers["two"]).status_code == 200


def test_guessing_is_limited(served, tmp_path):
    path, secrets = clients_file(tmp_path, reader="read")
    with service(served, path) as client:
        codes = []
        for number in range(14):
            form = {"grant_type": "client_credentials", "client_id": "reader", "client_secret": f"guess {number}"}
            codes.append(client.post(TOKEN, data=form).status_code)
        assert codes[:10] == [401] * 10 and 429 in codes[10:]
        form["client_secret"] = secrets["reader"]
        answer = client.post(TOKEN, data=form)
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0


def test_guesses_at_the_same_time_are_limited_too():
    attempts, clients = Attempts(), Clients(b"", {})

    async def guess(number: int) -> bool | None:
        try:
            return await attempts.is_secret(clients, "10.0.0.1", "player", f"guess {number}")
        except Declined:
            return None

    async def guesses() -> list[bool | None]:
        return await asyncio.gather(*map(guess, range(40)))

    assert Counter(asyncio.run(guesses())) == {False: 10, None: 30}


def test_guessing_from_many_addresses_is_limited_by_client():
    attempts = Attempts()
    for number in range(30):
        attempts.check(f"10.0.0.{number}", "player")
        attempts.failed(f"10.0.0.{number}", "player")
    with pytest.raises(Declined) as raised:
        attempts.check("10.0.1.1", "player")
    assert raised.value.status == 429 and int(raised.value.headers["Retry-After"]) >= 1
    attempts.check("10.0.1.1", "another")
    attempts = Attempts()
    for number in range(10):  # names that do not exist, from one address
        attempts.failed("10.0.0.1", f"guess-{number}")
    with pytest.raises(Declined):
        attempts.check("10.0.0.1", "player")
    attempts.check("10.0.0.2", "player")


def test_sign_ins_and_tokens_count_the_same_failures(served, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.serving.access.granting.FAILURES_PER_ADDRESS", (1e-6, 10.0))
    path, secrets = clients_file(tmp_path, reader="read")
    with service(served, path) as client:
        page = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
        wrong = {"client_id": "reader", "client_secret": "guess"}
        for number in range(5):
            assert client.post("/v1/explorer/session", json=wrong, headers=page).status_code == 401, number
            assert client.post(TOKEN, data={**wrong, "grant_type": "client_credentials"}).status_code == 401
        right = {"client_id": "reader", "client_secret": secrets["reader"]}
        assert client.post(TOKEN, data={**right, "grant_type": "client_credentials"}).status_code == 429
        assert client.post("/v1/explorer/session", json=right, headers=page).status_code == 429


def test_a_bucket_fills_with_time():
    now = [0.0]
    rates = Rates(2, 4, lambda: now[0])
    assert [rates.wait_s("a") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert rates.wait_s("b") == 0
    now[0] = 1.0
    assert [rates.wait_s("a") for _ in range(3)] == [0, 0, 0.5]
    assert rates.blocked_s("a") == 0.5 and rates.blocked_s("b") == 0


def test_the_file_keeps_no_secret_and_is_private(tmp_path):
    path = str(tmp_path / "clients.json")
    secret = add_client(path, "player", ("read",))
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert secret not in Path(path).read_text()
    clients = read_clients(path)
    assert clients.has_secret("player", secret) and clients.scopes("player") == ("read",)
    assert not clients.has_secret("player", secret + "x") and not clients.has_secret("nobody", "")
    assert secret not in repr(clients)
    Path(path).chmod(0o604)
    with pytest.raises(UsageError, match="chmod 600"):
        read_clients(path)


def test_a_removed_client_is_out_at_once(tmp_path):
    path = str(tmp_path / "clients.json")
    add_client(path, "one", ("read",))
    file = ClientsFile(path)
    token = issue_token(file.current(), "one", ["read"])
    assert caller_of(file.current(), token).client == "one"
    add_client(path, "two", ("read",))
    assert caller_of(file.current(), token).client == "one"
    remove_client(path, "one")
    with pytest.raises(InvalidToken, match="removed"):
        caller_of(file.current(), token)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 2}', '{"version": 1, "key": "00", "clients": {}}'])
def test_another_file_is_no_file_of_clients(tmp_path, text):
    path = tmp_path / "clients.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="no file of clients"):
        read_clients(str(path))


def test_the_command_makes_clients_and_refuses_an_open_address(served, tmp_path, capsys):
    path = str(tmp_path / "clients.json")
    assert main(["serve", "--add-client", "player", "--scope", "analyze", "--clients", path, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scopes"] == ["analyze"] and read_clients(path).has_secret("player", document["client_secret"])
    for words, names in {
        ("serve", served, "--host", "0.0.0.0"): "--add-client",
        ("serve", "--add-client", "player", "--clients", path): "has this client already",
        ("serve", "--add-client", "a b", "--clients", path): "letters",
        ("serve", "--add-client", "a"): "--clients",
        ("serve", "--remove-client", "b", "--clients", path): "no such client",
        ("serve", served, "--clients", str(tmp_path / "none")): "--add-client",
        ("serve",): "TABLE",
    }.items():
        assert main(list(words)) == 2
        assert names in capsys.readouterr().err
    assert main(["serve", "--add-client", "x", "--clients", f"{served}/clients.json"]) == 1
    assert main(["serve", str(tmp_path / "none")]) == 1
    assert "no snapshot is published" in capsys.readouterr().err
