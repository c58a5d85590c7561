"""VersionSources: rows without a source version get one from a listing of their folder."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.formats.arrow import concat, from_ipc, to_ipc
from transforms.tagging.outcomes import MISSING

UNLISTED = "unlisted"
"""Source version of a file in a folder that may not be listed."""


class VersionSources(beam.PTransform[beam.PCollection[bytes], beam.PCollection[bytes]]):
    """Arrow batches in, the same rows out with `source_version` filled.

    Rows that bring a version pass through. The others are grouped by folder and each folder is listed once: one
    request for 1,000 objects, never one for each track.
    """

    def __init__(self, root: str) -> None:
        super().__init__()
        self._root = root

    def expand(self, batches: beam.PCollection[bytes]) -> beam.PCollection[bytes]:
        """Splits by whether a version is known, lists folders, joins the two again."""
        split = batches | "SplitByVersion" >> beam.FlatMap(_split, self._root).with_outputs("unknown", main="known")
        listed = (
            split.unknown | "GroupFolders" >> beam.GroupByKey() | "ListFolders" >> beam.Map(_from_listing, self._root)
        )
        joined: beam.PCollection[bytes] = (split.known, listed) | "JoinVersions" >> beam.Flatten()
        return joined


def _split(batch: bytes, root: str) -> Iterator[Any]:
    rows = from_ipc(batch)
    known = pc.is_valid(rows["source_version"])
    if pc.any(known).as_py():
        yield to_ipc(rows.filter(known).combine_chunks())
    unknown = rows.filter(pc.invert(known))
    folders = pa.array([_place(uri, root)[0] for uri in unknown["uri"].to_pylist()], pa.string())
    for folder in folders.unique().to_pylist():
        part = unknown.filter(pc.equal(folders, folder)).combine_chunks()
        yield beam.pvalue.TaggedOutput("unknown", (folder, to_ipc(part)))


def _place(uri: str, root: str) -> tuple[str, str]:
    """Folder and name of a source. Names are compared, since a folder can be written in more than one way."""
    folder, slash, name = storage.join(root, uri).rpartition("/")
    # With its slash: `gs://bucket/a//` is another folder than `gs://bucket/a/`, and `/` is not the current one.
    return folder + slash, name


def _from_listing(group: tuple[str, Iterable[bytes]], root: str) -> bytes:
    folder, batches = group
    versions, otherwise = _listing(folder)
    rows = concat(list(batches))
    found = [versions.get(_place(uri, root)[1], otherwise) for uri in rows["uri"].to_pylist()]
    index = rows.column_names.index("source_version")
    return to_ipc(rows.set_column(index, rows.schema.field("source_version"), pa.array(found, pa.string())))


def _listing(folder: str) -> tuple[dict[str, str], str]:
    """Versions by name, and the version of names that are not among them.

    A bucket that does not exist and a folder that may not be listed are the rows' own trouble: each is tried, and
    rejected with its reason. A storage that is unavailable fails the job: its files must not all look changed.
    """
    try:
        return {file.url.rpartition("/")[2]: file.version for file in storage.list_folder(folder)}, MISSING
    except storage.NotFound:
        return {}, MISSING
    except storage.PermissionDenied:
        return {}, UNLISTED
