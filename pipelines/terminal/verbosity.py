"""The flags for what is printed to stderr: --log-level, --quiet, --verbose, --debug; before or after the command."""

import logging
import os
from collections.abc import Callable
from typing import Any

import click

from pipelines.terminal.tracebacks import Tracebacks
from pipelines.terminal.visible import for_people

OWN = ("pipelines", "transforms", "models")
"""Packages of this project. Their warnings are shown by default; those of libraries only on request."""

_LEVELS = ("debug", "info", "warning", "error")


class _PrintableFormatter(logging.Formatter):
    """Formats records, tracebacks included, for the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return for_people(super().format(record))


def start_logging() -> None:
    """Sets the default: errors of libraries, and warnings of this project; no tracebacks."""
    Tracebacks.shown = False
    handler = logging.StreamHandler()
    handler.setFormatter(_PrintableFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    _set_level(logging.ERROR, own=logging.WARNING)


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
        os.environ["TQDM_DISABLE"] = "1"


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
        click.option("--quiet", is_flag=True, expose_value=False, callback=_quiet, help="Print errors only."),
        click.option(
            "--log-level",
            type=click.Choice(_LEVELS),
            expose_value=False,
            callback=_log_level,
            help="Log messages of this level and above, of this project and of libraries.",
        ),
    ):
        function = option(function)
    return function
