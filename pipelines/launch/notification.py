"""Notifies a URL or a command if a run is blocked, fails or is late."""

import base64
import concurrent.futures
import contextlib
import json
import logging
import re
import shlex
import subprocess
import threading
import time
import urllib.parse
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
                answer = body(args, words)
        except CommandFailed as failed:
            tell("blocked" if failed.code == REFUSED else "failed", failed.code, str(failed))
            raise
        except Exception as error:
            tell("failed", FAILED, str(error) or type(error).__name__)
            raise
        if answer.code == REFUSED:  # a sample that gates refuse
            tell("blocked", REFUSED, answer.text.partition("\n")[0])
        return answer

    return run


def _check(target: str) -> None:
    """Raises UsageError if the target is neither a URL that can be used nor a command."""
    scheme, found, _ = target.partition("://")
    if found and " " not in scheme and scheme.lower() not in ("http", "https"):
        raise UsageError(f"--notify {redact(target)}: give an http:// or https:// URL, or a command")
    if _is_url(target):
        try:
            urllib.parse.urlsplit(target)
            if re.search(r"[\x00-\x20\x7f]", target):
                raise ValueError("a URL has no spaces and control characters")
        except ValueError as error:
            raise UsageError(f"--notify {redact(target)}: {error}") from error
    else:
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
    document = json.dumps(safe, ensure_ascii=False).encode(errors="backslashreplace")
    try:
        if _is_url(target):
            _in_time(lambda: _post(target, document))
            return
        subprocess.run(
            shlex.split(target),
            input=document,
            timeout=COMMAND_TIMEOUT_S,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except Exception as error:  # noqa: BLE001 - whatever fails, the run ends as it would have ended
        _log.warning("the notification of a run that is %s failed: %s", fields["event"], _without_target(error, target))


def _in_time(post: Callable[[], None]) -> None:
    """Calls a function in a thread that is left behind after `URL_TIMEOUT_S`.

    The limit of `urlopen` is one of each read: a server that sends a byte now and then would never end it.
    """
    answer: concurrent.futures.Future[None] = concurrent.futures.Future()

    def run() -> None:
        try:
            post()
            answer.set_result(None)
        except Exception as error:  # noqa: BLE001 - the caller gets it
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    answer.result(timeout=URL_TIMEOUT_S)


def _post(target: str, document: bytes) -> None:
    """Posts a document; user and password of the URL become a header, and no redirection is followed."""
    parts = urllib.parse.urlsplit(target)
    user, found, host = parts.netloc.rpartition("@")
    headers = {"Content-Type": "application/json"}
    if found:
        headers["Authorization"] = "Basic " + base64.b64encode(urllib.parse.unquote(user).encode()).decode()
    request = urllib.request.Request(
        urllib.parse.urlunsplit(parts._replace(netloc=host)), data=document, headers=headers, method="POST"
    )
    with urllib.request.build_opener(_NoRedirection).open(request, timeout=URL_TIMEOUT_S):
        return


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """A redirection is an error: the document would be sent to a place that the user did not name, or not at all."""

    def redirect_request(self, *args: Any) -> None:
        return None


def _without_target(error: Exception, target: str) -> str:
    """What failed, without parts of the target: webhooks contain their key in the path, commands in their words."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"the command ended with exit status {error.returncode}"
    if isinstance(error, TimeoutError | subprocess.TimeoutExpired):
        return "there was no answer in time"
    words = f"{type(error).__name__}: {error}"
    for part in sorted(re.split(r"[/\s]", target)[1:], key=len, reverse=True):
        words = words.replace(part, "***") if len(part) > 3 else words
    return redact(" ".join(words.split()))
