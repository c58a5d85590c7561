"""Labels of tracks whose embeddings or scores are in a table: from a catalog, or from a dataset."""

from collections.abc import Iterator

from models.fitting.rows import TrackLabels
from pipelines.inputs.catalog import check_split_column, fail_on_problems, open_catalog
from transforms import storage
from transforms.catalog.problems import Problem
from transforms.catalog.reader import CatalogShard, read_shard
from transforms.dataset.example import decode_example
from transforms.dataset.manifest import DatasetManifest
from transforms.formats.tfrecord import read_records
from transforms.splits.by_artist import SplitRatios, group_of, split_of
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.targets import encode_targets


def catalog_labels(catalog: str, taxonomy: Taxonomy, column: str | None, done: str) -> Iterator[TrackLabels]:
    """Rows in which some category of the taxonomy is known; tags that it does not have say nothing.

    Problems are raised after the last row: all of them are named.

    Args:
      catalog: what `--catalog` names.
      taxonomy: the tags.
      column: official sides, if any.
      done: what is not done where the catalog has problems.

    Raises:
      UsageError: no such column.
      CatalogError, CommandFailed: the catalog cannot be read, is empty, or has problems.
    """
    shards, _ = open_catalog(catalog)
    check_split_column(column, shards[0])
    problems: list[Problem] = []
    yield from _labelled_rows(shards, taxonomy, column, problems)
    fail_on_problems(problems, done)


def _labelled_rows(
    shards: list[CatalogShard], taxonomy: Taxonomy, column: str | None, problems: list[Problem]
) -> Iterator[TrackLabels]:

    for shard in shards:
        for batch, found in read_shard(shard):
            problems.extend(found)
            for row in batch.to_pylist():
                labels = encode_targets([(tag["tag"], tag["weight"]) for tag in row["tags"] or ()], taxonomy)
                if labels.mask.any():
                    official = split_of(row, SplitRatios(), column) if column else None
                    yield TrackLabels(row["track_id"], group_of(row), labels.targets, labels.mask, official)


def dataset_labels(dataset: str, manifest: DatasetManifest) -> Iterator[TrackLabels]:
    """The tracks of a dataset, with the side that it gives them."""

    for shard in manifest.shards:
        with storage.open_input(storage.join(dataset, shard.path)) as stream:
            for record in read_records(stream):
                found = decode_example(record)
                yield TrackLabels(found.track_id, found.group, found.targets, found.mask, shard.split)
