"""Source versions joined on disk: the same as by one listing in memory."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import storage
from transforms.storage import SourceRoots
from transforms.storage.scratch import open_scratch
from transforms.tagging import source_versions
from transforms.tagging.outcomes.prior import MISSING
from transforms.tagging.source_versions import UNLISTED, VersionedOnDisk

FOLDERS, NAMES = ("a", "b", "./a", "a/c", "gone", "secret"), ("1.wav", "2.wav", "3.wav", "ü.wav")
URIS = st.builds("/".join, st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES))) | st.sampled_from(NAMES)
ROWS = st.lists(st.tuples(URIS, st.none() | st.just("given")), max_size=12)


@pytest.fixture(scope="module")
def root():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("1.wav", "a/1.wav", "a/2.wav", "a/ü.wav", "a/c/1.wav", "b/1.wav", "secret/1.wav"):
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(name.encode())
        yield folder


def _expected(uri: str, version: str | None, root: str) -> str:
    if version is not None:
        return version
    if uri.startswith("secret/"):
        return UNLISTED
    path = Path(root, uri)
    return f"{path.stat().st_mtime_ns}-{path.stat().st_size}" if path.exists() else MISSING


@given(rows=ROWS, groups=st.integers(1, 3), size=st.integers(1, 5))
def test_every_row_gets_its_version_and_every_folder_one_listing(root: str, rows, groups: int, size: int) -> None:
    listed: list[str] = []
    list_folder = storage.list_folder

    def watched(url: str, roots=None):
        listed.append(url)
        if url.rstrip("/").endswith("secret"):
            raise storage.PermissionDenied(url)
        return list_folder(url, roots=roots)

    table = pa.table(
        {
            "uri": pa.array([uri for uri, _ in rows], pa.string()),
            "source_version": pa.array([version for _, version in rows], pa.string()),
        }
    )
    with open_scratch() as scratch, pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "list_folder", watched)
        patch.setattr(source_versions, "_LISTED_AT_ONCE", 2)
        batches = [table.slice(start, size) for start in range(0, len(rows), size)]
        versioned = VersionedOnDisk(scratch, SourceRoots(root), groups)
        filled = [row for part in versioned.fill(batches) for row in part.to_pylist()]
        assert all(scratch.names(name) == [] for name in ("unversioned", "folders", "listings"))
    found = sorted((row["uri"], row["source_version"]) for row in filled)
    assert found == sorted((uri, _expected(uri, version, root)) for uri, version in rows)
    assert len(listed) == len(set(listed))
