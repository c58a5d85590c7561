"""The interactive shell of `query`: lines become statements, Ctrl-C cancels a query, Ctrl-D leaves."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from pipelines.inputs.user_state import state_folder
from pipelines.querying.completions import DELIMITERS, Words, is_complete, words_of
from pipelines.querying.session import Reply, Session
from pipelines.querying.time_limit import REACTION_S
from pipelines.terminal.errors import DONE, CommandFailed, print_error
from pipelines.terminal.signals import ctrl_c_raises, ctrl_c_sets, end_process
from pipelines.terminal.standard_output import standard_output
from pipelines.terminal.visible import for_people
from transforms.storage import StorageError
from transforms.table.versions import TableError

HELP = """End a query with a semicolon; it may have several lines.
Tab completes tables, columns, and tags within quotes.
SHOW TABLES;         lists the tables
DESCRIBE tracks;     lists the columns of a table and what they mean
Ctrl-C               cancels a query or a line
Ctrl-D, exit, .quit  leaves
"""
_LEAVE = {"exit", "quit", ".exit", ".quit", "exit;", "quit;"}
_HISTORY_LINES = 1000
_POLL_S = 0.1


def run_shell(session: Session, show: Callable[[Reply], None]) -> int:
    """Reads and answers questions until the user leaves; returns the exit code.

    Args:
      session: answers the questions.
      show: prints an answer.
    """
    manifest = session.snapshot.manifest
    _say(f"snapshot {manifest.number} of {session.snapshot.root}, read-only; .help shows more, Ctrl-D leaves\n")
    with ctrl_c_raises(), _line_editor(words_of(session.snapshot)) as remember:
        is_open = True
        while is_open:
            try:
                is_open = _one_statement(session, show, remember)
            except KeyboardInterrupt:  # between a line and a query
                _say("\n")
    _say("\n")
    return DONE


def _one_statement(session: Session, show: Callable[[Reply], None], remember: Callable[[str], None]) -> bool:
    """Reads and answers one statement; returns whether there are more."""
    sql = _statement()
    if sql is None:
        return False
    if sql.strip() in (".help", "help", "help;"):
        _say(HELP)
    elif sql.strip(" ;\n\t"):
        remember(sql)
        _answer(session, sql, show)
    return True


def _statement() -> str | None:
    """The next statement; an empty one if it was cancelled; None if the user leaves."""
    lines: list[str] = []
    while True:
        try:
            lines.append(input("    ...> " if lines else "catalog> "))
        except EOFError:
            return None
        except KeyboardInterrupt:
            _say("\n")
            return ""
        text = "\n".join(lines)
        if len(lines) == 1 and text.strip().lower() in _LEAVE:
            return None
        if not text.strip() or text.strip().lower() in (".help", "help") or is_complete(text):
            return text


def _answer(session: Session, sql: str, show: Callable[[Reply], None]) -> None:
    """Answers one question, in a thread of its own: this one waits for Ctrl-C."""
    failed: list[BaseException] = []
    ended = threading.Event()

    def work() -> None:
        try:
            for one in session.statements(sql):
                with session.ask(one) as reply:
                    show(reply)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that waits
            failed.append(error)
        finally:
            ended.set()

    cancel = threading.Event()
    with ctrl_c_sets(cancel):
        threading.Thread(target=work, daemon=True, name="query").start()
        _wait(ended, cancel, session)
    if cancel.is_set():
        _say("cancelled\n")
    elif failed and isinstance(failed[0], CommandFailed | StorageError | TableError):
        print_error(str(failed[0]))
    elif failed:
        raise failed[0]


def _wait(ended: threading.Event, cancel: threading.Event, session: Session) -> None:
    """Waits until the query has ended, and interrupts it if it is cancelled."""
    since = None
    while not ended.wait(_POLL_S):
        if cancel.is_set():
            since = since or time.monotonic()
            session.interrupt()
            if time.monotonic() - since > REACTION_S:
                end_process(130, f"the query does not react to Ctrl-C within {REACTION_S:g} s: the shell was ended")


@contextlib.contextmanager
def _line_editor(words: Words) -> Iterator[Callable[[str], None]]:
    """Completion and a history over all sessions; yields the function that adds a statement to the history."""
    try:
        import readline
    except ModuleNotFoundError:  # Python can be built without it: lines are then read as they are
        yield lambda sql: None
        return
    path = _history_file()
    before = readline.get_completer(), readline.get_completer_delims()
    _configure(readline, words)
    if path is not None:
        with contextlib.suppress(OSError):  # there is none yet, or it cannot be read
            readline.read_history_file(path)
    try:
        yield lambda sql: _remember(readline, sql, path)
    finally:
        readline.set_completer(before[0])
        readline.set_completer_delims(before[1])


def _configure(readline: ModuleType, words: Words) -> None:
    def complete(text: str, state: int) -> str | None:
        found = words.completions(readline.get_line_buffer(), readline.get_begidx(), readline.get_endidx())
        return found[state] if state < len(found) else None

    readline.set_auto_history(False)
    readline.set_history_length(_HISTORY_LINES)
    readline.set_completer(complete)
    readline.set_completer_delims(DELIMITERS)
    readline.parse_and_bind("tab: complete")
    readline.parse_and_bind("set completion-query-items 200")


def _history_file() -> Path | None:
    """The file of the history in the user's folder of states, readable for this user alone; None if there is none."""
    folder = state_folder()
    if folder is None:
        return None
    path = folder / "query_history"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError:
        return None
    return path


def _remember(readline: ModuleType, sql: str, path: Path | None) -> None:
    # One line, unless a comment would then comment out the rest.
    for line in [sql] if "\n" not in sql else sql.split("\n") if "--" in sql else [" ".join(sql.split("\n"))]:
        readline.add_history(line)
    if path is not None:
        with contextlib.suppress(OSError):
            readline.write_history_file(path)


def _say(text: str) -> None:
    with standard_output() as out:
        out.write(for_people(text))
