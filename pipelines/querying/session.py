"""Questions about one snapshot, with limits on time and memory."""

import contextlib
import dataclasses
import functools
import logging
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.querying.descriptions import description
from pipelines.querying.failures import named_failures
from pipelines.querying.notes import Notes
from pipelines.querying.statements import check_syntax, mentions, split_statements
from pipelines.querying.time_limit import TimeLimit
from pipelines.terminal.errors import USAGE, CommandFailed
from pipelines.terminal.printing import plain_rows, unique_names
from transforms.table.duckdb_views import (
    calls_macro,
    check_question,
    connect,
    other_snapshots,
    view_names,
    without_texts,
)
from transforms.table.reader import SnapshotReader

if TYPE_CHECKING:
    import duckdb

_BATCH_ROWS = 10_000

PLAN_COLUMNS = ["explain_key", "explain_value"]
"""Columns of the answer to EXPLAIN. The second one is a drawing of several lines."""

_log = logging.getLogger(__name__)


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

    def rows(self, *, keep_dates: bool = False) -> Iterator[list[Any]]:
        """The rows as values that JSON can represent, but for dates and times of a column, if they are to be kept."""
        return plain_rows(self.batches, self.schema, keep_dates=keep_dates)


class Session:
    """Answers questions about a snapshot, one at a time."""

    def __init__(self, snapshot: SnapshotReader, limits: QueryLimits) -> None:
        self.snapshot, self.limits = snapshot, limits
        self._notes = Notes(snapshot)
        self._interrupt: Callable[[], None] = lambda: None

    def interrupt(self) -> None:
        """Asks the running query to stop, if there is one; another thread may call this, repeatedly."""
        with contextlib.suppress(Exception):  # the connection may be closed at this moment
            self._interrupt()

    def statements(self, text: str) -> list[str]:
        """The queries of a text. None of them is run yet.

        Raises:
          CommandFailed: the text cannot be parsed, has no statement, or one that is no query.
        """
        with named_failures():
            import duckdb  # after the check that it is installed

            with duckdb.connect(":memory:") as connection:
                check_syntax(connection, text)
                found = split_statements(connection, text)
                if not found:
                    raise CommandFailed("the SQL has no statement, only comments or space: add a query", USAGE)
                for sql in found:
                    check_question(connection, sql)
        return found

    @contextlib.contextmanager
    def ask(self, sql: str) -> Iterator[Reply]:
        """Starts a query, and warns about what may surprise in its answer.

        Raises:
          CommandFailed: it is not one query, names something that does not exist, or fails.
        """
        previous, numbers = other_snapshots(sql)
        tables: Callable[[], list[str]] = list
        with contextlib.ExitStack() as opened:
            with named_failures(lambda: tables()):
                memory = self.limits.memory_bytes
                connection = opened.enter_context(
                    connect(
                        self.snapshot,
                        previous=previous,
                        numbers=numbers,
                        macros=calls_macro(sql),
                        memory_bytes=memory,
                    )
                )
                self._interrupt = connection.interrupt
                tables = functools.partial(view_names, connection)
                _refuse_call(sql)
                limit = TimeLimit(self.limits.timeout_s, connection.interrupt)
                check_syntax(connection, sql)
                check_question(connection, sql)
                for note in self._notes.about(mentions(connection, sql)):
                    _log.warning("%s", note)
                described = description(connection, self.snapshot, sql)
                with limit.running():
                    reader = (
                        connection.sql(sql).to_arrow_reader(_BATCH_ROWS) if described is None else described.to_reader()
                    )
            names = unique_names(reader.schema.names)
            schema = pa.schema([field.with_name(name) for field, name in zip(reader.schema, names, strict=True)])
            try:
                yield Reply(schema, _batches(reader, schema, limit))
            finally:
                _end(reader, connection)


def _end(reader: pa.RecordBatchReader, connection: "duckdb.DuckDBPyConnection") -> None:
    """Ends a query whose rows were not all read. DuckDB's threads read ahead, and must not outlive the connection."""
    connection.interrupt()
    with contextlib.suppress(Exception):
        while next(reader, None) is not None:
            pass
    reader.close()


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
