"""Questions about one snapshot, with limits on time and memory."""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from pipelines.querying.descriptions import description
from pipelines.querying.time_limit import TimeLimit
from pipelines.terminal.errors import FAILED, USAGE, CommandFailed
from pipelines.terminal.printing import plain_rows, unique_names
from transforms.storage import StorageError
from transforms.table.duckdb_views import NotReadOnly, check_question, connect, other_snapshots, without_texts
from transforms.table.reader import SnapshotReader

_BATCH_ROWS = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueryLimits:
    """What a query may use.

    Attributes:
      timeout_s: most seconds; None for no limit.
      memory_bytes: most memory; None for 80 % of the machine's.
    """

    timeout_s: float | None = None
    memory_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class Reply:
    """The rows of an answer, which are computed while they are read.

    Attributes:
      schema: columns of the batches; their names are unique.
      batches: the rows. Reading them raises CommandFailed if the query fails.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]

    def rows(self) -> Iterator[list[Any]]:
        """The rows as values that JSON can represent."""
        return plain_rows(self.batches, self.schema)


class Session:
    """Answers questions about a snapshot, one at a time."""

    def __init__(self, snapshot: SnapshotReader, limits: QueryLimits) -> None:
        self.snapshot, self.limits = snapshot, limits
        self._interrupt: Callable[[], None] = lambda: None

    def interrupt(self) -> None:
        """Asks the running query to stop; another thread may call this."""
        self._interrupt()

    @contextlib.contextmanager
    def ask(self, sql: str) -> Iterator[Reply]:
        """Starts a query.

        Raises:
          CommandFailed: it is no query, names something that does not exist, or fails.
        """
        previous, numbers = other_snapshots(sql)
        with contextlib.ExitStack() as opened:
            with named_failures():
                memory = self.limits.memory_bytes
                connection = opened.enter_context(
                    connect(self.snapshot, previous=previous, numbers=numbers, memory_bytes=memory)
                )
                self._interrupt = connection.interrupt
                _refuse_call(sql)
                limit = TimeLimit(self.limits.timeout_s, connection.interrupt)
                check_question(connection, sql)
                described = description(connection, self.snapshot, sql)
                with limit.running():
                    reader = (
                        connection.sql(sql).to_arrow_reader(_BATCH_ROWS) if described is None else described.to_reader()
                    )
            names = unique_names(reader.schema.names)
            schema = pa.schema([field.with_name(name) for field, name in zip(reader.schema, names, strict=True)])
            yield Reply(schema, _batches(reader, schema, limit))


def _refuse_call(sql: str) -> None:
    """Names the tables of another snapshot for those who write it as a function."""
    if found := re.search(r"\bsnapshot\s*\(\s*([1-9][0-9]*)\s*\)", without_texts(sql), re.IGNORECASE):
        raise CommandFailed(
            f"{found[0]}: write snapshot_{found[1]}_tracks for the table tracks of snapshot {found[1]}", USAGE
        )


def _batches(reader: pa.RecordBatchReader, schema: pa.Schema, limit: TimeLimit) -> Iterator[pa.RecordBatch]:
    while True:
        with named_failures(), limit.running():
            # By `next` with a default, because StopIteration must not pass through the context managers.
            batch = next(reader, None)
        if batch is None:
            return
        yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)


@contextlib.contextmanager
def named_failures() -> Iterator[None]:
    """Turns the errors of a query into one line with an exit code.

    Raises:
      CommandFailed: DuckDB, Arrow or the storage failed in the block.
    """
    try:
        import duckdb  # an optional dependency: the other commands work without it
    except ModuleNotFoundError as error:
        raise CommandFailed(f"{error.name} is not installed: pip install 'catalog-tagger[query]'") from error
    try:
        yield
    except NotReadOnly as error:
        raise CommandFailed(str(error), USAGE) from error
    except duckdb.ProgrammingError as error:
        raise CommandFailed(one_line(error), USAGE) from error
    except duckdb.OutOfMemoryException as error:
        raise CommandFailed(_out_of_memory(error), FAILED) from error
    except (duckdb.Error, pa.ArrowException, OSError, StorageError) as error:
        # Arrow hands on DuckDB's errors as OSErrors, without their types.
        text = _out_of_memory(error) if str(error).startswith("Out of Memory") else one_line(error)
        raise CommandFailed(text, FAILED) from error


def one_line(error: Exception) -> str:
    """DuckDB's message in one line, without the marked excerpt of the SQL and without a traceback of the storage."""
    text = str(error).split("\n\nLINE ")[0]
    if text.startswith("Traceback"):
        text = text.strip().splitlines()[-1]
    return re.sub(r"\s+", " ", text).strip()


def _out_of_memory(error: Exception) -> str:
    """The first sentence of DuckDB's message, which goes on with settings that are locked here."""
    first = re.sub(r"\s+", " ", str(error).split("\n")[0]).strip()
    return f"{first}: raise --memory-limit, let TMPDIR name a disk with more space, or ask for less"
