"""The shards of a dataset, checked before they are trained on."""

import hashlib

from tqdm import tqdm

from transforms.records import storage
from transforms.records.datasets import DatasetError, DatasetManifest, ShardEntry

_PIECE = 1 << 22


def checked_paths(dataset: str, manifest: DatasetManifest, split: str) -> list[str]:
    """Where the shards of one split are, each file's SHA-256 compared with the manifest.

    Raises:
      DatasetError: a shard is missing or was changed; names it.
    """
    shards = manifest.shards_of(split)
    bar = tqdm(shards, f"checking {split} shards", unit="shard", disable=None, leave=False)
    return [_checked(dataset, shard) for shard in bar]


def _checked(dataset: str, shard: ShardEntry) -> str:
    url = storage.join(dataset, shard.path)
    sha = hashlib.sha256()
    try:
        with storage.open_input(url) as stream:
            while piece := stream.read(_PIECE):
                sha.update(piece)
    except storage.NotFound as error:
        raise DatasetError(f"{url}: shard is missing: prepare the dataset again") from error
    if sha.hexdigest() != shard.sha256:
        raise DatasetError(
            f"{url}: SHA-256 {sha.hexdigest()}, dataset.json says {shard.sha256}: the shard was changed, prepare again"
        )
    return url
