"""Audits and commits a finished run that was launched without waiting.

catalog-tagger publish table
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, gate_flags, removed_flag
from pipelines.terminal.command import Command


@click.command(cls=Command)
@click.argument("table", metavar="TABLE")
@click.argument("run", metavar="[RUN]", required=False)
@gate_flags
@removed_flag
@click.option(
    "--override",
    multiple=True,
    metavar="GATE",
    help="Publish the run although this gate refuses it. Needs --reason; the snapshot records both. Repeatable.",
)
@click.option("--reason", metavar="TEXT", help="Why a gate is overridden; `describe` and `snapshots` show it.")
@click.option("--by", metavar="NAME", help="Who overrides a gate (default: user@host).")
@click.option(
    "--prices",
    metavar="YAML",
    help="Prices of a provider, such as deploy/prices.yaml: the report shows what the run has cost.",
)
@answer_flags
def command(**flags: Any) -> int:
    """Publishes one run: the one that is named, or that of the last launch."""
    from pipelines.jobs.publish import run

    return answer(run, flags)
