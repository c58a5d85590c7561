"""Makes a catalog from a folder of audio files or from metadata tables.

catalog-tagger import folder MUSIC --output catalog.parquet
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, combined
from pipelines.inputs.numbers import RATIO
from pipelines.terminal.command import Command, CommandGroup

_output = combined(
    click.option("--output", required=True, metavar="CATALOG", help="Parquet file to write or replace."),
    click.option("--taxonomy", metavar="YAML", help="Also write a taxonomy of the tags that were found."),
    click.option(
        "--max-lost-ratio",
        type=RATIO,
        default=0.01,
        show_default=True,
        metavar="RATIO",
        help="Fail with exit code 5 and write nothing if more than this fraction of the rows, or of the files that are "
        "named like audio, becomes no track.",
    ),
    answer_flags,
)


@click.group(cls=CommandGroup)
def command() -> None:
    """One subcommand per source."""


@command.command(cls=Command, help="A folder of audio files with their embedded tags; subfolders are included.")
@click.argument("folder", metavar="FOLDER")
@_output
def folder(**flags: Any) -> int:
    """Reads the files' tags."""
    from pipelines.jobs.import_ import run_folder

    return answer(run_folder, flags)


@command.command("mtg-jamendo", cls=Command, help="MTG-Jamendo's autotagging tables; tags of several are joined.")
@click.argument("tables", nargs=-1, required=True, metavar="TSV...")
@click.option("--splits", metavar="PREFIX", help="Official split, for example splits/split-0/autotagging.")
@_output
def mtg_jamendo(**flags: Any) -> int:
    """Reads the tables."""
    from pipelines.jobs.import_ import run_mtg_jamendo

    return answer(run_mtg_jamendo, flags)


@command.command(cls=Command, help="MagnaTagATune's annotations_final.csv.")
@click.argument("annotations", metavar="CSV")
@click.option("--clip-info", metavar="CSV", help="clip_info_final.csv: artist, album and title.")
@click.option(
    "--top", type=int, default=50, show_default=True, metavar="N", help="Keep the N most frequent tags; 0 keeps all."
)
@click.option("--keep-synonyms", is_flag=True, help="Keep tags with the same meaning apart.")
@_output
def magnatagatune(**flags: Any) -> int:
    """Reads the annotations."""
    from pipelines.jobs.import_ import run_magnatagatune

    return answer(run_magnatagatune, flags)


@command.command(cls=Command, help="FMA's tracks.csv and genres.csv.")
@click.argument("tables", nargs=2, metavar="TRACKS GENRES")
@click.option(
    "--subset", type=click.Choice(["small", "medium", "large", "full"]), help="Only the tracks of this subset."
)
@_output
def fma(**flags: Any) -> int:
    """Reads the tables."""
    from pipelines.jobs.import_ import run_fma

    return answer(run_fma, flags)


@command.command("csv", cls=Command, help="Any text table: separated by commas, semicolons, tabs or bars.")
@click.argument("table", metavar="FILE")
@click.option(
    "--encoding",
    metavar="NAME",
    help="Encoding of a table that is neither UTF-8 nor has a byte order mark, for example windows-1252.",
)
@click.option("--names", metavar="A,B,...", help="Names of the columns, for a file without a header.")
@click.option(
    "--column",
    multiple=True,
    metavar="NAME=COLUMN",
    help="Catalog column from another, for example uri=path, or from several: 'track_id={album}-{disc}-{track}'. "
    "Repeatable.",
)
@click.option(
    "--uri-base",
    multiple=True,
    metavar="URL",
    help="Prefix to remove from uris: where the files were copied from. Repeatable.",
)
@click.option("--tags", multiple=True, metavar="COLUMN", help="Column with category/slug ids. Repeatable.")
@click.option(
    "--tag-list", multiple=True, metavar="CATEGORY=COLUMN", help="Column with names of one category. Repeatable."
)
@click.option(
    "--tag-columns",
    multiple=True,
    metavar="CATEGORY=A,B",
    help="One column per tag, with 0, 1 or a weight; * means all columns. Repeatable.",
)
@click.option(
    "--separator", default="|", show_default=True, metavar="TEXT", help="Separator of the names in a --tag-list."
)
@click.option(
    "--kind", multiple=True, metavar="CATEGORY=KIND", help="Kind of a category that is not multilabel. Repeatable."
)
@_output
def csv(**flags: Any) -> int:
    """Reads the table."""
    from pipelines.jobs.import_ import run_csv

    return answer(run_csv, flags)
