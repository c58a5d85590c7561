"""Makes a catalog from a folder of audio files, from the library of another program, or from metadata tables.

catalog-tagger import folder MUSIC --output catalog.parquet
"""

from typing import Any

import click

from pipelines.inputs.flags import Decorator, answer, answer_flags, combined
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
    click.option("--plan", is_flag=True, help="Read everything, show what would be written, and write nothing."),
    answer_flags,
)
_map = click.option(
    "--map",
    multiple=True,
    metavar="FOLDER=FOLDER",
    help=r"Where a folder of another machine is here, for example 'D:\Music=/mnt/music'; also for the start of a URL. "
    "Repeatable.",
)
_encoding = click.option(
    "--encoding",
    metavar="NAME",
    help="Encoding of a file that is neither UTF-8 nor has a byte order mark, for example windows-1252.",
)
_pattern = click.option(
    "--pattern",
    metavar="TEXT",
    help="What the end of each path says, for example '{artist}/{album}/{track} {title}'; {_} is not used. It fills in "
    "what the file itself does not state.",
)
_table_flags = combined(
    _encoding,
    click.option(
        "--column",
        multiple=True,
        metavar="'COLUMN AS NAME'",
        help="Column of the catalog from one of the table, for example 'FilePath AS uri' or uri=FilePath, or from "
        "several: 'track_id={album}-{disc}-{track}'. Repeatable.",
    ),
    click.option(
        "--type",
        multiple=True,
        metavar="COLUMN=TYPE",
        help="Type of a further column, if not the one that was found: text, integer, number, date, time or boolean. "
        "Repeatable.",
    ),
    click.option(
        "--separator",
        metavar="TEXT",
        help="Separator of the names in a list of tags (default: the one found in the data).",
    ),
    click.option(
        "--files", metavar="FOLDER", help="Folder of the audio files, which the rows do not name or name differently."
    ),
    click.option(
        "--match",
        type=click.Choice(["isrc", "path", "title+artist", "title+artist+duration"]),
        help="With --files: what the rows and the files have in common. isrc: in the files' metadata, or their names. "
        "path: the end of the path. duration: within 2 seconds.",
    ),
    _map,
)


def _library(name: str, text: str) -> Decorator:
    """A subcommand that reads one file of another program."""
    return combined(
        command.command(name, cls=Command, help=text), click.argument("library", metavar="FILE"), _map, _output
    )


@click.group(cls=CommandGroup)
def command() -> None:
    """One subcommand per source."""


@command.command(cls=Command, help="A folder of audio files with their embedded tags; subfolders are included.")
@click.argument("folder", metavar="FOLDER")
@_pattern
@_output
def folder(**flags: Any) -> int:
    """Reads the files' tags."""
    from pipelines.jobs.imports.folders import run_folder

    return answer(run_folder, flags)


@command.command(
    cls=Command,
    help="A folder that MusicBrainz Picard has tagged: like `folder`, with ids of artists, releases and recordings.",
)
@click.argument("folder", metavar="FOLDER")
@_pattern
@_output
def picard(**flags: Any) -> int:
    """Reads the files' tags."""
    from pipelines.jobs.imports.folders import run_picard

    return answer(run_picard, flags)


@_library("rekordbox", "Rekordbox's collection, exported as XML.")
def rekordbox(**flags: Any) -> int:
    """Reads the collection."""
    from pipelines.jobs.imports.libraries import run_rekordbox

    return answer(run_rekordbox, flags)


@_library("itunes", "The library of iTunes or Apple Music, exported as XML.")
def itunes(**flags: Any) -> int:
    """Reads the library."""
    from pipelines.jobs.imports.libraries import run_itunes

    return answer(run_itunes, flags)


@_library("traktor", "Traktor's collection.nml.")
def traktor(**flags: Any) -> int:
    """Reads the collection."""
    from pipelines.jobs.imports.libraries import run_traktor

    return answer(run_traktor, flags)


@command.command(cls=Command, help="The library of Beets, an SQLite file, which is not changed.")
@click.argument("library", metavar="FILE")
@click.option("--folder", metavar="FOLDER", help="Folder of the music, if the library has relative paths.")
@_map
@_output
def beets(**flags: Any) -> int:
    """Reads the library."""
    from pipelines.jobs.imports.libraries import run_beets

    return answer(run_beets, flags)


@command.command(cls=Command, help="Playlists in M3U or M3U8. Relative paths start from the playlist's folder.")
@click.argument("playlists", nargs=-1, required=True, metavar="FILE...")
@_encoding
@_map
@_output
def m3u(**flags: Any) -> int:
    """Reads the playlists."""
    from pipelines.jobs.imports.libraries import run_m3u

    return answer(run_m3u, flags)


@command.command(
    cls=Command,
    help="A table of a delivery whose columns have DDEX's names: ISRC, DisplayArtist, ReleaseDate and others.",
)
@click.argument("table", metavar="FILE")
@_table_flags
@_output
def ddex(**flags: Any) -> int:
    """Reads the table."""
    from pipelines.jobs.imports.tables import run_ddex

    return answer(run_ddex, flags)


@command.command("mtg-jamendo", cls=Command, help="MTG-Jamendo's autotagging tables; tags of several are joined.")
@click.argument("tables", nargs=-1, required=True, metavar="TSV...")
@click.option("--splits", metavar="PREFIX", help="Official split, for example splits/split-0/autotagging.")
@_output
def mtg_jamendo(**flags: Any) -> int:
    """Reads the tables."""
    from pipelines.jobs.imports.tables import run_mtg_jamendo

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
    from pipelines.jobs.imports.tables import run_magnatagatune

    return answer(run_magnatagatune, flags)


@command.command(cls=Command, help="FMA's tracks.csv and genres.csv.")
@click.argument("tables", nargs=2, metavar="TRACKS GENRES")
@click.option(
    "--subset", type=click.Choice(["small", "medium", "large", "full"]), help="Only the tracks of this subset."
)
@_output
def fma(**flags: Any) -> int:
    """Reads the tables."""
    from pipelines.jobs.imports.tables import run_fma

    return answer(run_fma, flags)


@command.command("csv", cls=Command, help="Any text table: separated by commas, semicolons, tabs or bars.")
@click.argument("table", metavar="FILE")
@click.option("--names", metavar="A,B,...", help="Names of the columns, for a file without a header.")
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
    "--kind", multiple=True, metavar="CATEGORY=KIND", help="Kind of a category that is not multilabel. Repeatable."
)
@_table_flags
@_output
def csv(**flags: Any) -> int:
    """Reads the table."""
    from pipelines.jobs.imports.tables import run_csv

    return answer(run_csv, flags)
