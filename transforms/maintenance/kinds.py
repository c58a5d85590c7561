"""Recognises the files of a table by their paths. What is not recognised belongs to somebody else."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from transforms import storage
from transforms.storage import FileInfo
from transforms.table.versions import TableError

RETIRED = "retired"
"""Folder of the records of snapshots that are no longer listed, and whose files are removed later."""

FILE_KINDS = {
    "table": r"table\.json",
    "snapshots": r"snapshots/(\d{10,})\.json",
    "retired": rf"{RETIRED}/(\d{{10,}})\.json",
    "data": r"data/run=[^/]+/(?:bucket=(\d{4,})/)?([a-z_]+)-[0-9a-f]{16}\.parquet",
    "parts": r"work/bucket=(\d{4,})/[0-9a-f]{24}\.parquet",
    "choices": r"work/choice-[0-9a-f]{16}(?:\.json|/[^/]+/bucket=\d{4,}\.parquet)",
    "samples": r"work/sample-[0-9a-f]{16}/.+",
    "neighbour_work": r"work/neighbours-[0-9a-f]{16}/.+",
    "index": r"index/run=([^/]+)/(?:index\.json|\d+-(?:model\.npz|\d{6,}\.(?:arrow|vectors|candidates)))",
    "runs": r"runs/([^/]+)\.json",
    "reports": r"reports/([^/]+)/(?:report\.html|run_summary\.json)",
    "launches": r"launches/launch-(\d{10,})-\d{6,}\.(?:begun|json)",
    "lists": r"manifests/(\d{10,})/[a-z_]+\.txt",
    "hints": r"current\.(?:json|sql)|README\.md",
    "iceberg": r"iceberg/[a-z_]+/(?:deletes/[0-9a-f]{16}\.parquet|metadata/(?:v\d+\.metadata\.json|version-hint\.text|"
    r"snap-\d+-[0-9a-f]{16}\.avro|[0-9a-f]{16}-m\d\.avro))",
    "leases": r"leases/[a-z]+-[0-9a-f]{16}\.json",
    "log": r"log/[a-z]+-\d{6,}-\d{6,}-[a-z]+\.json",
}
"""Kind -> form of the paths of its files, relative to the root of the table."""

FOLDERS = {
    "snapshots": "snapshots",
    "retired": RETIRED,
    "data": "data",
    "parts": "work",
    "choices": "work",
    "samples": "work",
    "neighbour_work": "work",
    "index": "index",
    "runs": "runs",
    "reports": "reports",
    "launches": "launches",
    "lists": "manifests",
    "iceberg": "iceberg",
}
"""Kind -> folder of its files."""

_FORMS = {kind: re.compile(form) for kind, form in FILE_KINDS.items()}


class KnownFile(NamedTuple):
    """A recognised file.

    Attributes:
      path: its path relative to the root of the table.
      match: the match of its path with the form of its kind.
    """

    path: str
    info: FileInfo
    match: re.Match[str]

    def is_older(self, moment: float) -> bool:
        """Whether it was written before a moment, in seconds since 1970; a file without a time was not."""
        return self.info.modified is not None and self.info.modified < moment


def require_no_links(root: str) -> None:
    """Checks that all folders of a table are in it.

    Raises:
      TableError: a folder is a link. What is behind it may belong to another table, and no listing enters it.
    """
    own = {*FOLDERS.values(), "leases", "log"}
    for path in storage.linked_folders(root):
        if path.split("/")[0] in own:
            raise TableError(
                f"{storage.join(root, path)} is a link to a folder, which may belong to others: nothing was removed; "
                "move the folder itself to this place, or remove the link"
            )


def kind_of_path(path: str) -> str | None:
    """The kind of a file; None if it is not recognised.

    >>> kind_of_path("work/bucket=0007/0123456789abcdef01234567.parquet"), kind_of_path("work/notes.txt")
    ('parts', None)
    """
    return next((kind for kind, form in _FORMS.items() if form.fullmatch(path)), None)


def known_files(root: str, kind: str, folder: str | None = None) -> Iterator[KnownFile]:
    """The recognised files of a kind, in the order of a listing; `folder` limits it to a part of the kind's folder."""
    start = root.removesuffix("/") + "/"
    for info in storage.list_files(storage.join(root, folder or FOLDERS[kind])):
        path = info.url.removeprefix(start)
        if match := _FORMS[kind].fullmatch(path):
            yield KnownFile(path, info, match)
