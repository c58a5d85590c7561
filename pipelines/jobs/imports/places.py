"""Where the audio of a new catalog is: what is recorded on this machine, and which flags `tag` needs."""

import os
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipelines.inputs.source_roots import record_roots
from transforms.storage import SourceRoots

_MOST_FLAGS = 5


def record_folders(output: str, folders: Sequence[str]) -> list[str]:
    """Records the local folders that the user named for the catalog; returns those that could not be recorded.

    A folder beneath the catalog's own is read in any case.
    """
    check = SourceRoots(os.path.dirname(output)).check()  # noqa: PTH120 - the empty name is the working folder
    local = [folder for folder in dict.fromkeys(folders) if "://" not in folder]
    outside = [folder for folder in local if check.refusal(folder) is not None]
    return [] if record_roots(output, outside) else outside


def root_lines(output: str, uris: Sequence[str], folders: Sequence[str]) -> Iterator[str]:
    """What a user does so that `tag` reads all uris of a catalog.

    Args:
      output: URL of the catalog.
      uris: its uris.
      folders: those that the user named. Local ones are recorded for the catalog.
    """
    if "://" in output:
        if local := sum(uri.startswith("/") for uri in uris):
            yield f"{local} uris are local paths, not allowed in a catalog in a bucket: copy the files and --map them"
        uris = [uri for uri in uris if not uri.startswith("/")]
    elif unrecorded := record_folders(output, folders):
        yield f"give `tag` and `prepare` {_flags(unrecorded)}: it could not be recorded here"
    if needed := list(dict.fromkeys(_common(_outside(output, uris, folders)))):
        yield f"files are outside of the catalog's folder: give `tag` and `prepare` {_flags(needed)}"


def copy_line(folder: str) -> str:
    """What a user does with the folder of a catalog in a bucket."""
    return f"uris are relative to {folder}: copy the folder to storage and give the copy as --catalog-root"


def _flags(folders: Sequence[str]) -> str:
    more = f" and {len(folders) - _MOST_FLAGS} more" if len(folders) > _MOST_FLAGS else ""
    return " ".join(f"--allow-root {shlex.quote(folder)}" for folder in folders[:_MOST_FLAGS]) + more


def _outside(output: str, uris: Iterable[str], folders: Sequence[str]) -> Iterator[str]:
    """Folders and buckets of the uris that may not be read without a flag."""
    root = output.rpartition("/")[0] if "://" in output else os.path.dirname(output)  # noqa: PTH120 - see above
    roots = SourceRoots(root, tuple(folder for folder in folders if "://" not in folder))
    check = roots.check()
    for folder in sorted({os.path.dirname(uri) for uri in uris}):  # noqa: PTH120 - URLs, too
        url = roots.url(folder or ".")
        if check.refusal(url if "://" not in url else f"{url}/file") is not None:
            yield url


def _common(folders: Iterable[str]) -> Iterator[str]:
    """The buckets, and the folder above all local folders; below `/`, the first folder of each."""
    first: dict[str, list[str]] = defaultdict(list)
    for folder in folders:
        if folder.startswith("gs://"):
            first["/".join(folder.split("/")[:3])] = ["/".join(folder.split("/")[:3])]
        else:
            first["/".join(Path(folder).absolute().parts[:2])].append(os.path.abspath(folder))  # noqa: PTH100
    for group in first.values():
        yield group[0] if group[0].startswith("gs://") else os.path.commonpath(group)
