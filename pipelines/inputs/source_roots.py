"""The roots of a catalog's audio, from `--allow-root` and from what `import folder` has recorded on this machine."""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines.inputs.user_state import state_folder
from pipelines.terminal.errors import UsageError
from transforms import storage
from transforms.catalog.reader import CatalogShard
from transforms.storage import SourceRoots, StorageError

_log = logging.getLogger(__name__)


def source_roots(given: Sequence[str], shards: Sequence[CatalogShard]) -> SourceRoots:
    """Where the sources of a catalog may be.

    Args:
      given: values of `--allow-root`.
      shards: the catalog.

    Raises:
      UsageError: a value is no folder or prefix.
    """
    for root in given:
        _check(root)
    files = dict.fromkeys(shard.file.url for shard in shards)
    return SourceRoots(shards[0].root, (*given, *recorded_roots(files)))


def _check(root: str) -> None:
    if root.startswith("gs://"):
        bucket, _, name = root.removeprefix("gs://").partition("/")
        if not bucket or not {".", ".."}.isdisjoint(name.split("/")):
            raise UsageError(f"--allow-root={root}: give gs://bucket or gs://bucket/folder, without `.` and `..`")
    elif not root or "://" in root:
        raise UsageError(f"--allow-root={root}: give a local folder or a gs:// prefix")
    elif Path(root).exists() and not Path(root).is_dir():
        raise UsageError(f"--allow-root={root}: this is a file: give the folder that contains it")


def recorded_roots(catalogs: Iterable[str]) -> tuple[str, ...]:
    """The folders that were recorded for some catalog files."""
    return tuple(dict.fromkeys(root for url in catalogs for root in _recorded(url)))


def _recorded(catalog: str) -> list[str]:
    record = _record_of(catalog)
    if record is None:
        return []
    try:
        found = json.loads(storage.read_bytes(str(record)))
        return (
            [root for root in found["roots"] if Path(root).is_absolute()] if found["catalog"] == _real(catalog) else []
        )
    except storage.NotFound:
        return []
    except (StorageError, ValueError, TypeError, KeyError) as error:
        _log.warning("%s cannot be read and is ignored: %s", record, error)
        return []


def record_roots(catalog: str, roots: Sequence[str]) -> bool:
    """Records where the audio of a new catalog is, or removes the record; returns whether that was possible.

    The record is in the user's own folder of states and not in the catalog, because a catalog from elsewhere must not
    say what may be read here.

    Args:
      catalog: path of the catalog.
      roots: local folders outside of the catalog's own folder.
    """
    record = _record_of(catalog)
    if record is None:
        return False
    try:
        if roots:
            entry = {"catalog": _real(catalog), "roots": [os.path.realpath(root) for root in roots]}
            storage.write_bytes(str(record), json.dumps(entry, indent=2).encode())
        else:
            storage.delete(str(record))
    except StorageError as error:
        _log.info("not recorded: %s", error)
        return False
    return True


def _record_of(catalog: str) -> Path | None:
    """The record of a catalog file; None for remote files, and for users without a home folder."""
    state = state_folder()
    if "://" in catalog or state is None:
        return None
    key = hashlib.sha256(os.fsencode(_real(catalog))).hexdigest()[:32]
    return state / "roots" / f"{key}.json"


def _real(catalog: str) -> str:
    return os.path.realpath(catalog)
