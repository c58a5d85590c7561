"""A service in this process: requests reach the application without a network."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from starlette.testclient import TestClient

from pipelines.serving.access.clients import ClientsFile, add_client
from pipelines.serving.application import make_application, make_service
from pipelines.serving.settings import ServiceSettings
from tests.support.published import fake_bundle, publish_table

TRACKS = 24


def served_table(folder: Path, tracks: int = TRACKS) -> str:
    """A table with one snapshot, and the bundle `bundle` beside it."""
    publish_table(folder / "table", fake_bundle(folder / "bundle"), tracks)
    return str(folder / "table")


@contextlib.contextmanager
def service(table: str, clients: str | None = None, **settings) -> Iterator[TestClient]:
    """A client of a service over a table; each request looks for a newer snapshot."""
    made = make_service(
        ServiceSettings(table=table, **{"refresh_s": 0.0, **settings}),
        None if clients is None else ClientsFile(clients),
    )
    with TestClient(make_application(made), base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def every_page(client: TestClient, path: str, **parameters) -> list[dict]:
    """The rows of all pages."""
    rows, cursor = [], {}
    while True:
        page = client.get(path, params={**parameters, **cursor}).json()
        rows += page["data"]
        if page["next"] is None:
            return rows
        cursor = {"cursor": page["next"]}


def clients_file(folder: Path, **scopes: str) -> tuple[str, dict[str, str]]:
    """A file of clients, name -> scopes joined by spaces; returns its path and the secrets."""
    path = str(folder / "clients.json")
    return path, {name: add_client(path, name, tuple(words.split())) for name, words in scopes.items()}


def token_of(client: TestClient, name: str, secret: str) -> dict[str, str]:
    """The header of a client with a new token."""
    form = {"grant_type": "client_credentials", "client_id": name, "client_secret": secret}
    answer = client.post("/v1/oauth/token", data=form)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
