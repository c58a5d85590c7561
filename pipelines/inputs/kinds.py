"""What a folder holds: a bundle, a dataset or a table. No command writes into a folder of another kind."""

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from models.bundles.trunk_bundle import BUNDLE_FILE
from models.bundles.writing import UNFINISHED
from pipelines.terminal.errors import CommandFailed
from transforms import storage
from transforms.dataset.manifest import DATASET_FILE

KIND_FILES = {BUNDLE_FILE: "bundle", UNFINISHED: "bundle", DATASET_FILE: "dataset", "table.json": "table"}
"""File at the root of a folder -> what the folder holds."""


def kind_of(url: str) -> str | None:
    """`bundle`, `dataset` or `table`; None if the folder holds none of them or does not exist."""
    return next((kind for name, kind in KIND_FILES.items() if storage.exists(storage.join(url, name))), None)


def require_kind(url: str) -> str:
    """What a folder holds.

    Raises:
      CommandFailed: it is neither a bundle, a dataset nor a table.
    """
    if (kind := kind_of(url)) is None:
        if "://" not in url and not Path(url).exists():
            raise CommandFailed(f"{url}: there is no such folder: name that of a table, a bundle or a dataset")
        raise CommandFailed(
            f"{url} is neither a table, a bundle nor a dataset: it has no table.json, {BUNDLE_FILE} or {DATASET_FILE}"
        )
    return kind


def check_writes(flag: str, url: str | None, kind: str | None = None) -> None:
    """Refuses an output in a folder of another kind, at any depth.

    Args:
      flag: the flag or argument, for the message.
      url: its value; None: nothing is written.
      kind: what the command writes there, of which the folder itself may hold an older one; None for other files.

    Raises:
      CommandFailed: the folder holds something else, or is inside of a bundle, dataset or table.
    """
    if url is None:
        return
    if (found := kind_of(url)) not in (None, kind):
        raise CommandFailed(f"{flag} {url} holds a {found}: choose another folder for {_words(kind)}")
    for above in _folders_above(url):
        with contextlib.suppress(storage.PermissionDenied):  # the right may end at a folder
            if (found := kind_of(above)) is not None:
                raise CommandFailed(f"{flag} {url} is inside of the {found} {above}: choose a place outside of it")


def _words(kind: str | None) -> str:
    return "these files" if kind is None else f"a {kind}"


def _folders_above(url: str) -> Iterator[str]:
    """The folders that contain a file or folder, the nearest first."""
    scheme, separator, path = url.rstrip("/").rpartition("://")
    if not separator:
        yield from (str(folder) for folder in Path(path).absolute().parents)
        return
    for folder in PurePosixPath(path).parents:
        if folder.name:
            yield f"{scheme}://{folder}"
