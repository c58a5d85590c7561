"""The flags for what is printed to stderr: --log-level, --log-format, --quiet, --verbose, --debug.

They may be given before or after the command.
"""

import logging
from collections.abc import Callable
from typing import Any

import click

from pipelines.terminal.log_lines import LineFormatter, LogForm
from pipelines.terminal.progress import shown_phases
from pipelines.terminal.tracebacks import Tracebacks
from transforms.telemetry.phases import listen

OWN = ("pipelines", "transforms", "models")
"""Packages of this project. Their warnings are shown by default; those of libraries only on request."""

_LEVELS = ("debug", "info", "warning", "error")
_QUIET = "quiet"


def start_logging() -> None:
    """Sets the default: phases, errors of libraries, and warnings of this project; no tracebacks."""
    Tracebacks.shown = LogForm.json = False
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    handler.addFilter(_is_wanted)
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    _set_level(logging.ERROR, own=logging.WARNING)
    listen(shown_phases())


def _is_wanted(record: logging.LogRecord) -> bool:
    """Whether a message is shown; some libraries give their loggers a level that is lower than the root's."""
    return record.name.partition(".")[0] in OWN or record.levelno >= logging.getLogger().level


def _set_level(level: int, own: int) -> None:
    logging.getLogger().setLevel(level)
    for package in OWN:
        logging.getLogger(package).setLevel(own)
    # Beam logs each error with its traceback, once per attempt; the command says the cause once.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL if level >= logging.ERROR else logging.NOTSET)


def _log_level(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        level = getattr(logging, value.upper())
        _set_level(level, own=level)


def _quiet(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        _set_level(logging.CRITICAL, own=logging.ERROR)
        ctx.find_root().meta[_QUIET] = True
        listen(None)


def _log_format(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        LogForm.json = value == "json"
        if not ctx.find_root().meta.get(_QUIET):
            listen(shown_phases())


def _verbose(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        _set_level(logging.INFO, own=logging.INFO)


def _debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        Tracebacks.shown = True


def verbosity_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the flags to a command. They take effect when they are parsed and are not passed to the command."""
    for option in (
        click.option("--debug", is_flag=True, expose_value=False, callback=_debug, help="Print tracebacks of errors."),
        click.option("--verbose", is_flag=True, expose_value=False, callback=_verbose, help="Log what happens."),
        click.option(
            "--quiet",
            is_flag=True,
            expose_value=False,
            callback=_quiet,
            help="Print errors only to stderr. The answer on stdout stays.",
        ),
        click.option(
            "--log-level",
            type=click.Choice(_LEVELS),
            expose_value=False,
            callback=_log_level,
            help="Log messages of this level and above, of this project and of libraries.",
        ),
        click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            expose_value=False,
            callback=_log_format,
            help="How lines are written to stderr: text, or one JSON object per line (default: text).",
        ),
    ):
        function = option(function)
    return function
