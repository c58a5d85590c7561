"""Labels from the catalog that `--catalog` names."""

from collections import Counter
from collections.abc import Iterator, Mapping

from pipelines.inputs.catalog import check_split_column, fail_on_problems, open_catalog
from transforms.catalog.problems import FirstProblems
from transforms.splits.track_labels import TrackLabels, UnknownTags, labels_of_rows
from transforms.taxonomy.hierarchy import Taxonomy


def catalog_labels(
    catalog: str,
    taxonomy: Taxonomy,
    column: str | None,
    done: str,
    unknown_tags: UnknownTags = "drop",
    redirected: Counter[str] | None = None,
) -> Iterator[TrackLabels]:
    """Yields the labels of a catalog, see `labels_of_rows`. Problems are raised after the last row, all in one error.

    Args:
      catalog: value of `--catalog`.
      taxonomy: the tags.
      column: column with official splits, if any.
      done: participle of what is not done if the catalog has problems, such as `trained`.
      unknown_tags: value of `--unknown-tags`.
      redirected: receives the tracks of each earlier id, see `labels_of_rows`.

    Raises:
      UsageError: there is no such column.
      CatalogError, CommandFailed: the catalog cannot be read, is empty, or has problems.
    """
    shards, _ = open_catalog(catalog)
    check_split_column(column, shards[0])
    problems = FirstProblems()
    yield from labels_of_rows(shards, taxonomy, column, problems, unknown_tags, redirected)
    fail_on_problems(problems.sample(), done)


def redirected_lines(counts: Mapping[str, int]) -> list[str]:
    """A line about the tracks that are annotated with earlier ids; none if there are none.

    >>> redirected_lines({"mood/wild": 3, "mood/sad": 12})
    ['earlier ids, counted for the tags that replace them: mood/sad 12, mood/wild 3 tracks']
    """
    if not counts:
        return []
    listed = ", ".join(f"{old} {count}" for old, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return [f"earlier ids, counted for the tags that replace them: {listed} tracks"]
