"""Labels from the catalog that `--catalog` names."""

from collections.abc import Iterator

from pipelines.inputs.catalog import check_split_column, fail_on_problems, open_catalog
from transforms.catalog.problems import FirstProblems
from transforms.splits.track_labels import TrackLabels, UnknownTags, labels_of_rows
from transforms.taxonomy.hierarchy import Taxonomy


def catalog_labels(
    catalog: str, taxonomy: Taxonomy, column: str | None, done: str, unknown_tags: UnknownTags = "drop"
) -> Iterator[TrackLabels]:
    """Yields the labels of a catalog, see `labels_of_rows`. Problems are raised after the last row, all in one error.

    Args:
      catalog: value of `--catalog`.
      taxonomy: the tags.
      column: column with official splits, if any.
      done: participle of what is not done if the catalog has problems, such as `trained`.
      unknown_tags: value of `--unknown-tags`.

    Raises:
      UsageError: there is no such column.
      CatalogError, CommandFailed: the catalog cannot be read, is empty, or has problems.
    """
    shards, _ = open_catalog(catalog)
    check_split_column(column, shards[0])
    problems = FirstProblems()
    yield from labels_of_rows(shards, taxonomy, column, problems, unknown_tags)
    fail_on_problems(problems.sample(), done)
