"""The files of the page, as they are in the package. Names come from a list of these files, so no path leads out."""

import functools
import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from pipelines.serving.problems import Declined

PAGE_PREFIX = "/explorer/"
OPEN_PAGES = frozenset({"/", "/favicon.ico"})
"""Paths of the page outside of its folder. The page has no data and no secret, so it needs no token."""

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

routes = APIRouter(include_in_schema=False)


class PageFile(NamedTuple):
    """A file of the page."""

    data: bytes
    media_type: str
    etag: str


@functools.cache
def page_files() -> dict[str, PageFile]:
    """Name below the folder of the page -> the file."""
    found: dict[str, PageFile] = {}

    def walk(folder: Traversable, prefix: str) -> None:
        for one in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if one.is_dir():
                walk(one, f"{prefix}{one.name}/")
            elif (kind := _TYPES.get(one.name.rpartition(".")[2])) is not None:
                data = one.read_bytes()
                found[prefix + one.name] = PageFile(data, kind, f'"{hashlib.sha256(data).hexdigest()[:24]}"')

    walk(files("pipelines.serving.explorer").joinpath("page"), "")
    return found


def _answer(request: Request, name: str) -> Response:
    found = page_files().get(name)
    if found is None:
        raise Declined("not-found", "the page has no such file: open /")
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", "ETag": found.etag}
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    return Response(found.data, headers=headers, media_type=found.media_type)


@routes.get("/")
async def get_page(request: Request) -> Response:
    """The page."""
    return _answer(request, "index.html")


@routes.get("/favicon.ico")
async def get_icon(request: Request) -> Response:
    """Its icon, by the name that browsers try by themselves."""
    return _answer(request, "icon.svg")


@routes.get(PAGE_PREFIX + "{name:path}")
async def get_page_file(request: Request, name: str) -> Response:
    """A file of the page."""
    return _answer(request, name)
