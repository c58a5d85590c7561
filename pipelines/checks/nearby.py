"""Finds the folder that relative uris probably start from, near the one in which their files are not.

Only the allowed roots, and the catalog's own folder, are searched.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipelines.checks.in_time import answer_in_time
from transforms import storage
from transforms.storage import SourceRoots

TRIED = 10
"""Uris that every candidate is tried with."""

MOST_LISTED, SEARCH_S, _LEVELS = 20_000, 5.0, 4
"""Files that are listed in each root, longest time of the search, and folders above a root that are tried."""


class Nearby(NamedTuple):
    """Where missing files were found.

    Attributes:
      root: the folder that uris start from; None if they have a beginning that no folder explains.
      found: number of the tried uris that are there.
      tried: number of uris that were tried.
      base: the folder in which they are.
      dropped: beginning of the uris that has to be left out in this root; "" if there is none.
    """

    root: str | None
    found: int
    tried: int
    base: str
    dropped: str


def find_root(uris: Sequence[str], roots: SourceRoots, default_root: str) -> Nearby | None:
    """The likely place of missing files; None if it is not found in time.

    Args:
      uris: uris of a catalog whose files are missing.
      roots: where they start from, and what may be read.
      default_root: the catalog's folder.
    """
    search = _Search(uris[:TRIED], roots, default_root)
    try:
        return answer_in_time(search.best, SEARCH_S)
    except (TimeoutError, OSError):  # the search is only for the advice
        return None


class _Search:
    """Tries candidates with a few uris. Each name is looked at only if the roots permit it."""

    def __init__(self, uris: Sequence[str], roots: SourceRoots, default_root: str) -> None:
        self._uris = list(dict.fromkeys(uris))
        self._relative = [uri for uri in self._uris if not storage.is_absolute(uri)]
        self._checks = (roots.check(), SourceRoots(default_root).check())
        self._bases = list(dict.fromkeys((roots.catalog_root, default_root, *roots.allowed)))

    def best(self) -> Nearby | None:
        tried = len(self._relative)
        for root in dict.fromkeys(itertools.chain(self._bases, self._above())) if tried else ():
            if found := sum(self._exists(storage.join(root, uri)) for uri in self._relative):
                return Nearby(root, found, tried, root, "")
        return self._without_beginning() or self._listed()

    def _above(self) -> Iterator[str]:
        """The folders above each root."""
        for base in self._bases:
            for _ in range(_LEVELS):
                base = base.removesuffix("/").rpartition("/")[0]
                if not base or base == "gs:/":
                    break
                yield base

    def _without_beginning(self) -> Nearby | None:
        """Finds files of the same name but for the first parts of their uris."""
        for base, depth in itertools.product(self._bases, range(1, _LEVELS + 1)):
            ends = [(uri, *_parted(uri, depth)) for uri in self._uris]
            hits = [(uri, begin) for uri, begin, end in ends if end and self._exists(storage.join(base, end))]
            if hits:
                begin = hits[0][1]
                folder = base.removesuffix("/")
                explained = not storage.is_absolute(hits[0][0]) and folder.endswith(f"/{begin}")
                root = folder.removesuffix(f"/{begin}") if explained else None
                return Nearby(root or None, len(hits), len(self._uris), base, begin)
        return None

    def _listed(self) -> Nearby | None:
        """Finds a folder beneath the roots by the names of its files."""
        ends = {f"/{uri}": uri for uri in self._relative}
        for base in self._bases if ends else ():
            for file in itertools.islice(storage.list_files(base), MOST_LISTED):
                end = next((end for end in ends if file.url.endswith(end)), None)
                if end is not None and self._exists(file.url):
                    root = file.url.removesuffix(end)
                    found = sum(self._exists(storage.join(root, uri)) for uri in self._relative)
                    return Nearby(root, found, len(self._relative), root, "")
        return None

    def _exists(self, url: str) -> bool:
        return any(check.refusal(url) is None for check in self._checks) and storage.exists(url)


def _parted(uri: str, depth: int) -> tuple[str, str]:
    """A uri's first parts and the rest; the rest is "" if it has no more parts.

    >>> _parted("old/mount/a.mp3", 1), _parted("/old/mount/a.mp3", 2), _parted("a.mp3", 1)
    (('old', 'mount/a.mp3'), ('/old/mount', 'a.mp3'), ('', ''))
    """
    scheme, mark, path = uri.rpartition("://")
    slash = "/" if not mark and path.startswith("/") else ""
    parts = path.removeprefix(slash).split("/")
    if len(parts) <= depth:
        return "", ""
    return f"{scheme}{mark}{slash}{'/'.join(parts[:depth])}", "/".join(parts[depth:])
