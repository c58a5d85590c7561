"""Conditions in SQL over the rows of a table, evaluated as `query` evaluates its questions."""

import re
from collections.abc import Iterator

import pyarrow as pa

from pipelines.terminal.errors import CommandFailed, UsageError
from transforms.storage import StorageError
from transforms.table.duckdb_views import connect, without_texts
from transforms.table.reader import SnapshotReader

_BATCH_ROWS = 65_536


def matching_tracks(
    snapshot: SnapshotReader, condition: str, table: str = "ledger", flag: str = "--first"
) -> Iterator[pa.RecordBatch]:
    """Yields the ids of the tracks whose row meets a condition, in batches of one column.

    Args:
      snapshot: the snapshot.
      condition: one expression over the columns of the table, such as `reason = 'unavailable'`.
      table: `ledger` or `tracks`.
      flag: the flag of the condition, for messages.

    Raises:
      UsageError: it is no such expression.
      CommandFailed: DuckDB is not installed, or the table cannot be read.
    """
    if re.search(r"\bselect\b", without_texts(condition), re.IGNORECASE):
        raise _refusal(snapshot, table, flag, condition, "it has a query in it")
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise CommandFailed(f"{flag}: {error.name} is not installed: pip install 'catalog-tagger[query]'") from error
    with connect(snapshot) as connection:
        try:
            chosen = connection.table(table).filter(duckdb.SQLExpression(condition))
            reader = chosen.select(duckdb.ColumnExpression("track_id")).to_arrow_reader(_BATCH_ROWS)
            while (batch := next(reader, None)) is not None:
                yield batch
        except (duckdb.Error, pa.ArrowException, TypeError, ValueError) as error:
            raise _refusal(snapshot, table, flag, condition, str(error)) from error
        except (OSError, StorageError) as error:
            # Arrow hands on DuckDB's errors of the rows, such as a text that is no number, as OSErrors.
            if any(word in str(error) for word in ("Conversion Error", "Invalid Input Error", "Out of Range Error")):
                raise _refusal(snapshot, table, flag, condition, str(error)) from error
            raise CommandFailed(f"{flag} {condition!r}: {' '.join(str(error).split())[:300]}") from error


def _refusal(snapshot: SnapshotReader, table: str, flag: str, condition: str, why: str) -> UsageError:
    reason = re.sub(r"\s+", " ", why.split("\n\nLINE ")[0]).strip()[:300]
    return UsageError(
        f"{flag} {condition!r}: {reason}: give one condition over the columns of the {table}, which are "
        f"{', '.join(snapshot.schema(table).names)}"
    )
