"""Labels of the tracks of a dataset."""

from collections.abc import Iterator

from transforms import storage
from transforms.dataset.example import decode_example
from transforms.dataset.manifest import DatasetManifest
from transforms.formats.tfrecord import read_records
from transforms.splits.track_labels import TrackLabels


def dataset_labels(dataset: str, manifest: DatasetManifest) -> Iterator[TrackLabels]:
    """The labels of every example, with its split as the official one.

    Args:
      dataset: folder or gs:// prefix.
      manifest: manifest of the dataset.
    """
    for shard in manifest.shards:
        with storage.open_input(storage.join(dataset, shard.path)) as stream:
            for record in read_records(stream):
                example = decode_example(record)
                yield TrackLabels(example.track_id, example.group, example.targets, example.mask, shard.split)
