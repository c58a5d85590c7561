"""Labels of the tracks of a dataset."""

from collections.abc import Iterator

from transforms import storage
from transforms.dataset.example import Example, decode_example
from transforms.dataset.manifest import DATASET_FILE, DatasetError, DatasetManifest, ShardEntry
from transforms.formats.tfrecord import read_records
from transforms.splits.track_labels import TrackLabels


def dataset_labels(dataset: str, manifest: DatasetManifest) -> Iterator[TrackLabels]:
    """The labels of every example, with its split as the official one.

    Args:
      dataset: folder or gs:// prefix.
      manifest: manifest of the dataset.

    Raises:
      DatasetError: a shard is damaged.
    """
    for shard in manifest.shards:
        for example in shard_examples(dataset, shard):
            yield TrackLabels(example.track_id, example.group, example.targets, example.mask, shard.split)


def shard_examples(dataset: str, shard: ShardEntry) -> Iterator[Example]:
    """Yields the examples of a shard. Every record has a checksum, and their number is compared with the manifest.

    Raises:
      DatasetError: the shard is missing or damaged.
    """
    url, seen = storage.join(dataset, shard.path), 0
    try:
        with storage.open_input(url) as stream:
            for record in read_records(stream):
                yield decode_example(record)
                seen += 1
    except (storage.NotFound, KeyError, ValueError) as error:
        raise DatasetError(f"{url}: record {seen}: {error}: prepare the dataset again") from error
    if seen != shard.examples:
        raise DatasetError(f"{url}: {seen} records, {DATASET_FILE} has {shard.examples}: prepare the dataset again")
