"""What commands that read a catalog share: flags, and how it is opened."""

from pipelines.inputs.flags import Arguments
from pipelines.terminal.errors import CommandFailed, UsageError, checked
from transforms.catalog.columns import further_columns
from transforms.catalog.problems import MOST_PROBLEMS, Problem
from transforms.catalog.reader import CatalogShard, count_rows, list_shards
from transforms.publishing.gates import GateLimits
from transforms.splits.by_artist import SplitRatios


def open_catalog(url: str, root: str | None = None) -> tuple[list[CatalogShard], int]:
    """The shards of a catalog, and how many rows they have.

    Raises:
      CatalogError: it cannot be read at all.
      CommandFailed: it has no rows.
    """

    shards = list_shards(url, root)
    count = count_rows(shards)
    if not count:
        raise CommandFailed(f"{url}: the catalog has no rows")
    return shards, count


def split_ratios(args: Arguments) -> SplitRatios:
    """The ratios that were asked for.

    Raises:
      UsageError: they are none.
    """

    return checked(SplitRatios.parse, args.split_ratios)


def gate_limits(args: Arguments) -> GateLimits:
    """The limits that were asked for.

    Raises:
      UsageError: one is no ratio.
    """

    return checked(GateLimits, max_reject_ratio=args.max_reject_ratio, max_unavailable_ratio=args.max_unavailable_ratio)


def check_at_least_one(**values: int | None) -> None:
    """Refuses counts below 1; `values` are the flags' by name, None where they are not given.

    Raises:
      UsageError: there is one.
    """
    for name, value in values.items():
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')}={value}: at least 1")


def check_split_column(name: str | None, shard: CatalogShard) -> None:
    """Refuses a column of official splits that the catalog does not have.

    Raises:
      UsageError: there is none of this name among the further columns.
    """

    known = further_columns(shard.schema)
    if name is not None and name not in known:
        raise UsageError(f"--split-column={name}: the catalog's further columns are {', '.join(known) or 'none'}")


def fail_on_problems(problems: list[Problem], done: str) -> None:
    """Ends a command where the catalog has problems.

    Raises:
      CommandFailed: with the first of them, and what was not done.
    """

    if problems:
        shown = "\n".join(map(str, problems[:MOST_PROBLEMS]))
        raise CommandFailed(f"{len(problems)} problems in the catalog, nothing was {done}:\n{shown}")
