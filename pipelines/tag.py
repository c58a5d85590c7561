"""Tags a whole catalog and publishes a snapshot of tag tables.

catalog-tagger tag --catalog catalog.parquet --model bundle --table table
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, catalog_flag, combined, extraction_flags, removed_flag
from pipelines.inputs.numbers import RATIO, Duration, Number
from pipelines.launch.allocators import return_freed_memory
from pipelines.terminal.command import Command

plan_flags = combined(
    click.option(
        "--plan",
        is_flag=True,
        help="Show what a run would do and cost, and change nothing. The plan is made on this machine, whatever "
        "--runner is.",
    ),
    click.option(
        "--measure",
        type=int,
        metavar="N",
        help="With --plan: decode, embed and tag N of the tracks to measure what one costs (default: use what earlier "
        "runs of this table measured).",
    ),
    click.option(
        "--workers",
        type=int,
        metavar="N",
        help="With --plan: number of cores of the job, for the wall time (default for a local run: its workers).",
    ),
    click.option(
        "--prices",
        metavar="YAML",
        help="Prices of a provider, such as deploy/prices.yaml: plan and report show what the run costs.",
    ),
)
"""Flags of `--plan`; the report of a run has prices, too."""

parameter_flags = combined(
    click.option(
        "--parameters",
        type=click.Choice(["none", "default", "full"]),
        help="Measure what tracks sound like: tempo, metre, key, loudness and more, in columns of `tracks`. `full` "
        "uses 60 s instead of 30 s around the middle, and the exact meter of loudness. If the flag is given, tracks of "
        "the last snapshot that lack these parameters are decoded again, too, but not embedded (default: what the last "
        "snapshot was made with, for new and changed tracks; `default` for a new table).",
    ),
    click.option(
        "--loudness",
        type=click.Choice(["excerpt", "full"]),
        help="What loudness is measured on: the excerpt, or the whole file, which has to be decoded as a whole "
        "(default: what the last snapshot was made with; excerpt for a new table).",
    ),
    click.option(
        "--beats",
        metavar="BUNDLE",
        help="Bundle of `import-model beats`: its network tells tempo and metre where it hears a beat. It gets the "
        "excerpt of the parameters, which is not decoded twice. As with --parameters, tracks of the last snapshot that "
        "were measured in another way are decoded again. A table that was measured with a network needs the flag in "
        "every run; `none`: without a network from now on.",
    ),
)
"""Flags of what tracks sound like."""

fusion_flags = combined(
    click.option(
        "--fusion",
        metavar="YAML",
        help="Combine the scores with annotations: the file says for each source and category how far it is trusted, "
        "and whether it overrides the model, is blended with it or fills gaps. The source `catalog` are the tags of "
        "the catalog.",
    ),
    click.option(
        "--source",
        multiple=True,
        metavar="NAME=TABLE",
        help="With --fusion: annotations as Parquet or CSV: tag, weight, and track_id, artist_id or album_id. "
        "Repeatable.",
    ),
)
"""Flags of sources."""
part_flags = combined(
    click.option(
        "--sample",
        metavar="SHARE|N",
        help="Tag a sample of the catalog, such as 0.1% or 500 tracks, chosen by hash from every bucket. All gates are "
        "measured, and the tags are compared with those of the last snapshot. Nothing is published; what was decoded "
        "is kept for the real run. Exit code 3 if a gate refuses it.",
    ),
    click.option(
        "--max-core-hours",
        type=Number(0, above=True),
        metavar="HOURS",
        help="Extract only as many tracks as this processor time allows, and publish. The other tracks keep their rows "
        "of the last snapshot, and are extracted by later runs: new tracks first, then the oldest ones.",
    ),
    click.option(
        "--first",
        metavar="SQL",
        help="With --max-core-hours: extract the tracks first whose row of the ledger meets this condition, such as "
        "\"uri LIKE 'new/%'\".",
    ),
)
"""Flags of runs over a part of the tracks."""


@click.command(cls=Command, beam=True)
@catalog_flag
@click.option(
    "--model", required=True, metavar="BUNDLE", help="Model bundle: output of train, refit or import-model musicnn."
)
@click.option("--table", required=True, metavar="TABLE", help="Folder or gs:// prefix of the tables.")
@click.option(
    "--min-score",
    type=RATIO,
    default=0.0,
    show_default=True,
    metavar="SCORE",
    help="Publish only track_tags rows with this score or a higher one.",
)
@click.option("--top-k", type=int, metavar="K", help="Publish only this many track_tags rows per track and category.")
@click.option(
    "--buckets", type=int, metavar="N", help="Number of buckets of a new table (default: one per 20,000 tracks)."
)
@click.option(
    "--inference",
    type=click.Choice(["auto", "onnx", "tensorflow"]),
    default="auto",
    show_default=True,
    help="What runs the network. ONNX Runtime is faster on CPUs, TensorFlow uses GPUs. auto uses ONNX Runtime if the "
    "bundle has a file for it.",
)
@click.option(
    "--also",
    nargs=2,
    multiple=True,
    metavar="BUNDLE TABLE",
    help="Also compute embeddings for a second bundle with the same feature spec, so that tagging the catalog with it "
    "later needs no decoding. Repeatable.",
)
@parameter_flags
@fusion_flags
@click.option(
    "--accept-changes",
    is_flag=True,
    help="Run also if the bundle drops, renames or redefines tags of the table, or changes its thresholds, features or "
    "trunk, and if --fusion, a source, --min-score or --top-k of the last snapshot is left out.",
)
@click.option(
    "--compact-share",
    type=Number(0, 10),
    default=0.2,
    show_default=True,
    metavar="SHARE",
    help="Merge the files of a bucket into one when it has more superseded or newer rows per row than this, on average "
    "over all buckets. A small share makes queries faster, a large one makes runs write less.",
)
@click.option("--compact", is_flag=True, help="Merge the files of all buckets now.")
@plan_flags
@part_flags
@click.option("--retry-rejects", is_flag=True, help="Try every rejected track again.")
@click.option(
    "--publish-deadline",
    type=Number(0),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="If another run is published first, plan again and publish until this time has passed; 0: give up at once.",
)
@click.option(
    "--require-blessed",
    is_flag=True,
    help="Start only with a bundle that `evaluate --bless` has blessed; `require_blessed: true` in the table's "
    "gates.yaml does the same.",
)
@click.option(
    "--notify",
    metavar="URL|COMMAND",
    help="Tell somebody if the run is blocked by a gate, fails or is late: a JSON document by POST to a URL, or on "
    "standard input of a command. A notification that fails is a warning.",
)
@click.option(
    "--late-after",
    type=Duration(),
    metavar="TIME",
    help="With --notify: tell once if the run has not ended after this time, such as 6h.",
)
@removed_flag
@extraction_flags(unit="unit of work", late="`publish` commits the run later")
@answer_flags
def command(**flags: Any) -> int:
    """Plans, runs the Beam job and publishes."""
    return_freed_memory()
    from pipelines.jobs.tag.running import run
    from pipelines.launch.notification import notifying

    return answer(notifying(run), flags)
