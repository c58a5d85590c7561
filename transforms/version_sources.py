"""VersionSources: gives rows without a source version one from a listing of their folder."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.formats.arrow import concat, from_ipc, to_ipc
from transforms.storage import SourceRoots
from transforms.tagging.outcomes.prior import MISSING
from transforms.tagging.source_versions import UNLISTED, listed_versions, place_of, with_versions


class VersionSources(beam.PTransform[beam.PCollection[bytes], beam.PCollection[bytes]]):
    """Takes Arrow batches, returns the same rows with `source_version` filled.

    Rows with a version pass through. The others are grouped by folder and each folder is listed once. A listing takes
    one request per 1,000 objects instead of one per track. A folder outside of the roots is not listed; the problem of
    its rows is reported where they are planned.
    """

    def __init__(self, roots: SourceRoots) -> None:
        super().__init__()
        self._roots = roots

    def expand(self, batches: beam.PCollection[bytes]) -> beam.PCollection[bytes]:
        """Splits rows by whether they have a version, lists the folders of those without, and joins both again."""
        split = batches | "SplitByVersion" >> beam.FlatMap(_split, self._roots).with_outputs("unknown", main="known")
        listed = (
            split.unknown | "GroupFolders" >> beam.GroupByKey() | "ListFolders" >> beam.Map(_from_listing, self._roots)
        )
        joined: beam.PCollection[bytes] = (split.known, listed) | "JoinVersions" >> beam.Flatten()
        return joined


def _split(batch: bytes, roots: SourceRoots) -> Iterator[Any]:
    rows = from_ipc(batch)
    known = pc.is_valid(rows["source_version"])
    if pc.any(known).as_py():
        yield to_ipc(rows.filter(known).combine_chunks())
    unknown = rows.filter(pc.invert(known))
    folders = pa.array([place_of(uri, roots)[0] for uri in unknown["uri"].to_pylist()], pa.string())
    for folder in folders.unique().to_pylist():
        part = unknown.filter(pc.equal(folders, folder)).combine_chunks()
        yield beam.pvalue.TaggedOutput("unknown", (folder, to_ipc(part)))


def _from_listing(group: tuple[str, Iterable[bytes]], roots: SourceRoots) -> bytes:
    folder, batches = group
    versions, otherwise = _listing(folder, roots)
    rows = concat(list(batches))
    return to_ipc(
        with_versions(rows, [versions.get(place_of(uri, roots)[1], otherwise) for uri in rows["uri"].to_pylist()])
    )


def _listing(folder: str, roots: SourceRoots) -> tuple[dict[str, str], str]:
    """Returns versions by name, and the version of names that are not in the listing."""
    try:
        return dict(listed_versions(folder, roots)), MISSING
    except (storage.PermissionDenied, storage.OutsideRoots):
        return {}, UNLISTED
