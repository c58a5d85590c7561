"""Queries a snapshot's tables in SQL.

catalog-tagger query table "SELECT tag, count(*) AS tracks FROM track_tags WHERE is_positive GROUP BY tag"
"""

import dataclasses
import logging
import sys

from pipelines.inputs.flags import Arguments, write_answer
from pipelines.inputs.table import chosen_snapshot
from pipelines.querying.output_files import checked_target, write_file
from pipelines.querying.questions import chosen_question, questions
from pipelines.querying.session import PLAN_COLUMNS, QueryLimits, Reply, Session
from pipelines.querying.shell import run_shell
from pipelines.terminal.answer import Answer
from pipelines.terminal.comma_separated import write_csv
from pipelines.terminal.errors import DONE, UsageError, print_problems
from pipelines.terminal.printing import write_json, write_table
from pipelines.terminal.standard_output import standard_output
from pipelines.terminal.tables.layout import IN_SHELL, ON_COMMAND_LINE, Hints
from pipelines.terminal.visible import printable
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
    if args.sql is None and args.question is None and _is_interactive():
        if args.output is not None:
            raise UsageError("--output: give the SQL too, or leave --output out to get the interactive shell")
        return run_shell(session, lambda reply: _print(reply, form, IN_SHELL))
    statements = session.statements(_text(args))
    if args.output is not None:
        return _write(session, statements, args, form, is_chosen=is_chosen)
    is_list = form == "json" and len(statements) > 1  # one document for several answers
    for number, sql in enumerate(statements):
        with session.ask(sql) as reply:
            if is_list:
                _write_mark("[\n" if number == 0 else ",\n")
            _print(reply, form, is_first=number == 0)
    if is_list:
        _write_mark("]\n")
    return DONE


def _write_mark(text: str) -> None:
    with standard_output() as out:
        out.write(text)


def listed_questions(args: Arguments, beam_args: list[str]) -> Answer:
    """Returns the typical questions, with their SQL in the document."""
    rows = [dataclasses.asdict(one) for one in questions()]
    lines = [f"{one.number:2}. {one.question}" for one in questions()]
    return Answer(text="\n".join(lines), document={"questions": rows}, rows=rows, all=True)


def _text(args: Arguments) -> str:
    """The SQL that is asked for."""
    if args.question is None:
        return _read_sql() if args.sql in (None, "-") else str(args.sql)
    if args.sql is not None:
        raise UsageError("--question: leave the SQL out, or give it without --question")
    return chosen_question(args.question).sql


def _is_interactive() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _read_sql() -> str:
    sql = "" if sys.stdin is None else sys.stdin.read()
    if not sql.strip():
        raise UsageError("no SQL: give it after TABLE, or on standard input")
    return sql


def _write(session: Session, statements: list[str], args: Arguments, form: str, *, is_chosen: bool) -> int:
    safe = form == "safe-csv"
    if is_chosen and not safe:
        raise UsageError(f"--format {form}: with --output, the suffix of the file decides: leave --format out")
    target = checked_target(args.output, replace=args.force, safe=safe)
    if len(statements) > 1:
        raise UsageError(f"--output={args.output}: the SQL has {len(statements)} statements, a file has one answer")
    with session.ask(statements[0]) as reply:
        columns = len(reply.schema)
        rows = write_file(target, reply)
    text = f"{args.output}: {quantity(rows, 'row')}, {quantity(columns, 'column')}"
    document = {"output": args.output, "rows": rows, "columns": columns}
    write_answer(Answer(text=text, document=document), "table")
    return DONE


def _print(reply: Reply, form: str, hints: Hints = ON_COMMAND_LINE, *, is_first: bool = True) -> None:
    names, rows = reply.schema.names, reply.rows()
    left_out = 0
    with standard_output() as out:
        if form == "table" and names == PLAN_COLUMNS:
            out.writelines(f"{printable(plan)}\n" for _, plan in rows)
        elif form == "table":
            left_out = write_table(out, names, rows, hints)
        elif form == "json":
            write_json(out, names, rows)
        else:
            write_csv(out, names, rows, safe=form == "safe-csv", is_first=is_first)
    if left_out:
        print_problems([f"{quantity(left_out, 'row')} left out: {hints.rows}"])
