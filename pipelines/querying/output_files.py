"""Writes an answer into a file: Parquet, CSV or an Excel workbook, chosen by the suffix of its name."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.querying.session import Reply
from pipelines.querying.workbook import write_workbook
from pipelines.terminal.comma_separated import write_csv
from pipelines.terminal.errors import CommandFailed, UsageError
from transforms import storage
from transforms.storage.scratch import open_scratch


@dataclasses.dataclass(frozen=True)
class Target:
    """A file to be written.

    Attributes:
      url: local path or gs:// URL.
      suffix: `parquet`, `csv` or `xlsx`.
      replace: whether a file of this name is replaced.
      safe: whether CSV is for a spreadsheet: text that it would take for a formula gets an apostrophe.
    """

    url: str
    suffix: str
    replace: bool
    safe: bool


def checked_target(
    url: str, *, replace: bool, safe: bool, suffixes: tuple[str, ...] = ("parquet", "csv", "xlsx")
) -> Target:
    """The target of `--output`.

    Raises:
      UsageError: the suffix is unknown or does not go with the flags, or the file exists and is not to be replaced.
    """
    suffix = PurePosixPath(url).suffix.lower().removeprefix(".")
    if suffix not in suffixes:
        raise UsageError(f"--output={url}: the suffix decides the format: end the name with .{', .'.join(suffixes)}")
    if safe and suffix != "csv":
        raise UsageError(f"--safe-csv: {url} is no CSV file: leave the flag out, or end the name with .csv")
    parent = Path(url).parent
    if "://" not in url and not parent.is_dir():
        raise UsageError(f"--output={url}: there is no folder {parent}: make it first, or name another file")
    if not replace and storage.exists(url):
        raise UsageError(f"--output={url} exists already: choose another name, or give --force to replace it")
    return Target(url, suffix, replace, safe)


def write_file(target: Target, reply: Reply) -> int:
    """Writes the rows; the file appears when it is complete. Returns the number of rows.

    Raises:
      CommandFailed: the query fails, or the format cannot have this answer.
      StorageError: the file cannot be written.
    """
    counted = _Counted(reply)
    finish_file(target, lambda path: _WRITERS[target.suffix](path, counted.reply, target))
    return counted.rows


def finish_file(target: Target, write: Callable[[Path], None]) -> None:
    """Lets `write` make a local file, which then gets the target's name. See `write_file` for errors."""
    with open_scratch() as scratch:
        path = Path(scratch.folder, f"answer.{target.suffix}")
        try:
            write(path)
        except pa.ArrowNotImplementedError as error:
            raise CommandFailed(f"{target.url}: {error}: cast the column to VARCHAR") from error
        except storage.StorageError:
            raise
        except OSError as error:
            raise storage.StorageError(f"{path}: {error.strerror or error}: let TMPDIR name another folder") from error
        storage.upload(path, target.url, replace=target.replace)


class _Counted:
    """An answer whose rows are counted while they are read."""

    def __init__(self, reply: Reply) -> None:
        self.rows = 0
        self.reply = Reply(reply.schema, self._count(reply))

    def _count(self, reply: Reply) -> Iterator[pa.RecordBatch]:
        for batch in reply.batches:
            self.rows += batch.num_rows
            yield batch


def _write_parquet(path: Path, reply: Reply, target: Target) -> None:
    with pq.ParquetWriter(path, reply.schema, compression="zstd", write_page_checksum=True) as writer:
        for group in _row_groups(reply.batches):
            writer.write_table(pa.Table.from_batches(group))


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Batches of about `_GROUP_BYTES` together."""
    group: list[pa.RecordBatch] = []
    for batch in batches:
        group.append(batch)
        if sum(one.nbytes for one in group) >= _GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group


_GROUP_BYTES = 32 << 20


def _write_csv(path: Path, reply: Reply, target: Target) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        write_csv(out, reply.schema.names, reply.rows(), safe=target.safe)


def _write_workbook(path: Path, reply: Reply, target: Target) -> None:
    write_workbook(path, reply.schema.names, reply.rows(keep_dates=True))


_WRITERS: dict[str, Callable[[Path, Reply, Target], None]] = {
    "parquet": _write_parquet,
    "csv": _write_csv,
    "xlsx": _write_workbook,
}
