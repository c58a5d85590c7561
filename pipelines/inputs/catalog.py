"""Opens catalogs, and checks flags, for the commands that read a catalog."""

import dataclasses
import logging

from pipelines.inputs.flags import Arguments
from pipelines.terminal.errors import CommandFailed, UsageError, checked
from transforms.catalog.columns import further_columns
from transforms.catalog.limits import MOST_ROWS
from transforms.catalog.problems import MOST_PROBLEMS, Problem
from transforms.catalog.reader import CatalogShard, count_rows, list_shards
from transforms.publishing.gates import GateLimits
from transforms.splits.by_artist import SplitRatios

_log = logging.getLogger(__name__)


def open_catalog(url: str, root: str | None = None) -> tuple[list[CatalogShard], int]:
    """The shards of a catalog, and its number of rows. Logs the form of a CSV that its name does not promise.

    Raises:
      UsageError: the root is in a storage that is not supported.
      CatalogError: the catalog cannot be read at all.
      CommandFailed: the catalog has no rows, or too many.
    """
    if root is not None and "://" in root and not root.startswith("gs://"):
        raise UsageError(f"--catalog-root={root}: give a local folder or a gs:// prefix")
    shards = list_shards(url, root)
    for shard in shards:
        if (table := shard.file.table) is not None and not table.form.is_usual(table.url):
            _log.warning("%s: read as %s", table.url, table.form)
    count = count_rows(shards)
    if not count:
        raise CommandFailed(f"{url}: the catalog has no rows")
    if count > MOST_ROWS:
        raise CommandFailed(f"{url}: the catalog has {count} rows, at most {MOST_ROWS} are read: divide it")
    return shards, count


def split_ratios(args: Arguments) -> SplitRatios:
    """The ratios in `--split-ratios`.

    Raises:
      UsageError: the ratios are not valid.
    """
    return checked(SplitRatios.parse, args.split_ratios)


def gate_limits(args: Arguments) -> GateLimits:
    """The limits in `--max-reject-ratio`, `--max-unavailable-ratio` and, if the command has it, `--max-removed-ratio`.

    Raises:
      UsageError: a limit is not from 0 to 1.
    """
    names = [field.name for field in dataclasses.fields(GateLimits) if hasattr(args, field.name)]
    return checked(GateLimits, **{name: getattr(args, name) for name in names})


_MOST = 1_000_000


def check_at_least_one(**values: int | None) -> None:
    """Refuses counts below 1 and above 1,000,000.

    `values` are the values of flags by name, None for flags that are not given.

    Raises:
      UsageError: a count is outside of this range.
    """
    for name, value in values.items():
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')}={value}: at least 1")
        if value is not None and value > _MOST:
            raise UsageError(f"--{name.replace('_', '-')}={value}: at most {_MOST}")


def check_split_column(name: str | None, shard: CatalogShard) -> None:
    """Refuses a column of official splits that the catalog does not have.

    Raises:
      UsageError: no further column of the catalog has this name.
    """
    known = further_columns(shard.schema)
    if name is not None and name not in known:
        raise UsageError(f"--split-column={name}: the catalog's further columns are {', '.join(known) or 'none'}")


def fail_on_problems(problems: list[Problem], done: str) -> None:
    """Ends a command if the catalog has problems. `done` is the participle of what was not done, such as `split`.

    Raises:
      CommandFailed: there are problems; the message lists the first of them.
    """
    if problems:
        shown = "\n".join(map(str, problems[:MOST_PROBLEMS]))
        raise CommandFailed(f"{len(problems)} problems in the catalog, nothing was {done}:\n{shown}")
