"""Flags of the commands that search a snapshot. Imports nothing that is slow to import."""

import click

from pipelines.inputs.flags import combined

weights_flag = click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG=WEIGHT",
    help="A tag and its weight from -1 to 1 (default: 1), such as mood/calm=0.8 or genre/metal=-1. An alias, an "
    "earlier id or a name that only one tag has is read, too. Repeatable.",
)

condition_flags = combined(
    click.option(
        "--must",
        multiple=True,
        metavar="TAG",
        help="Only tracks that have the tag: it or a narrower tag is positive. Repeatable.",
    ),
    click.option("--must-not", multiple=True, metavar="TAG", help="Only tracks that do not have the tag. Repeatable."),
    click.option(
        "--range",
        "ranges",
        multiple=True,
        metavar="COLUMN=LOW..HIGH",
        help="Only tracks whose value is in the range, ends included; one end may be left out. duration, tempo, "
        "loudness, metre, energy, or any column of numbers, such as year=1990..1999. Repeatable.",
    ),
    click.option(
        "--only",
        multiple=True,
        metavar="COLUMN=A,B",
        help="Only tracks whose column has one of these values, such as language=de,en. Repeatable.",
    ),
    click.option("--where", metavar="SQL", help='Only tracks for which this SQL is true, such as "year % 10 = 0".'),
    click.option(
        "--text",
        metavar="WORDS",
        help="Only tracks whose title or artist has all these words, whatever their case, accents and punctuation.",
    ),
    click.option(
        "--key-compatible",
        metavar="KEY",
        help="Only tracks in a key that mixes with this one on the Camelot wheel: `A minor`, `Am` or `8A`.",
    ),
)
"""Conditions on tracks."""

per_artist_flag = click.option(
    "--per-artist",
    type=click.IntRange(1, 1_000),
    default=2,
    show_default=True,
    metavar="N",
    help="Most tracks of one artist.",
)

limit_flag = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    metavar="N",
    help="Most rows of the answer.",
)
