"""Serves a published table over HTTP: tags, search, taxonomy, similar music.

catalog-tagger serve TABLE --port 8080
catalog-tagger serve --add-client player --clients clients.json
"""

from typing import Any

import click

from pipelines.inputs.flags import Arguments, answer_flags, answer_form
from pipelines.inputs.numbers import ByteSize, Number, Port
from pipelines.terminal.command import Command


@click.command(cls=Command)
@click.argument("table", metavar="[TABLE]", required=False)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on. Any other than 127.0.0.1, ::1 and localhost needs --clients.",
)
@click.option("--port", type=Port(), default=8080, show_default=True, metavar="N", help="Port; 0: any free one.")
@click.option(
    "--clients",
    metavar="FILE",
    help="File of clients: requests then need a token of one of them (OAuth2 client credentials).",
)
@click.option("--add-client", metavar="NAME", help="Add a client to --clients, print its secret once, and end.")
@click.option("--remove-client", metavar="NAME", help="Remove a client from --clients, and end.")
@click.option(
    "--scope",
    type=click.Choice(["read", "analyze"]),
    multiple=True,
    help="With --add-client: what the client may do (default: read). Repeatable.",
)
@click.option(
    "--allow-origin",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this origin call the service from a browser, for example https://music.example. Repeatable.",
)
@click.option(
    "--model", metavar="BUNDLE", help="The bundle that tagged the table: analyse files that are uploaded with it."
)
@click.option(
    "--text-model",
    metavar="BUNDLE",
    help="A text network of the table's trunk (`import-model text`): searches can then say what the music sounds like.",
)
@click.option(
    "--max-upload",
    type=ByteSize(1000),
    metavar="SIZE",
    help="Largest file to analyse (default: 50 MiB).",
)
@click.option(
    "--allow-weak-sandbox",
    is_flag=True,
    help="Decode also where the system cannot restrict decoders to a list of system calls (seccomp).",
)
@click.option(
    "--rate",
    type=Number(0, above=True),
    default=100.0,
    show_default=True,
    metavar="N",
    help="Requests per second of one client; without --clients, there is no limit.",
)
@click.option(
    "--query-timeout",
    type=Number(0, above=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Cancel a query that takes longer.",
)
@click.option(
    "--memory-limit",
    type=ByteSize(100 * 10**6),
    metavar="SIZE",
    help="Most memory of all queries together, such as 4GB (default: 1 GiB).",
)
@click.option(
    "--cache",
    type=ByteSize(10 * 10**6),
    metavar="SIZE",
    help="Most memory of rows, scores and vectors that are kept for the next request (default: 512 MiB).",
)
@click.option(
    "--refresh",
    type=Number(0),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Look for a newer snapshot no more often than this.",
)
@click.option(
    "--audio-root",
    metavar="DIR",
    help="Folder or gs:// prefix that relative uris of the catalog start from. The page then plays tracks, of files "
    "beneath it only.",
)
@click.option(
    "--export",
    metavar="DIR",
    help="Write the page and its data as a static folder, for any web server, and end.",
)
@click.option(
    "--export-tracks",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    metavar="N",
    help="With --export: most tracks. The answer says how many are left out.",
)
@answer_flags
def command(**flags: Any) -> int:
    """Serves until it is interrupted."""
    from pipelines.reading.serve import run

    form = answer_form(flags)
    return run(Arguments(**flags), form)
