"""What a place holds that was named as a bundle and is none."""

import contextlib
import difflib
from collections.abc import Iterator

from transforms import storage
from transforms.storage.errors import StorageError

_OTHERS = {"table.json": "a table", "dataset.json": "a dataset"}
_MOST_FOLDERS, _MOST_NAMED = 200, 5
_SOURCES = "the output of train, refit or import-model"


def bundles_in(url: str, marker: str) -> list[str]:
    """Names of bundles directly in a folder, among its first 200 folders; none if it cannot be listed.

    Args:
      url: the folder.
      marker: the file that every bundle has.
    """
    return list(_bundles(url, marker))


def _bundles(url: str, marker: str) -> Iterator[str]:
    with contextlib.suppress(StorageError):
        for _, name in zip(range(_MOST_FOLDERS), storage.list_folders(url), strict=False):
            if storage.exists(storage.join(url, name, marker)):
                yield name


def no_bundle_text(url: str, marker: str) -> str:
    """The error message for a place that is no bundle: what it is, and what to give.

    Args:
      url: the place.
      marker: the file that every bundle has.
    """
    if storage.exists(url):
        return f"{url} is a file, not a bundle: give the folder of a bundle, {_SOURCES}"
    for name, kind in _OTHERS.items():
        if storage.exists(storage.join(url, name)):
            return f"{url} is {kind}, not a bundle: give {_SOURCES}"
    if inside := bundles_in(url, marker):
        return f"{url} is a folder of bundles: give one of them: {some_of_them(url, inside)}"
    if any(True for _ in storage.list_files(url)):
        return f"{url} holds no {marker}: not a bundle, or its training was interrupted"
    above, _, name = url.rstrip("/").rpartition("/")
    siblings = bundles_in(above or ".", marker)
    if close := difflib.get_close_matches(name, siblings, n=1):
        return f"{url}: no such folder: did you mean {some_of_them(above, close)}?"
    if siblings:
        return f"{url}: no such folder: the bundles there are {some_of_them(above, siblings)}"
    return f"{url}: no such folder, or it is empty: give a bundle, {_SOURCES}"


def some_of_them(folder: str, names: list[str]) -> str:
    """The first five of the names in a folder, as places that can be given."""
    places = [storage.join(folder, name) if folder else name for name in names[:_MOST_NAMED]]
    return ", ".join(places) + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")
