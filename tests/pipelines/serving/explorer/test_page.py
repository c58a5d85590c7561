"""The files of the page: which are served, as what, under which policy."""

import posixpath
import re
from pathlib import Path

import pytest

import pipelines.serving.explorer
from pipelines.serving.explorer.files import page_files
from tests.support.service import clients_file, service

FOLDER = Path(pipelines.serving.explorer.__file__).parent / "page"
KINDS = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html"}


def test_every_file_of_the_folder_is_served_with_its_type_and_the_policy(client):
    names = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    assert set(page_files()) == names != set()
    for name in names:
        answer = client.get(f"/explorer/{name}")
        assert answer.content == (FOLDER / name).read_bytes()
        assert answer.headers["content-type"].split(";")[0] == KINDS[name.rpartition(".")[2]]
        assert_policy(answer)
    assert client.get("/").content == (FOLDER / "index.html").read_bytes()
    assert_policy(client.get("/"))


def assert_policy(answer):
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
    assert {policy[kind] for kind in ("script-src", "style-src", "connect-src", "media-src", "img-src")} == {"'self'"}
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_asks_nothing_of_other_places():
    for name, file in page_files().items():
        text = file.data.decode()
        found = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert found == set(), name
        assert "innerHTML" not in text and "eval(" not in text and "insertAdjacentHTML" not in text, name
    html = page_files()["index.html"].data.decode()
    assert re.findall(r"<style|\sstyle=|<script>|\son\w+=", html) == []
    for target in re.findall(r'(?:src|href)="(explorer/[^"]+)"', html):
        assert target.removeprefix("explorer/") in page_files()
    for name, file in page_files().items():
        for target in re.findall(r'from "(\.[^"]+)"', file.data.decode()):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) in page_files(), name


@pytest.mark.parametrize(
    "path",
    [
        *("../__init__.py", "..%2f__init__.py", "%2e%2e/files.py", "/etc/passwd", "%2fetc%2fpasswd", "nothing.js", ""),
        *("page/../../files.py", "..\\files.py", "index.html%00", "./index.html%2f", "__pycache__/x.pyc"),
    ],
)
def test_nothing_else_is_served(client, path):
    answer = client.get(f"/explorer/{path}")
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


def test_a_browser_that_has_a_file_gets_304(client):
    answer = client.get("/explorer/app.js")
    again = client.get("/explorer/app.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_page_is_open_and_its_data_is_not(served, tmp_path):
    path, _ = clients_file(tmp_path, reader="read")
    with service(served, path) as client:
        for url in ("/", "/explorer/app.js", "/favicon.ico", "/v1/explorer/session"):
            assert client.get(url).status_code == 200
        for url in ("/v1/explorer", "/v1/explorer/tracks", "/v1/explorer/audio?id=track-0001", "/v1/explorer/map"):
            assert client.get(url).status_code == 401
