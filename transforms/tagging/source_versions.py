"""Source versions from listings of folders, for catalog rows that have none."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.formats.arrow import group_numbers
from transforms.formats.grouped_rows import GroupedRows, GroupWriter
from transforms.storage import SourceRoots
from transforms.storage.scratch import Scratch
from transforms.tagging.forecast import LISTED_BYTES
from transforms.tagging.outcomes.prior import MISSING

UNLISTED = "unlisted"
"""Source version of a file in a folder that the job has no permission to list, or that is outside of the roots."""

_LISTED_AT_ONCE = 4096


def place_of(uri: str, roots: SourceRoots) -> tuple[str, str]:
    """Folder and name of a source. Files are matched by name, because a folder can be written in several ways."""
    folder, slash, name = roots.url(uri).rpartition("/")
    # Keep the slash: `gs://bucket/a//` and `gs://bucket/a/` are different folders, and `/` is not the current folder.
    return folder + slash, name


def listed_versions(folder: str, roots: SourceRoots) -> Iterator[tuple[str, str]]:
    """Yields name and version of each file of a folder, see `listed_sources`."""
    return ((name, version) for name, version, _ in listed_sources(folder, roots))


def listed_sources(folder: str, roots: SourceRoots) -> Iterator[tuple[str, str, int | None]]:
    """Yields name, version and size of each file of a folder; nothing if the folder or its bucket does not exist.

    If the storage is unavailable, the job fails, because otherwise all its files would look changed.

    Raises:
      storage.PermissionDenied: the folder may not be listed: its rows are `UNLISTED`, and each is tried.
      storage.OutsideRoots: the folder is outside of the roots: the problem of its rows is reported where they are
        planned.
    """
    try:
        for file in storage.list_folder(folder, roots=roots.check()):
            yield file.url.rpartition("/")[2], file.version, file.size
    except storage.NotFound:
        return


def with_sizes(rows: pa.Table, sizes: Iterable[int | None]) -> pa.Table:
    """The rows with the column `LISTED_BYTES`."""
    return rows.append_column(LISTED_BYTES, pa.array(sizes, pa.int64()))


def with_versions(rows: pa.Table, versions: Iterable[str]) -> pa.Table:
    """The rows with these source versions."""
    index = rows.column_names.index("source_version")
    return rows.set_column(index, rows.schema.field("source_version"), pa.array(versions, pa.string()))


class VersionedOnDisk:
    """Gives rows their source versions in memory that depends on neither their number nor the size of a folder.

    Rows without a version and the listings of their folders are grouped by a hash of folder and name, then joined group
    by group. Each folder is listed once.

    Args:
      scratch: place for the rows and listings.
      roots: where relative uris start, and which folders may be listed.
      groups: number of groups, about one per 20,000 rows.
      sizes: whether the rows get the column `LISTED_BYTES`, for plans.
    """

    def __init__(self, scratch: Scratch, roots: SourceRoots, groups: int, *, sizes: bool = False) -> None:
        self._roots, self._groups, self._sizes = roots, groups, sizes
        self._rows = GroupedRows(scratch, "unversioned")
        self._folders = GroupedRows(scratch, "folders")
        self._listings = GroupedRows(scratch, "listings")

    def fill(self, batches: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yields all rows of the batches: first those with a version, then the others with theirs."""
        with GroupWriter(self._rows) as rows, GroupWriter(self._folders) as folders:
            for batch in batches:
                known = pc.is_valid(batch["source_version"])
                unknown = batch.filter(pc.invert(known))
                if unknown.num_rows:
                    self._put_off(unknown, rows, folders)
                if unknown.num_rows < batch.num_rows:
                    versioned = batch.filter(known)
                    yield with_sizes(versioned, [None] * versioned.num_rows) if self._sizes else versioned
        unlisted = self._list_all()
        for number in self._rows.numbers():
            yield from self._join(number, unlisted)
        for number in self._listings.numbers():
            self._listings.remove(number)

    def _put_off(self, batch: pa.Table, rows: GroupWriter, folders: GroupWriter) -> None:
        places = [place_of(uri, self._roots) for uri in batch["uri"].to_pylist()]
        rows.add(batch, self._numbers(places))
        distinct = sorted({folder for folder, _ in places})
        folders.add(pa.table({"folder": distinct}), group_numbers(distinct, self._groups))

    def _list_all(self) -> frozenset[str]:
        """Lists every folder into the groups; returns the folders that may not be listed."""
        unlisted = set()
        with GroupWriter(self._listings) as writer:
            for number in self._folders.numbers():
                found = {folder for piece in self._folders.pieces(number) for folder in piece["folder"].to_pylist()}
                self._folders.remove(number)
                for folder in sorted(found):
                    try:
                        self._list(folder, writer)
                    except (storage.PermissionDenied, storage.OutsideRoots):
                        unlisted.add(folder)
        return frozenset(unlisted)

    def _list(self, folder: str, writer: GroupWriter) -> None:
        entries = listed_sources(folder, self._roots)
        while some := list(itertools.islice(entries, _LISTED_AT_ONCE)):
            names, versions, sizes = zip(*some, strict=True)
            columns = {"folder": pa.repeat(folder, len(some)), "name": names, "version": versions}
            table = pa.table({**columns, "size": pa.array(sizes, pa.int64())})
            writer.add(table, self._numbers((folder, name) for name in names))

    def _numbers(self, places: Iterable[tuple[str, str]]) -> np.ndarray:
        return group_numbers(map("".join, places), self._groups)

    def _join(self, number: int, unlisted: frozenset[str]) -> Iterator[pa.Table]:
        wanted = {place_of(uri, self._roots) for piece in self._rows.pieces(number) for uri in piece["uri"].to_pylist()}
        listed = {
            (row["folder"], row["name"]): (row["version"], row["size"])
            for piece in self._listings.pieces(number)
            for row in piece.to_pylist()
            if (row["folder"], row["name"]) in wanted
        }
        for piece in self._rows.pieces(number):
            places = [place_of(uri, self._roots) for uri in piece["uri"].to_pylist()]
            found = [(UNLISTED, None) if place[0] in unlisted else listed.get(place, (MISSING, 0)) for place in places]
            versioned = with_versions(piece, [version for version, _ in found])
            yield with_sizes(versioned, [size for _, size in found]) if self._sizes else versioned
        self._rows.remove(number)
