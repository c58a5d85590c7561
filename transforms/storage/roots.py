"""Roots: the folders and `gs://` prefixes that the audio of a catalog may be in.

A catalog comes from outside. Without roots, its uris and the links in its folders could name any file of the machine,
whose size, hash and first bytes would then be published.
"""

import dataclasses
import os
import posixpath
import shlex
from pathlib import Path
from typing import NamedTuple

from transforms.storage.beneath import Beneath
from transforms.storage.errors import NotFound, OutsideRoots
from transforms.storage.names import join
from transforms.storage.patience import waiting

_BUCKET = "gs://"


@dataclasses.dataclass(frozen=True)
class SourceRoots:
    """Where relative uris start, and what else is read.

    Attributes:
      catalog_root: folder or `gs://` prefix that relative uris start from. Everything beneath the folder may be read;
        of a `gs://` prefix, everything in its bucket.
      allowed: further folders and prefixes that may be read.
    """

    catalog_root: str
    allowed: tuple[str, ...] = ()

    def url(self, uri: str) -> str:
        """The complete URL of a uri of the catalog."""
        return join(self.catalog_root, uri)

    def check(self) -> "RootsCheck":
        """The check of urls against these roots, whose links are resolved now."""
        base = self.catalog_root
        own = f"{_BUCKET}{_bucket(base)}/" if base.startswith(_BUCKET) else base
        return RootsCheck(own, *self.allowed)


class Refusal(NamedTuple):
    """Why a URL may not be read.

    Attributes:
      place: where it leads after links are resolved.
      remedy: what a user who wants to read it does.
    """

    place: str
    remedy: str


class RootsCheck:
    """Compares URLs with roots. Links are resolved by looking at their targets' names; nothing is opened."""

    def __init__(self, *roots: str) -> None:
        self._prefixes = tuple(root.removesuffix("/") + "/" for root in roots if root.startswith(_BUCKET))
        self._folders = tuple(_real(root) for root in roots if not root.startswith(_BUCKET))

    def refusal(self, url: str) -> Refusal | None:
        """Why the URL may not be read; None if it may."""
        if "://" in url:
            return self._remote(url)
        try:
            place = _real(url)
        except ValueError as error:
            return Refusal(url, f"no file can have this name ({error})")
        except OSError as error:
            return Refusal(url, f"its links cannot be resolved ({error.strerror})")
        return None if self._beneath(place) else Refusal(place, f"give {_flag(str(Path(place).parent))}")

    def beneath(self, url: str) -> Beneath | None:
        """The resolved place of a URL; None if it is remote.

        Raises:
          OutsideRoots: it is beneath none of the roots.
          NotFound: no file can have this name.
        """
        if "://" in url:
            found, refused = None, self._remote(url) is not None
        else:
            found = self._beneath(_resolved(url))
            refused = found is None
        if refused:
            raise OutsideRoots(f"{url}: outside of the allowed roots")
        # `file.wav/` and `file.wav/.` name a folder, although they resolve to the file.
        return found._replace(path=f"{found.path}/.") if found and url.endswith(("/", "/.")) else found

    def _beneath(self, place: str) -> Beneath | None:
        for folder in self._folders:
            if place == folder:
                return Beneath(folder, ".")
            if place.startswith(above := folder.removesuffix("/") + "/"):
                return Beneath(folder, place[len(above) :])
        return None

    def _remote(self, url: str) -> Refusal | None:
        bucket, name = _bucket(url), url.removeprefix(_BUCKET).partition("/")[2]
        if not url.startswith(_BUCKET) or not bucket:
            return Refusal(url, "give a local path or gs://bucket/object")
        # To Cloud Storage such a name is a name, but other programs between here and there may take it for a path.
        path = name if {".", ".."}.isdisjoint(name.split("/")) else posixpath.normpath(name)
        if path in (".", "..") or path.startswith("../"):
            return Refusal(url, "name the object without `.` and `..`")
        place = f"{_BUCKET}{bucket}/{path}"
        inside = any(url.startswith(prefix) and place.startswith(prefix) for prefix in self._prefixes)
        return None if inside else Refusal(place, f"give {_flag(_BUCKET + bucket)}")


def _resolved(url: str) -> str:
    try:
        return _real(url)
    except ValueError as error:
        raise NotFound(f"{url!r}: no file can have this name ({error})") from error
    except OSError as error:
        raise OutsideRoots(f"{url}: its links cannot be resolved ({error.strerror})") from error


def _real(path: str) -> str:
    with waiting(path):
        return os.path.realpath(path)


def _bucket(url: str) -> str:
    return url.removeprefix(_BUCKET).partition("/")[0]


def _flag(root: str) -> str:
    return f"--allow-root {shlex.quote(root)}"
