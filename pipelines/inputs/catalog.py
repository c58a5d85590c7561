"""What commands that read a catalog share: flags, and how it is opened."""

import argparse
from typing import TYPE_CHECKING

from pipelines.terminal.errors import CommandFailed, UsageError, checked

if TYPE_CHECKING:
    from transforms.catalog.problems import Problem
    from transforms.catalog.reader import CatalogShard
    from transforms.publishing.gates import GateLimits
    from transforms.splits.by_artist import SplitRatios


def add_catalog_arguments(parser: argparse.ArgumentParser) -> None:
    """The flag that names a catalog."""
    parser.add_argument("--catalog", required=True, help="Parquet, CSV or JSON Lines: file, folder or glob")


def add_split_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that say how tracks get their side."""
    parser.add_argument(
        "--split-ratios", default="0.8,0.1,0.1", metavar="A,B,C", help="shares of train, validation and test artists"
    )
    parser.add_argument("--split-column", help="catalog column with official splits: train, validation, test or none")


def add_extraction_arguments(parser: argparse.ArgumentParser, *, unit: str, late: str) -> None:
    """Flags of the jobs that open audio.

    Args:
      unit: what `--chunk-tracks` tracks make.
      late: what happens after `--no-wait`.
    """
    parser.add_argument("--catalog-root", help="where relative uris start (default: the catalog's folder)")
    add_gate_arguments(parser, "end it without a result")
    parser.add_argument("--chunk-tracks", type=int, default=64, help=f"most tracks of a {unit}")
    parser.add_argument("--no-wait", action="store_true", help=f"launch the job and leave; {late}")


def add_gate_arguments(parser: argparse.ArgumentParser, effect: str) -> None:
    """Flags of the limits of gates.

    Args:
      parser: of the command.
      effect: what too many rejects do.
    """
    parser.add_argument("--max-reject-ratio", type=float, default=0.1, help=f"more rejects than this {effect}")
    parser.add_argument("--max-unavailable-ratio", type=float, default=0.0005, help="the same for unavailable tracks")


def open_catalog(url: str, root: str | None = None) -> "tuple[list[CatalogShard], int]":
    """The shards of a catalog, and how many rows they have.

    Raises:
      CatalogError: it cannot be read at all.
      CommandFailed: it has no rows.
    """
    from transforms.catalog.reader import count_rows, list_shards

    shards = list_shards(url, root)
    count = count_rows(shards)
    if not count:
        raise CommandFailed(f"{url}: the catalog has no rows")
    return shards, count


def split_ratios(args: argparse.Namespace) -> "SplitRatios":
    """The ratios that were asked for.

    Raises:
      UsageError: they are none.
    """
    from transforms.splits.by_artist import SplitRatios

    return checked(SplitRatios.parse, args.split_ratios)


def gate_limits(args: argparse.Namespace) -> "GateLimits":
    """The limits that were asked for.

    Raises:
      UsageError: one is no ratio.
    """
    from transforms.publishing.gates import GateLimits

    return checked(GateLimits, max_reject_ratio=args.max_reject_ratio, max_unavailable_ratio=args.max_unavailable_ratio)


def check_at_least_one(**values: int | None) -> None:
    """Refuses counts below 1; `values` are the flags' by name, None where they are not given.

    Raises:
      UsageError: there is one.
    """
    for name, value in values.items():
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')}={value}: at least 1")


def check_split_column(name: str | None, shard: "CatalogShard") -> None:
    """Refuses a column of official splits that the catalog does not have.

    Raises:
      UsageError: there is none of this name among the further columns.
    """
    from transforms.catalog.columns import further_columns

    known = further_columns(shard.schema)
    if name is not None and name not in known:
        raise UsageError(f"--split-column={name}: the catalog's further columns are {', '.join(known) or 'none'}")


def fail_on_problems(problems: "list[Problem]", done: str) -> None:
    """Ends a command where the catalog has problems.

    Raises:
      CommandFailed: with the first of them, and what was not done.
    """
    from transforms.catalog.problems import MOST_PROBLEMS

    if problems:
        shown = "\n".join(map(str, problems[:MOST_PROBLEMS]))
        raise CommandFailed(f"{len(problems)} problems in the catalog, nothing was {done}:\n{shown}")
