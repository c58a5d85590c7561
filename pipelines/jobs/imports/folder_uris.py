"""How a catalog names the files of a local folder."""

import os
from pathlib import Path

from pipelines.terminal.errors import UsageError


def local_folder(folder: str) -> Path:
    """The folder; raises UsageError if there is none."""
    if "://" in folder or not os.path.isdir(folder):  # noqa: PTH112 - pathlib raises for names that are too long
        raise UsageError(f"{folder}: no such local folder")
    return Path(folder)


def uri_root(folder: Path, output: str) -> Path | None:
    """The folder that uris are relative to: the catalog's folder if it contains the audio, else `/`.

    None stands for the audio's own folder, if the catalog is written to a bucket.
    """
    if "://" in output:
        return None
    above = Path(output).absolute().parent
    # A relative path from another folder would need `..`, which catalogs do not allow; `/` makes paths absolute.
    return above if Path(os.path.normpath(folder.absolute())).is_relative_to(os.path.normpath(above)) else Path("/")
