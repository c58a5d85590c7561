"""Queries a snapshot's tables in SQL.

catalog-tagger query table "SELECT tag, count(*) AS tracks FROM track_tags WHERE is_positive GROUP BY tag"
"""

import re
import sys
from typing import TYPE_CHECKING

from pipelines.inputs.flags import Arguments
from pipelines.inputs.table import chosen_snapshot
from pipelines.terminal.comma_separated import write_csv
from pipelines.terminal.errors import DONE, FAILED, USAGE, CommandFailed
from pipelines.terminal.printing import plain_rows, unique_names, write_json, write_table
from pipelines.terminal.standard_output import standard_output
from transforms.storage import StorageError
from transforms.table.duckdb_views import NotReadOnly, check_question, connect, other_snapshots

if TYPE_CHECKING:
    import duckdb


def run(args: Arguments, form: str) -> int:
    """Streams the rows to stdout, so that memory does not grow with the result; returns the exit code."""
    snapshot = chosen_snapshot(args)
    sql = sys.stdin.read() if args.sql == "-" else args.sql
    try:
        import duckdb  # an optional dependency: the other commands work without it
    except ModuleNotFoundError as error:
        raise CommandFailed(f"{error.name} is not installed: pip install 'catalog-tagger[query]'") from error

    previous, numbers = other_snapshots(sql)
    try:
        with connect(snapshot, previous=previous, numbers=numbers) as connection:
            _answer(connection, sql, form)
    except NotReadOnly as error:
        raise CommandFailed(str(error), USAGE) from error
    except duckdb.ProgrammingError as error:
        raise CommandFailed(one_line(error), USAGE) from error
    except (duckdb.Error, StorageError) as error:
        raise CommandFailed(one_line(error), FAILED) from error
    return DONE


def _answer(connection: "duckdb.DuckDBPyConnection", sql: str, form: str) -> None:
    check_question(connection, sql)
    reader = connection.sql(sql).to_arrow_reader(10_000)
    names = unique_names(reader.schema.names)
    rows = plain_rows(reader, reader.schema)
    with standard_output() as out:
        if form == "table":
            write_table(out, names, rows)
        elif form == "json":
            write_json(out, names, rows)
        else:
            write_csv(out, names, rows, safe=form == "safe-csv")


def one_line(error: Exception) -> str:
    """DuckDB's message in one line, without the marked excerpt of the SQL and without a traceback of the storage."""
    text = str(error).split("\n\nLINE ")[0]
    if text.startswith("Traceback"):
        text = text.strip().splitlines()[-1]
    return re.sub(r"\s+", " ", text).strip()
