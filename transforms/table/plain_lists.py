"""Plain lists of files, for engines that want one: a file with one name per line for each table of a snapshot.

`<table>.txt` names the base files: the rows of each bucket when it was last compacted, every track once. In a snapshot
with levels, `<table>_live.txt` names all files of a table, which are only read together with those of the delete files,
for example in `track_deletes.txt`. See `levels`.
"""

from transforms.schemas.tables import DELETES, TABLES
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import DataFile, Snapshot


def manifest_path(number: int, name: str) -> str:
    """Path of a plain list of a snapshot, relative to the table root."""
    return f"manifests/{number:010d}/{name}.txt"


def live_list(name: str) -> str:
    """Name of the list of all files of a table."""
    return f"{name}_live"


def files_of_lists(manifest: Snapshot) -> dict[str, list[DataFile]]:
    """Name of each plain list -> the files that it names. There is none of `neighbours` until they were computed."""
    lists = {name: files for name in TABLES if (files := manifest.base_files(name)) or name != "neighbours"}
    for name in tuple(lists):
        if any(file.merged for file in lists[name]):
            lists[live_list(name)] = manifest.files(name)
    return lists | {kind: files for kind in DELETES if (files := manifest.files(kind))}


def plain_lists(snapshot: SnapshotReader) -> dict[str, list[str]]:
    """Name of each plain list -> its lines."""
    return {name: [snapshot.url(file) for file in files] for name, files in files_of_lists(snapshot.manifest).items()}
