"""Checks the JSON and text files of a table: records, plain file lists, runs and receipts."""

from collections.abc import Iterator
from typing import Any

from transforms import storage
from transforms.formats.sealing import open_sealed, read_record
from transforms.publishing import receipts
from transforms.publishing.commit import read_run
from transforms.schemas.tables import OPTIONAL
from transforms.table.layout import snapshot_path
from transforms.table.plain_lists import files_of_lists, manifest_path
from transforms.table.reader import SnapshotReader
from transforms.table.versions import TableError


def record_problems(snapshot: SnapshotReader) -> Iterator[str]:
    """Checks the snapshot's own file."""
    manifest = snapshot.manifest
    path = snapshot_path(manifest.number)
    stored = open_sealed(storage.read_bytes(storage.join(snapshot.root, path))).fields.get("content_hash")
    if stored != manifest.run.content_hash:
        yield f"{path}: content hash {stored}, its files have {manifest.run.content_hash}"


def list_problems(snapshot: SnapshotReader) -> Iterator[str]:
    """Checks the plain file lists, which BigQuery reads: all files that they name, below one root."""
    roots = set()
    for name, files in files_of_lists(snapshot.manifest).items():
        path, wanted = manifest_path(snapshot.manifest.number, name), [file.path for file in files]
        try:
            lines = storage.read_bytes(storage.join(snapshot.root, path)).decode().splitlines()
        except storage.NotFound:
            if name in OPTIONAL and not wanted:  # published before there was this table
                continue
            yield f"{path}: missing; {_again(snapshot)}"
            continue
        except ValueError as error:
            yield f"{path}: not UTF-8 ({error}); {_again(snapshot)}"
            continue
        # Absolute names become wrong if a folder is moved, but their ends stay the same, and so does what they share.
        if len(lines) != len(wanted) or not all(
            line.endswith("/" + own) for line, own in zip(lines, wanted, strict=True)
        ):
            yield f"{path}: lists other files than the snapshot"
            continue
        roots |= {line.removesuffix("/" + own) for line, own in zip(lines, wanted, strict=True)}
        if len(roots) > 1:
            yield f"{path}: lists files below another root than the lists before it: {', '.join(sorted(roots))}"
            return


def _again(snapshot: SnapshotReader) -> str:
    return f"write it again with `catalog-tagger publish` and run {snapshot.manifest.run.run_id}"


def table_problems(root: str) -> Iterator[str]:
    """Checks every run, receipt and report of a table: whether it can be read, and has its digest."""
    for folder, read in (("runs", _read_run), (receipts.FOLDER, _read_receipt)):
        for file in storage.list_folder(storage.join(root, folder)):
            name = file.url.rpartition("/")[2]
            if name.endswith(".json"):
                try:
                    read(root, name)
                except (TableError, storage.StorageError) as error:
                    yield str(error)

    for file in storage.list_files(storage.join(root, "reports")):
        if file.url.endswith("/run_summary.json"):
            try:
                read_record(file.url, "a summary of a run", _status, TableError)
            except (TableError, storage.StorageError) as error:
                yield str(error)


def _status(fields: dict[str, Any]) -> str:
    return str(fields["status"])


def _read_run(root: str, name: str) -> None:
    read_run(root, name.removesuffix(".json"))


def _read_receipt(root: str, name: str) -> None:
    receipts.read(root, f"{receipts.FOLDER}/{name}")
