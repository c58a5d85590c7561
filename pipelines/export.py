"""Writes the tags of a snapshot in other forms.

catalog-tagger export table --wide --output wide.parquet
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, force_flag, snapshot_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.option("--wide", is_flag=True, help="Write one row per track and one column per tag to --output.")
@click.option(
    "--into-files",
    metavar="FOLDER",
    help="Write copies of the audio files there, with the positive tags in ID3v2, Vorbis comments or MP4 items.",
)
@click.option(
    "--in-place",
    metavar="UNDO",
    help="Write the fields into the audio files themselves. UNDO is a new folder: the list of what was there before.",
)
@click.option(
    "--restore",
    metavar="UNDO",
    help="Give the files of such a list their earlier bytes: audio files beneath --catalog-root or --allow-root.",
)
@click.option(
    "--rekordbox", is_flag=True, help="Write the tracks and a playlist per tag as XML for Rekordbox to --output."
)
@click.option(
    "--beets",
    metavar="LIBRARY",
    help="Write a copy of this Beets library to --output (.db), with the tags as attributes such as tags_mood.",
)
@click.option(
    "--output",
    metavar="FILE",
    help="With --wide: .parquet or .csv. With --rekordbox: .xml. With --beets: the copy of the library.",
)
@click.option(
    "--values",
    type=click.Choice(["score", "flag"]),
    default="score",
    show_default=True,
    help="With --wide: the score, or 1 if the tag is positive and else 0. Null if the track has no row for the tag.",
)
@click.option(
    "--columns",
    default="",
    metavar="A,B",
    help="With --wide: also write these columns of the table tracks, such as title,artist.",
)
@click.option(
    "--plain-names",
    is_flag=True,
    help="With --wide: name columns by letters, digits and _ alone, for engines that take no others.",
)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="PATTERN",
    help="Only these tags: mood/calm, or mood/* for a category. Repeatable (default: all).",
)
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="CATEGORY=NAME",
    help="Name of the field of a category, such as mood=MOOD or genre=GENRE (default: TAGS_MOOD). Repeatable.",
)
@click.option(
    "--catalog-root",
    metavar="FOLDER",
    help="Folder or gs:// prefix that the relative uris of the catalog start from; for all forms but --wide.",
)
@click.option(
    "--allow-root", multiple=True, metavar="PREFIX", help="Also read audio beneath this folder or prefix. Repeatable."
)
@force_flag
@answer_flags
def command(**flags: Any) -> int:
    """Prints what was written."""
    from pipelines.jobs.export import run

    # The flag is about the file; the answer on stdout is what --format says.
    return answer(run, {**flags, "safe": flags["safe_csv"], "safe_csv": False})
