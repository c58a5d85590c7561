"""Flags that several commands share, and the call from a command's flags to its body.

Imports nothing that is slow to import.
"""

import getpass
import socket
import types
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from pipelines.inputs.numbers import RATIO
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import UsageError, print_error
from pipelines.terminal.standard_output import OutputFailed
from pipelines.terminal.verbosity import verbosity_flags

Decorator = Callable[[Any], Any]


class Arguments(types.SimpleNamespace):
    """The values of a command's flags, by name."""


def is_given(flag: str) -> bool:
    """Whether a flag was given, by the name of its value, or has its default; True outside of a command."""
    context = click.get_current_context(silent=True)
    return context is None or context.get_parameter_source(flag) is not ParameterSource.DEFAULT


def user_and_host() -> str:
    """Who runs this command, for records: `user@host`."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def answer(body: Callable[[Arguments, list[str]], Answer], flags: dict[str, Any]) -> int:
    """Runs a command's body and writes its answer in the format of `--format`; returns the exit code.

    Args:
      body: gets the flags, and the remaining words for Beam.
      flags: the command's flags; those of the format are removed.
    """
    form = answer_form(flags)
    result = body(Arguments(**flags), list(click.get_current_context().args))
    write_answer(result, form)
    return result.code


def write_answer(result: Answer, form: str) -> None:
    """Writes an answer. If the command also did something else, that stdout cannot be written does not fail it.

    Raises:
      OutputFailed: stdout cannot be written, and the command does nothing else.
    """
    try:
        result.write(form)
    except OutputFailed as error:
        if result.all:
            raise
        if not error.reader_left:
            print_error(f"{error}; everything else is done")


def answer_form(flags: dict[str, Any]) -> str:
    """Removes the flags of the format and returns it: `table`, `csv`, `safe-csv` or `json`.

    Raises:
      UsageError: `--safe-csv` and another format are given.
    """
    form: str = flags.pop("format")
    if not flags.pop("safe_csv"):
        return form
    given = click.get_current_context().get_parameter_source("format")
    if form != "csv" and given is not ParameterSource.DEFAULT:
        raise UsageError(f"--safe-csv: this is a form of CSV, not of {form}: leave one of the flags out")
    return "safe-csv"


def combined(*options: Decorator) -> Decorator:
    """Returns one decorator that adds several flags, in this order."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


answer_flags = combined(
    click.option(
        "--format",
        type=click.Choice(["table", "csv", "json"]),
        default="table",
        show_default=True,
        help="How the answer is written to stdout. table: as text for people.",
    ),
    click.option("--json", "format", flag_value="json", help="Short for --format json."),
    click.option(
        "--safe-csv",
        is_flag=True,
        help="Write CSV for spreadsheets: text that they would take for a formula gets an apostrophe, control "
        "characters are escaped, and a byte order mark tells Excel that it is UTF-8.",
    ),
    verbosity_flags,
)
"""Flags of every command that returns an `Answer`."""

catalog_flag = click.option(
    "--catalog", required=True, metavar="CATALOG", help="Parquet, CSV or JSON Lines: a file, folder or glob."
)

taxonomy_flag = click.option("--taxonomy", required=True, metavar="YAML", help="Categories and tags.")

unknown_tags_flag = click.option(
    "--unknown-tags",
    type=click.Choice(["fail", "drop"]),
    default="fail",
    show_default=True,
    help="What to do with tags of the catalog that a category of the taxonomy does not have: report them as problems, "
    "or drop them.",
)

split_ratios_flag = click.option(
    "--split-ratios",
    default="0.8,0.1,0.1",
    show_default=True,
    metavar="A,B,C",
    help="Shares of the artists in training, validation and test.",
)

split_flags = combined(
    split_ratios_flag,
    click.option(
        "--split-column",
        metavar="COLUMN",
        help="Catalog column with an official split: train, validation, test or none.",
    ),
)
"""Flags that assign tracks to the sides of the split."""

snapshot_flags = combined(
    click.argument("table", metavar="TABLE"),
    click.option("--snapshot", type=int, metavar="N", help="Number of a snapshot (default: the newest)."),
    click.option(
        "--as-of",
        metavar="TIME",
        help="The newest snapshot at that time: 2026-01-31 (the end of that day, UTC) or 2026-01-31T06:00.",
    ),
)
"""Flags that select a snapshot of a table."""

force_flag = click.option("--force", is_flag=True, help="Replace the output if it exists.")

gate_flags = combined(
    click.option(
        "--max-reject-ratio",
        type=RATIO,
        default=0.1,
        show_default=True,
        metavar="RATIO",
        help="Fail without publishing if more than this fraction of tracks is rejected.",
    ),
    click.option(
        "--max-unavailable-ratio",
        type=RATIO,
        default=0.0005,
        show_default=True,
        metavar="RATIO",
        help="Fail without publishing if, for more than this fraction of tracks, the storage did not answer or the "
        "machine ended the decoder.",
    ),
)
"""Limits of the gates of every job that decodes audio."""

removed_flag = combined(
    click.option(
        "--max-removed-ratio",
        type=RATIO,
        default=0.2,
        show_default=True,
        metavar="RATIO",
        help="Fail without publishing if the catalog lacks more than this fraction of the tracks of the last snapshot.",
    ),
    click.option(
        "--gate",
        multiple=True,
        metavar="NAME=LIMIT",
        help="Limit of a gate, for example removed=0.05. Without a flag, limits are those of gates.yaml in the table, "
        "or the defaults. Repeatable.",
    ),
)
"""Limits of the gates of jobs that follow a snapshot."""


def extraction_flags(*, unit: str, late: str) -> Decorator:
    """Flags of the jobs that decode audio.

    Args:
      unit: name of a group of `--chunk-tracks` tracks, for the help text.
      late: what a user does or sees after `--no-wait`, for the help text.
    """
    return combined(
        click.option(
            "--catalog-root",
            metavar="FOLDER",
            help="Folder that relative uris start from (default: the catalog's folder).",
        ),
        click.option(
            "--allow-root",
            multiple=True,
            metavar="PREFIX",
            help="Also read audio beneath this folder or gs:// prefix (default: only beneath the catalog root, or in "
            "its bucket). Links are resolved before they are compared. Repeatable.",
        ),
        gate_flags,
        click.option(
            "--chunk-tracks",
            type=int,
            default=64,
            show_default=True,
            metavar="N",
            help=f"Largest number of tracks in a {unit}.",
        ),
        click.option(
            "--allow-weak-sandbox",
            is_flag=True,
            help="Decode also where the system cannot restrict decoders to a list of system calls (seccomp).",
        ),
        click.option(
            "--no-wait",
            is_flag=True,
            help=f"Launch the job and return at once, with DirectRunner when it has ended; {late}.",
        ),
    )


head_flags = combined(
    click.option(
        "--balance",
        type=click.Choice(["none", "effective", "inverse"]),
        default="none",
        show_default=True,
        help="Weights of tracks in the loss. none: all equal. inverse: tracks with a tag weigh as much in total as "
        "tracks without it. effective: like inverse for rare tags, weaker for tags of more than about 1,000 tracks.",
    ),
    click.option(
        "--precision-target",
        multiple=True,
        metavar="[TAG=]SHARE",
        help="Choose the lowest threshold with at least this precision on validation tracks, instead of the one with "
        "the best F1: 0.9 for all tags, mood/calm=0.9 for one tag. Repeatable.",
    ),
)
"""Flags of the fitting of heads."""
