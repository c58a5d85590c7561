"""Notifies a URL or a command if a run is blocked, fails or is late."""

import contextlib
import json
import logging
import shlex
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from pipelines.inputs.flags import Arguments
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import FAILED, REFUSED, CommandFailed, UsageError
from transforms.storage import redact

URL_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 60.0

Body = Callable[[Arguments, list[str]], Answer]
_log = logging.getLogger(__name__)


def notifying(body: Body) -> Body:
    """The same body of a command, which tells `--notify` if it is blocked, fails or takes longer than `--late-after`.

    The exit code does not depend on it: a notification that fails is a warning.
    """

    def run(args: Arguments, words: list[str]) -> Answer:
        if args.notify is None:
            if args.late_after is not None:
                raise UsageError("--late-after needs --notify: name who is told")
            return body(args, words)
        _check(args.notify)
        began = time.monotonic()

        def tell(event: str, code: int | None, message: str) -> None:
            seconds = round(time.monotonic() - began, 1)
            fields = {"event": event, "table": args.table, "exit_code": code, "message": message, "seconds": seconds}
            notify(args.notify, fields)

        try:
            with _late(args.late_after, tell):
                return body(args, words)
        except CommandFailed as failed:
            tell("blocked" if failed.code == REFUSED else "failed", failed.code, str(failed))
            raise
        except Exception as error:
            tell("failed", FAILED, str(error) or type(error).__name__)
            raise

    return run


def _check(target: str) -> None:
    """Raises UsageError if the target is neither a URL that can be used nor a command."""
    scheme, found, _ = target.partition("://")
    if found and " " not in scheme and scheme.lower() not in ("http", "https"):
        raise UsageError(f"--notify {redact(target)}: give an http:// or https:// URL, or a command")
    if not _is_url(target):
        try:
            words = shlex.split(target)
        except ValueError as error:
            raise UsageError(f"--notify {redact(target)}: {error}") from error
        if not words:
            raise UsageError("--notify is empty: give a URL or a command")


def _is_url(target: str) -> bool:
    return target.lower().startswith(("http://", "https://"))


@contextlib.contextmanager
def _late(after_s: float | None, tell: Callable[[str, int | None, str], None]) -> Iterator[None]:
    """Tells once that the block takes longer than so many seconds."""
    if after_s is None:
        yield
        return
    timer = threading.Timer(after_s, tell, ("late", None, f"the run has not ended after {after_s:g} s"))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def notify(target: str, fields: dict[str, Any]) -> None:
    """Sends the fields as one JSON document, without secrets: by POST to a URL, or on stdin of a command.

    The command is started without a shell. Every failure is a warning.
    """
    safe = {name: redact(value) if isinstance(value, str) else value for name, value in fields.items()}
    document = json.dumps(safe, ensure_ascii=False).encode()
    try:
        if _is_url(target):
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(target, data=document, headers=headers, method="POST")
            with urllib.request.urlopen(request, timeout=URL_TIMEOUT_S):
                return
        subprocess.run(
            shlex.split(target),
            input=document,
            timeout=COMMAND_TIMEOUT_S,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        words = f"{type(error).__name__}: {error}"
        _log.warning("the notification of a run that is %s failed: %s", fields["event"], redact(words))
