"""The `catalog-tagger` console script: finds the command, runs it, and maps failures to exit codes.

A command is a module of this package. It declares the flags and imports nothing that is slow to import. Its body in
`pipelines.jobs` does the work, and is imported when the command runs.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from signal import SIGINT
from typing import NamedTuple

import click

from pipelines.terminal.command import PROGRAM, CommandGroup, print_page
from pipelines.terminal.errors import DONE, FAILED, READER_LEFT, USAGE, CommandFailed, machine_fault, print_error
from pipelines.terminal.old_spellings import new_spelling
from pipelines.terminal.signals import end_on_signals, end_process, sentence, stop_signal, tells_the_end
from pipelines.terminal.standard_output import OutputFailed, accept_every_text, open_closed_streams
from pipelines.terminal.tracebacks import error_line, keep_traceback, show_traceback
from pipelines.terminal.verbosity import start_logging, verbosity_flags
from pipelines.terminal.watchdog import end_without_storage


class Entry(NamedTuple):
    """The module of a command, and the sentence that `--help` prints."""

    module: str
    help: str


COMMANDS = {
    "import": Entry("import_", "Make a catalog from a folder of audio files or from metadata tables."),
    "import-model": Entry(
        "import_model", "Make bundles from networks that others trained (MusiCNN, any ONNX file), or with other rules."
    ),
    "labels": Entry(
        "labels",
        "Report each tag's number of tracks and artists, the tags it co-occurs with, and contradictory annotations; "
        "drop tags that too few artists carry.",
    ),
    "taxonomy": Entry(
        "taxonomy", "Compare two versions of a taxonomy: what a change means for heads, tags and tables."
    ),
    "split": Entry(
        "split", "Split a catalog by artist so that every tag gets its share, for `prepare --split-column`."
    ),
    "prepare": Entry(
        "prepare", "Make training data: extract the labelled part of a catalog into TFRecord shards, split by artist."
    ),
    "train": Entry(
        "train",
        "Train a tagger on a prepared dataset: trunk, heads, calibration, thresholds and metrics in one bundle.",
    ),
    "refit": Entry("refit", "Fit new heads on the embeddings of a published table, without reading any audio."),
    "submit": Entry("submit", "Run `train` or `refit` as a job on Vertex AI or Kubernetes."),
    "evaluate": Entry(
        "evaluate", "Evaluate a bundle on a held-out split: metrics with confidence intervals, and a report to read."
    ),
    "tag": Entry("tag", "Tag a catalog: extract new and changed tracks, score all tracks, publish a snapshot."),
    "publish": Entry(
        "publish", "Audit a finished run (default: that of the last launch) and commit it as the next snapshot."
    ),
    "rollback": Entry("rollback", "Publish the content of an earlier snapshot as the next snapshot."),
    "snapshots": Entry("snapshots", "List the snapshots of a table: age, sizes, gates, rejects and rollbacks."),
    "diff": Entry(
        "diff",
        "Compare two snapshots: tracks added, removed and changed, tags gained and lost, shifts of scores. "
        "The text is Markdown.",
    ),
    "status": Entry("status", "Show for a monitor how a table is: last run, age, gates, disk, running jobs."),
    "neighbours": Entry(
        "neighbours", "Find the most similar tracks of every track, publish them, and make the search index."
    ),
    "similar": Entry("similar", "List the tracks that sound most like a track of a table, or like an audio file."),
    "iceberg": Entry("iceberg", "Write Apache Iceberg's metadata of a table again, after the table was moved."),
    "gc": Entry("gc", "Remove files of a table that no retained snapshot and no run to come needs."),
    "purge": Entry("purge", "Take tracks out of all snapshots, part files and datasets (a takedown)."),
    "query": Entry(
        "query",
        "Run an SQL query on the tables with DuckDB: tracks, track_tags, embeddings, ledger, taxonomy, "
        "artist_tags, album_tags, neighbours; with previous_ in front those of the snapshot before, with snapshot_3_ "
        "those of snapshot 3. "
        "Without SQL, it opens an interactive shell, or reads the query from standard input. SHOW TABLES and DESCRIBE "
        "explain tables and columns.",
    ),
    "export": Entry(
        "export",
        "Write the tags in other forms: a table with one column per tag, copies of the audio files with the tags in "
        "them, or a library for Rekordbox or Beets.",
    ),
    "search": Entry(
        "search",
        "Find the tracks that fit weighted tags, plain words, ranges, text and keys best, and say why.",
    ),
    "playlist": Entry(
        "playlist", "Make a playlist from seeds, tags and words, or extend one; write M3U, XSPF, CSV or JSON."
    ),
    "mix": Entry("mix", "Mix styles by percentages, with tracks added and subtracted."),
    "path": Entry("path", "Find a walk from one track to another in small steps."),
    "recommend": Entry("recommend", "Recommend artists, albums or tracks for an artist, an album or a track."),
    "profile": Entry("profile", "Describe a listening history by the tags of its tracks, compared with the catalog."),
    "serve": Entry(
        "serve",
        "Serve a table over HTTP: tracks, artists, albums, tags, search; `--add-client` makes clients.",
    ),
    "sql": Entry("sql", "Print the statements that open the tables in DuckDB, BigQuery or Spark."),
    "describe": Entry("describe", "Show the snapshots of a table, or what a bundle or dataset is."),
    "verify": Entry("verify", "Check every hash and count of a published snapshot, and that its tables agree."),
    "doctor": Entry("doctor", "Check whether a job can run: this machine, and the places and engine that are named."),
    "synthesize": Entry("synthesize", "Synthesise a catalog with audio and known tags."),
    "completion": Entry("completion", "Print the completion script of a shell: bash, zsh or fish."),
}
"""Every command, in the order of `--help`."""


class _Commands(CommandGroup):
    """The commands; each is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        entry = COMMANDS[cmd_name]
        command: click.Command = importlib.import_module(f"pipelines.{entry.module}").command
        command.name, command.help = cmd_name, entry.help
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(
    PROGRAM, cls=_Commands, help="Tag large music catalogs: read audio files and publish tables of tags in Parquet."
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda ctx, param, value: print_page(ctx, f"{PROGRAM}, version {version(PROGRAM)}") if value else None,
    help="Show the version and exit.",
)
@verbosity_flags
def program() -> None:
    """The console script."""


def input_errors() -> tuple[type[Exception], ...]:
    """Errors that are printed as one line without a traceback, because an input is missing or wrong."""
    from models.bundles.trunk_bundle import BundleError
    from transforms.catalog.problems import CatalogError
    from transforms.dataset.manifest import DatasetError
    from transforms.storage import StorageError
    from transforms.table.versions import TableError
    from transforms.taxonomy.hierarchy import TaxonomyError

    return (BundleError, CatalogError, DatasetError, StorageError, TableError, TaxonomyError)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code, see `pipelines.terminal.errors`.

    Args:
      argv: words of the command line. By default those of this process, which then belongs to the command: signals end
        it in order.
    """
    if argv is None:
        open_closed_streams()
        end_on_signals()
        end_without_storage()
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
    except MemoryError as error:
        code = _failed(error, "memory is exhausted: give this process more, or raise `ulimit -v`", FAILED)
    if (number := stop_signal()) is None:
        return code
    if argv is not None or tells_the_end():
        print_error(sentence(number))
    if argv is None:
        end_process(128 + number)
    return 128 + number


def _run(words: Sequence[str]) -> int:
    start_logging()
    accept_every_text()
    try:
        if (replacement := new_spelling(words)) is not None:
            raise CommandFailed(f"this is now: {PROGRAM} {replacement}", USAGE)
        code = program.main(words, prog_name=PROGRAM, standalone_mode=False)
        return int(code or DONE)
    except CommandFailed as error:
        return _failed(error, str(error), error.code)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        return FAILED if stop_signal() is not None else _failed(None, sentence(SIGINT), 128 + SIGINT)
    except click.ClickException as error:
        place = f"; see `{error.ctx.command_path} --help`" if isinstance(error, click.UsageError) and error.ctx else ""
        return _failed(error, " ".join(error.format_message().split()).rstrip(".") + place, USAGE)
    except OutputFailed as error:
        return READER_LEFT if error.reader_left else _failed(error, str(error), FAILED)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # click's way to end if the reader of stdout has left
            return READER_LEFT
        return stop.code if isinstance(stop.code, int) else FAILED
    except MemoryError:  # what follows needs memory itself
        raise
    except Exception as error:  # noqa: BLE001 - the end of every command, which no bug may leave with a traceback
        if isinstance(error, input_errors()):
            return _failed(error, str(error), FAILED)
        if isinstance(error, FileNotFoundError) and "No usable temporary directory" in str(error):
            return _failed(error, "no temporary folder can be written: set TMPDIR to a folder with free space", FAILED)
        if (fault := machine_fault(error)) is not None:
            return _failed(error, fault, FAILED)
        report = f"internal error: {error_line(error)}; {keep_traceback(error)}: please report it"
        return _failed(error, report, FAILED)


def _failed(error: Exception | None, message: str, code: int) -> int:
    """Prints why the command failed, unless it failed because it was asked to end; returns the exit code."""
    if stop_signal() is None:
        if error is not None:
            show_traceback(error)
        print_error(message)
    return code


if __name__ == "__main__":
    sys.exit(main())
