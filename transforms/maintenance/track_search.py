"""Finds tracks in all files of a table, also in those that no snapshot lists, by reading them."""

import concurrent.futures
import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.discovery.index.groups import track_ids_of
from transforms.formats.hashing import bucket_of
from transforms.formats.parquet import ParquetError, read_parquet
from transforms.maintenance.kinds import KnownFile, known_files
from transforms.schemas.tables import DELETED_BY, GROUPED_BY
from transforms.table.layout import part_folder

_AT_ONCE = 8
_NAMES = {
    "ledger": ("track_id", "duplicate_of"),
    "neighbours": ("track_id", "neighbour_id", "duplicate_group"),
}
"""Table -> columns that hold ids of tracks, which may be in any bucket; other tables have only `track_id`."""

_WITHOUT_TRACKS = {*GROUPED_BY, *(kind for kind, (key, _) in DELETED_BY.items() if key != "track_id")}
"""Tables and kinds of delete files whose rows name no track."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchedFile:
    """A file that was read.

    Attributes:
      path: relative to the root of the table.
      rows: number of its rows.
      found: number of rows that name one of the tracks; None if the file is damaged.
      ids: those of the tracks that have a row.
    """

    path: str
    rows: int
    found: int | None
    ids: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """What was read, and where tracks were found or could not be excluded: data, part and index files by path."""

    files: int
    rows: int
    data: dict[str, SearchedFile]
    parts: dict[str, SearchedFile]
    indexes: dict[str, SearchedFile]

    @property
    def found(self) -> int:
        """Number of rows that name one of the tracks, in all files."""
        return sum(file.found or 0 for file in (*self.data.values(), *self.parts.values(), *self.indexes.values()))

    @property
    def damaged(self) -> int:
        """Number of files that cannot be read."""
        return sum(file.found is None for file in (*self.data.values(), *self.parts.values(), *self.indexes.values()))

    @property
    def ids(self) -> frozenset[str]:
        """The tracks that were found."""
        return frozenset().union(
            *(file.ids for file in (*self.data.values(), *self.parts.values(), *self.indexes.values()))
        )


def search(root: str, ids: frozenset[str], buckets: int) -> Search:
    """Reads every data file and part file that may name one of the tracks: those of their buckets, and all ledgers.

    Raises:
      storage.StorageError: a file cannot be read now; a damaged one is reported.
    """
    wanted = pa.array(sorted(ids), pa.string())
    numbers = {bucket_of(track, buckets) for track in ids}
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as readers:
        data = list(readers.map(lambda file: _searched(file, wanted), _data_files(root, numbers)))
        parts = list(readers.map(lambda file: _searched(file, wanted), _part_files(root, numbers)))
        indexes = list(readers.map(lambda file: _searched_index(file, wanted), known_files(root, "index")))
    return Search(
        files=len(data) + len(parts) + len(indexes),
        rows=sum(file.rows for file in (*data, *parts, *indexes)),
        data={file.path: file for file in data if file.found != 0},
        parts={file.path: file for file in parts if file.found != 0},
        indexes={file.path: file for file in indexes if file.found != 0},
    )


def _data_files(root: str, numbers: Iterable[int]) -> Iterator[KnownFile]:
    for file in known_files(root, "data"):
        bucket, table = file.match.groups()
        if table in _WITHOUT_TRACKS:
            continue
        if table in _NAMES or (bucket is not None and int(bucket) in numbers):
            yield file


def _searched_index(file: KnownFile, wanted: pa.Array) -> SearchedFile:
    """A file of a search index. Only those with ids name a track."""
    if not file.path.endswith(".arrow"):
        return SearchedFile(path=file.path, rows=0, found=0)
    try:
        ids = track_ids_of(file.info.url)
    except (pa.ArrowException, KeyError, ValueError) as error:
        if isinstance(error, storage.StorageError):
            raise
        return SearchedFile(path=file.path, rows=0, found=None)
    own = ids.filter(pc.is_in(ids, value_set=wanted))
    return SearchedFile(path=file.path, rows=len(ids), found=len(own), ids=frozenset(own.to_pylist()))


def unlisted_groups(root: str, listed: frozenset[str]) -> frozenset[str]:
    """Paths of the files of tags of artists and albums that are not listed: nobody knows which tracks they sum."""
    found = {file.path for file in known_files(root, "data") if file.match[2] in GROUPED_BY}
    return frozenset(found - listed)


def _part_files(root: str, numbers: Iterable[int]) -> Iterator[KnownFile]:
    for number in sorted(numbers):
        yield from known_files(root, "parts", part_folder("", number).removeprefix("/"))


def _searched(file: KnownFile, wanted: pa.Array) -> SearchedFile:
    named_by = re.search(r"/([a-z_]+)-[0-9a-f]+\.parquet$", file.path)
    names = _NAMES.get(named_by[1] if named_by else "", ("track_id",))
    try:
        rows = read_parquet(file.info.url, names)
    except (ParquetError, pa.ArrowException, KeyError, ValueError) as error:
        if isinstance(error, storage.StorageError) and not isinstance(error, ParquetError):
            raise
        return SearchedFile(path=file.path, rows=0, found=None)
    named = [pc.is_in(rows[name], value_set=wanted) for name in names]
    found = functools.reduce(pc.or_, named)
    own = frozenset(pc.unique(rows["track_id"].filter(named[0])).to_pylist())
    return SearchedFile(path=file.path, rows=rows.num_rows, found=pc.sum(found).as_py() or 0, ids=own)
