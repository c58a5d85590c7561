"""Opens catalogs, and checks flags, for the commands that read a catalog."""

import logging

from pipelines.inputs.flags import Arguments, is_given
from pipelines.inputs.numbers import number_in
from pipelines.terminal.errors import REFUSED, CommandFailed, UsageError, checked
from transforms.catalog.columns import further_columns
from transforms.catalog.delimited.encoding import OPEN_END
from transforms.catalog.limits import MOST_ROWS
from transforms.catalog.problems import CatalogError, ProblemSample, gates_of
from transforms.catalog.reader import CatalogShard, count_rows, list_shards
from transforms.formats.quantities import quantity
from transforms.publishing.gates import RATIO_FIELDS, GateLimits
from transforms.publishing.gates_file import GatesFile, checked_limit
from transforms.splits.by_artist import SplitRatios

_log = logging.getLogger(__name__)


def open_catalog(url: str, root: str | None = None) -> tuple[list[CatalogShard], int]:
    """The shards of a catalog, and its number of rows. Logs the form of a CSV that its name does not promise.

    Raises:
      UsageError: the root is in a storage that is not supported.
      CatalogError: the catalog cannot be read at all.
      CommandFailed: the catalog has no rows, or too many.
    """
    shards, count = _list_catalog(url, root)
    if not count:
        raise CommandFailed(f"{url}: the catalog has no rows")
    return shards, count


def open_gated_catalog(url: str, root: str | None = None) -> tuple[list[CatalogShard], int]:
    """Like `open_catalog`, for a catalog that gates judge: their names are in the messages.

    Raises:
      CatalogError: the catalog cannot be read at all.
      CommandFailed: the catalog has too many rows; or, with the exit code of gates, no rows, or a file that cannot tell
        its number of rows.
    """
    try:
        shards, count = _list_catalog(url, root)
    except CatalogError as error:
        if not (gates := gates_of(error.problems)):
            raise
        raise CommandFailed(f"nothing was tagged: gate {', '.join(gates)}: {error}", REFUSED) from error
    if not count:
        raise CommandFailed(f"nothing was tagged: gate empty: {url}: the catalog has no rows", REFUSED)
    return shards, count


def _list_catalog(url: str, root: str | None) -> tuple[list[CatalogShard], int]:
    if root is not None and "://" in root and not root.startswith("gs://"):
        raise UsageError(f"--catalog-root={root}: give a local folder or a gs:// prefix")
    shards = list_shards(url, root)
    for shard in shards:
        if (table := shard.file.table) is not None and not table.form.is_usual(table.url):
            _log.warning("%s: read as %s", table.url, table.form)
        if shard.file.open_end:
            _log.warning("%s: %s", shard.file.url, OPEN_END)
    count = count_rows(shards)
    if count > MOST_ROWS:
        raise CommandFailed(f"{url}: the catalog has {count} rows, at most {MOST_ROWS} are read: divide it")
    return shards, count


def split_ratios(args: Arguments) -> SplitRatios:
    """The ratios in `--split-ratios`.

    Raises:
      UsageError: the ratios are not valid.
    """
    return checked(SplitRatios.parse, args.split_ratios)


def gate_limits(args: Arguments, file: GatesFile | None = None) -> GateLimits:
    """The limits of the gates: those of the flags, else those of the table's gates file, else the defaults.

    Raises:
      UsageError: a limit is out of its range, there is no such gate, or one gate gets two limits.
    """
    given = dict(checked(_flag_limit, text) for text in getattr(args, "gate", ()))
    for gate, field in RATIO_FIELDS.items():
        if (value := getattr(args, field, None)) is not None and is_given(field):
            if gate in given:
                raise UsageError(f"--gate {gate} and --{field.replace('_', '-')} set the same limit: give one of them")
            given[gate] = checked(checked_limit, gate, value)
    merged = {**(file.limits if file else {}), **given}
    ratios = {field: merged.pop(gate) for gate, field in RATIO_FIELDS.items() if gate in merged}
    return checked(GateLimits, **ratios, others=merged)


def _flag_limit(text: str) -> tuple[str, float]:
    """The gate and the limit in a value of `--gate`."""
    name, equals, limit = text.partition("=")
    if not equals:
        raise ValueError(f"--gate {text!r}: give NAME=LIMIT, for example removed=0.05")
    try:
        return name, checked_limit(name, number_in(limit, 0))
    except ValueError as error:
        raise ValueError(f"--gate {text!r}: {error}") from error


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


def fail_on_problems(found: ProblemSample, done: str) -> None:
    """Ends a command if the catalog has problems. `done` is the participle of what was not done, such as `split`.

    Raises:
      CommandFailed: there are problems; the message lists the first of them.
    """
    if found.count:
        shown = "\n".join(found.lines)
        raise CommandFailed(f"{quantity(found.count, 'problem')} in the catalog, nothing was {done}:\n{shown}")
