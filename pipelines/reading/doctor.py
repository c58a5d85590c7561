"""Checks this machine, and the places and the engine that a job would use.

catalog-tagger doctor catalog.parquet bundle table
"""

from collections.abc import Sequence

from pipelines.checks.engine import engine_findings
from pipelines.checks.machine import machine_findings
from pipelines.checks.places import place_findings
from pipelines.inputs.flags import Arguments
from pipelines.launch.beam import parse_beam_args
from pipelines.terminal.answer import Answer
from pipelines.terminal.command import beam_flags, unknown_flag
from pipelines.terminal.errors import DONE, FAILED
from transforms.formats.quantities import quantity


def parted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Parts places from Beam's flags; a flag without `=` takes the next word.

    >>> parted(["table", "--runner", "FlinkRunner", "--job_endpoint=host:1"])
    (['table'], ['--runner', 'FlinkRunner', '--job_endpoint=host:1'])
    """
    places: list[str] = []
    flags: list[str] = []
    known = list(beam_flags()) if any(word.startswith("--") for word in words) else []
    for i, word in enumerate(words):
        is_value = i > 0 and words[i - 1].startswith("--") and "=" not in words[i - 1]
        if word.startswith("--") and (name := word.partition("=")[0]) not in known:
            raise unknown_flag(name, known)
        (flags if word.startswith("--") or is_value else places).append(word)
    return places, flags


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Returns one line per check; the exit code is 1 if a job would fail."""
    places, engine = parted([*args.places, *beam_args])
    findings = machine_findings(allow_weak_sandbox=args.allow_weak_sandbox)
    for place in places:
        findings += place_findings(place, args.catalog_root)
    if engine:
        findings += engine_findings(parse_beam_args(engine, "doctor"))
    failed = sum(finding.state == "failed" for finding in findings)
    summary = f"{quantity(failed, 'check')} failed" if failed else "a job can run here"
    rows = [{"check": f.name, "state": f.state, "found": f.text, "remedy": f.remedy} for f in findings]
    return Answer(
        text="\n".join([*(finding.line for finding in findings), summary]),
        document={"failed": failed, "checks": rows},
        rows=rows,
        code=FAILED if failed else DONE,
        all=True,
    )
