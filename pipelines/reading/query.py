"""Queries a snapshot's tables in SQL.

catalog-tagger query table "SELECT tag, count(*) AS tracks FROM track_tags WHERE is_positive GROUP BY tag"
"""

import logging
import sys

from pipelines.inputs.flags import Arguments
from pipelines.inputs.table import chosen_snapshot
from pipelines.querying.output_files import checked_target, write_file
from pipelines.querying.session import QueryLimits, Reply, Session
from pipelines.querying.shell import run_shell
from pipelines.terminal.answer import Answer
from pipelines.terminal.comma_separated import write_csv
from pipelines.terminal.errors import DONE, UsageError
from pipelines.terminal.printing import write_json, write_table
from pipelines.terminal.standard_output import standard_output
from transforms.formats.quantities import quantity
from transforms.table.mixture import mixture_text

_log = logging.getLogger(__name__)


def run(args: Arguments, form: str, *, is_chosen: bool) -> int:
    """Streams the rows to stdout or into a file, so that memory does not grow with the result; returns the exit code.

    Args:
      args: the flags.
      form: `table`, `csv`, `safe-csv` or `json`.
      is_chosen: whether the user has chosen that.
    """
    snapshot = chosen_snapshot(args)
    if (mixed := mixture_text(snapshot.manifest.run)) is not None:
        _log.warning("snapshot %d has %s", snapshot.manifest.number, mixed)
    session = Session(snapshot, QueryLimits(timeout_s=args.timeout, memory_bytes=args.memory_limit))
    if args.sql is None and _is_interactive():
        if args.output is not None:
            raise UsageError("--output: give the SQL too, or leave --output out to get the interactive shell")
        return run_shell(session, lambda reply: _print(reply, form))
    sql = _read_sql() if args.sql in (None, "-") else args.sql
    if args.output is not None:
        return _write(session, sql, args, form, is_chosen=is_chosen)
    with session.ask(sql) as reply:
        _print(reply, form)
    return DONE


def _is_interactive() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _read_sql() -> str:
    sql = "" if sys.stdin is None else sys.stdin.read()
    if not sql.strip():
        raise UsageError("no SQL: give it after TABLE, or on standard input")
    return sql


def _write(session: Session, sql: str, args: Arguments, form: str, *, is_chosen: bool) -> int:
    safe = form == "safe-csv"
    if is_chosen and not safe:
        raise UsageError(f"--format {form}: with --output, the suffix of the file decides: leave --format out")
    target = checked_target(args.output, replace=args.force, safe=safe)
    with session.ask(sql) as reply:
        columns = len(reply.schema)
        rows = write_file(target, reply)
    document = {"output": args.output, "rows": rows, "columns": columns}
    Answer(text=f"{args.output}: {quantity(rows, 'row')}, {quantity(columns, 'column')}", document=document).write(
        "table"
    )
    return DONE


def _print(reply: Reply, form: str) -> None:
    names, rows = reply.schema.names, reply.rows()
    with standard_output() as out:
        if form == "table":
            write_table(out, names, rows)
        elif form == "json":
            write_json(out, names, rows)
        else:
            write_csv(out, names, rows, safe=form == "safe-csv")
