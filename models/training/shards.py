"""Checks the shards of a dataset before training, and copies remote ones to a local folder."""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from transforms import storage
from transforms.dataset.manifest import DatasetError, DatasetManifest, ShardEntry
from transforms.telemetry.phases import passing

_PIECE = 1 << 22


@contextlib.contextmanager
def local_shards(dataset: str, manifest: DatasetManifest, splits: Sequence[str]) -> Iterator[dict[str, list[str]]]:
    """Local paths of the shards of each split. The SHA-256 of each file is compared with the manifest.

    Shards of a gs:// dataset are copied to a temporary folder while they are checked, because every epoch reads them
    again. The folder is in TMPDIR, which needs enough space.

    Raises:
      DatasetError: a shard is missing or was changed. The message has its name.
    """
    with contextlib.ExitStack() as stack:
        copies = None
        if "://" in dataset:
            copies = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shards-")))
        shards = [(split, shard) for split in splits for shard in manifest.shards_of(split)]
        found: dict[str, list[str]] = {split: [] for split in splits}
        for split, shard in passing(shards, "checking shards", unit="shards", total=len(shards)):
            found[split].append(_checked(dataset, shard, copies))
        yield found


def _checked(dataset: str, shard: ShardEntry, copies: Path | None) -> str:
    url = storage.join(dataset, shard.path)
    try:
        with storage.open_input(url) as stream, _copy(copies, shard.path) as copy:
            found = _sha256(stream, copy)
    except storage.NotFound as error:
        raise DatasetError(f"{url}: shard is missing: prepare the dataset again") from error
    if found != shard.sha256:
        raise DatasetError(f"{url}: SHA-256 {found}, dataset.json says {shard.sha256}: prepare the dataset again")
    return url if copies is None else str(copies / shard.path)


def _copy(copies: Path | None, name: str) -> contextlib.AbstractContextManager[BinaryIO | None]:
    if copies is None:
        return contextlib.nullcontext()
    (copies / name).parent.mkdir(parents=True, exist_ok=True)
    return (copies / name).open("wb")


def _sha256(stream: BinaryIO, copy: BinaryIO | None) -> str:
    """SHA-256 of the rest of a stream, which is also written to `copy` if given."""
    sha = hashlib.sha256()
    while piece := stream.read(_PIECE):
        sha.update(piece)
        if copy is not None:
            copy.write(piece)
    return sha.hexdigest()
