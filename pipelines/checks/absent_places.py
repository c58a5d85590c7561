"""What `doctor` says about a place where nothing is, or only folders are: a new table, or a mistake."""

import contextlib
import difflib

from models.bundles.absent import bundles_in, some_of_them
from models.bundles.trunk_bundle import BUNDLE_FILE
from pipelines.checks.finding import Finding
from transforms import storage
from transforms.catalog.files import CATALOG_SUFFIXES

_NAMES = "name a catalog, a bundle, a dataset, a table or a new folder"
_FILES = (*CATALOG_SUFFIXES, ".json", ".yaml", ".yml", ".txt", ".xml", ".xlsx", ".gz", ".zip")
_MOST_NAMES = 1_000
"""Most names of the folder above that are compared with the name of the place."""


def absent_finding(url: str) -> Finding:
    """The finding about a place that is none of the known kinds, and that is no catalog."""
    if inside := bundles_in(url, BUNDLE_FILE):
        return _failed(url, "a folder of bundles", f"name one of them: {some_of_them(url, inside)}")
    if any(True for _ in storage.list_files(url)):
        return _failed(url, "has files of another kind", _NAMES)
    above, _, name = url.rstrip("/").rpartition("/")
    folder = above or ("/" if url.startswith("/") else ".")
    close = difflib.get_close_matches(name, _names(folder), n=1)
    meant = f"did you mean {some_of_them(above, close)}?" if close else ""
    if name.lower().endswith(_FILES):
        return _failed(url, "no such file", meant or "correct the name")
    if bundles := bundles_in(folder, BUNDLE_FILE):
        others = f"{folder} holds bundles: {some_of_them(above, bundles)}"
        return _failed(url, "no such folder", meant or f"{others}: {_NAMES}")
    if meant:
        text = "nothing is here; a new table could begin here"
        return Finding(name=url, state="warning", text=text, remedy=meant)
    return Finding(name=url, state="ok", text="nothing is here; a new table could begin here")


def _failed(url: str, text: str, remedy: str) -> Finding:
    return Finding(name=url, state="failed", text=text, remedy=remedy)


def _names(folder: str) -> list[str]:
    """Names of files and folders in a folder that have no dot in front."""
    found: list[str] = []
    with contextlib.suppress(storage.StorageError):
        files = (info.url.rpartition("/")[2] for info in storage.list_folder(folder))
        for names in (storage.list_folders(folder), files):
            found += [name for _, name in zip(range(_MOST_NAMES), names, strict=False) if not name.startswith(".")]
    return found
