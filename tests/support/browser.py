"""Chromium without a window, and a service that it can reach. Tests skip if Chromium or Playwright is not installed."""

import contextlib
import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from pipelines.serving.access.clients import ClientsFile
from pipelines.serving.access.connections import ConnectionLimits, ServerConfig, listening_socket
from pipelines.serving.application import make_application, make_service
from pipelines.serving.settings import ServiceSettings
from tests.support.waiting import PATIENCE_S, wait_until

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextlib.contextmanager
def chromium() -> Iterator:
    """A browser of Playwright; the test is skipped if there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def listening_service(
    table: str, clients: str | None = None, limits: ConnectionLimits | None = None, **settings
) -> Iterator[str]:
    """The URL of a service on a free port."""
    made = make_service(ServiceSettings(table=table, **settings), None if clients is None else ClientsFile(clients))
    server = uvicorn.Server(ServerConfig(make_application(made), limits))
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until(lambda: server.started or not thread.is_alive(), "the service listens")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """The URL of a plain web server over a folder."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def opened_page(browser, url: str, expected: tuple[str, ...] = (), **options) -> Iterator:
    """A page in a new context. Fails if the page logged an error other than `expected`, or asked another host."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True, **options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    faults, hosts = [], set()
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request", lambda request: hosts.add(request.url.split("/#")[0].split("/")[2]) if "://" in request.url else None
    )
    page.goto(url)
    page.wait_for_selector("main h1, main h2")
    try:
        yield page
    finally:
        context.close()
    assert [fault for fault in faults if not any(word in fault for word in expected)] == []
    assert hosts <= {url.split("/")[2]}
