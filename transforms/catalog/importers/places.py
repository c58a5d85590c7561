"""Paths as other programs and other machines write them, as paths of this machine.

Libraries contain `file://` URLs and paths of Windows, and may have been made where the music is in another folder.
"""

import dataclasses
import ntpath
import posixpath
import re
import urllib.parse
from collections.abc import Iterator, Sequence

from transforms import storage
from transforms.catalog.problems import Problem
from transforms.taxonomy.tag_ids import shown

_DRIVE = re.compile(r"/*([A-Za-z]:)(?=[\\/]|$)")
_SHARE = re.compile(r"(?:\\\\|//)(?=[^\\/])")
_PLAIN = re.compile(r"(?![A-Za-z]:|file:|//)[^\\]*\Z", re.IGNORECASE)
"""A path that is the same here."""
_LOCAL_HOSTS = ("", "localhost")
_MOST_PLACES = 1000
"""Most folders that are kept to find what Windows paths have in common."""


class UnmappedPath(ValueError):
    """A path of Windows that no prefix maps to this machine.

    Attributes:
      path: the path, with backslashes.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{shown(path)} is a path of Windows: map it with --map")
        self.path = path


@dataclasses.dataclass(frozen=True, kw_only=True)
class PathMap:
    r"""Folders of other machines and where they are here.

    Attributes:
      prefixes: (folder elsewhere, folder here), such as (`D:\Music`, `/mnt/music`). The longest one that fits applies.
    """

    prefixes: tuple[tuple[str, str], ...] = ()

    def place(self, text: str, base: str = "") -> str:
        """The path, or `gs://` URL, of a path, `file://` URL or other URL as a library writes it.

        Args:
          text: the path.
          base: what relative paths start from.

        Raises:
          UnmappedPath: it is an absolute path of Windows.
          ValueError: it is a wrong `file://` URL, or leaves the folder that a prefix maps.
        """
        if not self.prefixes and _PLAIN.match(text):  # nearly all paths of tables
            return storage.join(base, text)
        path = _with_slashes(_decoded(text) if text[:5].lower() == "file:" else text)
        fitting = [(source, here, rest) for source, here in self.prefixes if (rest := _rest(path, source)) is not None]
        if fitting:
            _, here, rest = max(fitting, key=lambda entry: len(entry[0]))
            return storage.join(here, _within(rest, text))
        if _is_windows(path) or (path.startswith("/") and text.startswith("\\")):  # from the root of some drive
            raise UnmappedPath(path.replace("/", "\\"))
        return storage.join(base, path)


def parse_maps(texts: Sequence[str]) -> PathMap:
    r"""Reads texts such as `D:\Music=/mnt/music`.

    Raises:
      ValueError: a text has no `=`, or nothing on one side of it, or its target is no absolute path.
    """
    prefixes = []
    for text in texts:
        source, _, here = text.partition("=")
        if not source.strip() or not here.strip():
            raise ValueError(rf"--map={text}: write FOLDER=FOLDER, for example 'D:\Music=/mnt/music'")
        if _is_windows(here) or ("://" in here and not here.startswith("gs://")):
            raise ValueError(f"--map={text}: {here} is no folder of this machine and no gs:// prefix")
        prefixes.append((_with_slashes(_decoded(source) if source[:5].lower() == "file:" else source), here))
    return PathMap(prefixes=tuple(prefixes))


def _decoded(url: str) -> str:
    """The path of a `file:` URL."""
    rest = url[5:]
    host, path = "", rest
    if rest.startswith("//"):
        host, slash, name = rest[2:].partition("/")
        path = slash + name
        if _DRIVE.match(host):  # file://C:/Music, with a slash too few
            host, path = "", rest[2:]
    try:
        path = urllib.parse.unquote(path, errors="strict")
    except UnicodeDecodeError as e:
        raise ValueError(f"{shown(url)}: the path is not UTF-8") from e
    if "\x00" in path or not path.strip("/"):
        raise ValueError(f"{shown(url)} names no file")
    return path if host.lower() in _LOCAL_HOSTS else f"//{host}{path}"


def _with_slashes(path: str) -> str:
    r"""A path of Windows with slashes, as `D:/Music` or `//server/share`; any other path as it is.

    A relative path is one of Windows if it has backslashes and no slash.
    """
    if drive := _DRIVE.match(path):
        return f"{drive[1]}{path[drive.end() :]}".replace("\\", "/")
    if path.startswith("\\\\") or ("\\" in path and "/" not in path):
        return path.replace("\\", "/")
    return path


def _is_windows(path: str) -> bool:
    """Whether this is an absolute path of Windows, with slashes or backslashes."""
    return _DRIVE.match(path) is not None or _SHARE.match(path) is not None


def _rest(path: str, source: str) -> str | None:
    """The part of a path below a folder; None if it is not below. Windows does not distinguish case."""
    source = source.rstrip("/") + "/"
    head = path[: len(source)]
    same = head.casefold() == source.casefold() if _is_windows(source) else head == source
    return path[len(source) :] if same else None


def _within(rest: str, text: str) -> str:
    """The path below a mapped folder without `.` and `..`."""
    found = posixpath.normpath(rest.lstrip("/"))
    if found in (".", "..") or found.startswith("../"):
        raise ValueError(f"{shown(text)} names no file below the folder that --map replaces")
    return found


@dataclasses.dataclass(kw_only=True)
class UnmappedPaths:
    """Counts paths of Windows that no prefix maps, and finds the folder that they have in common.

    Attributes:
      count: number of the paths.
      example: the first of them.
      first: where the first of them is, such as `t.csv, row 7`.
    """

    count: int = 0
    example: str = ""
    first: str = ""
    _folders: dict[str, set[str]] = dataclasses.field(default_factory=dict)

    def add(self, path: str, place: Problem | None = None) -> None:
        """Counts a path. `place` is its file and row."""
        self.count += 1
        if not self.example and place is not None:
            self.first = str(place).removesuffix(": ")
        self.example = self.example or path
        drive, _ = ntpath.splitdrive(path)
        folders = self._folders.setdefault(drive.casefold(), set()) if len(self._folders) < _MOST_PLACES else set()
        if len(folders) < _MOST_PLACES:
            folders.add(ntpath.dirname(path))

    def flags(self) -> Iterator[str]:
        """The `--map` that each drive needs, for at most five drives."""
        for folders in list(self._folders.values())[:5]:
            yield f"--map '{ntpath.commonpath(sorted(folders))}=FOLDER'"

    def message(self) -> str:
        """What the paths are and what a user does about them."""
        rows = "1 row has a path" if self.count == 1 else f"{self.count} rows have paths"
        place = f" ({self.first})" if self.first else ""
        return (
            f"{rows} of Windows, for example {shown(self.example)}{place}: give "
            f"{' '.join(self.flags())} with the folder that has the same files here"
        )
