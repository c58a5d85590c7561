"""Shows the condition of a table, for a monitor.

catalog-tagger status table --max-age 26h
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pipelines.inputs.flags import Arguments
from pipelines.reading.snapshots import age_text
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import DONE, OVERDUE, UsageError
from pipelines.terminal.progress import duration_text
from transforms.formats.quantities import quantity
from transforms.maintenance.condition import condition_of
from transforms.table.snapshots import POSTPONED
from transforms.table.versions import NoTable

_Facts = dict[str, Any]
_PREFIX = "catalog_tagger_"
_STATES = ("running", "stopped", "blocked", "finished")


class _Metric(NamedTuple):
    """One gauge.

    Attributes:
      name: without the program's prefix.
      help: what it measures, with its unit.
      samples: (labels, value) of each sample.
    """

    name: str
    help: str
    samples: Iterable[tuple[Mapping[str, str], float]]


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Returns the condition; the exit code says whether the newest snapshot is too old.

    Raises:
      UsageError: there is no table.
    """
    try:
        facts = condition_of(args.table, time.time())
    except NoTable as error:
        raise UsageError(str(error)) from error
    snapshot = facts["snapshot"]
    late = args.max_age is not None and (snapshot is None or snapshot["age_s"] > args.max_age)
    facts |= {"max_age_s": args.max_age, "overdue": late}
    return Answer(
        text=_exposition(_metrics(facts)) if args.prometheus else "\n".join(_lines(facts)),
        document=facts,
        code=OVERDUE if late else DONE,
        all=True,
        is_program=args.prometheus,
    )


def _lines(facts: _Facts) -> Iterator[str]:
    snapshot, launch = facts["snapshot"], facts["last_launch"]
    if snapshot is None:
        yield "no snapshot is published"
    else:
        yield f"snapshot {snapshot['number']} of {facts['table']}, published {age_text(snapshot['age_s'])} ago" + (
            f", older than {duration_text(facts['max_age_s'])} (--max-age)" if facts["overdue"] else ""
        )
        yield ", ".join(f"{name} {count}" for name, count in snapshot["counts"].items())
        left = snapshot["counts"].get(POSTPONED, 0)
        yield (
            f"due again {snapshot['due']}, unavailable {snapshot['unavailable']}; not found {snapshot['not_found']}, "
            "tried again when the file is there" + (f"; left to later runs {left}" if left else "")
        )
        failed, passed = snapshot["failed_gates"], len(snapshot["gates"]) - len(snapshot["failed_gates"])
        yield f"gates: {passed} passed" + (f", failed: {', '.join(failed)}" if failed else "")
    if launch is not None:
        problem = f": {launch['problem']}" if launch["problem"] else ""
        gates = f" by gate {', '.join(launch['gates'])}" if launch["gates"] else ""
        yield f"last launch without a snapshot: {launch['state']}{gates}, {launch['when']}{problem}"
        if launch["report"] is not None:
            yield f"its report: {launch['report']}"
    for kind, size in facts["disk"].items():
        yield f"{kind}: {quantity(size['files'], 'file')}, {quantity(size['bytes'], 'byte')}"
    for lease in facts["leases"]:
        state = "running" if lease["live"] else "no heartbeat, it was killed"
        yield f"{lease['job']} on {lease['host']} since {lease['started']}: {state}"


def _metrics(facts: _Facts) -> Iterator[_Metric]:
    table, snapshot, launch = {"table": facts["table"]}, facts["snapshot"], facts["last_launch"]
    yield _Metric("snapshots", "Published snapshots.", [(table, facts["snapshots"])])
    if snapshot is not None:
        yield from _snapshot_metrics(table, snapshot)
    yield _Metric("overdue", "1 if the newest snapshot is older than --max-age.", [(table, facts["overdue"])])
    states = [({**table, "state": state}, launch["state"] == state) for state in _STATES] if launch else []
    yield _Metric("last_launch", "1 for the state of the last launch that is not published.", states)
    gates = [({**table, "gate": gate}, 1) for gate in launch["gates"]] if launch else []
    yield _Metric("last_launch_blocked", "1 for each gate that blocks the last launch.", gates)
    for unit in ("files", "bytes"):
        samples = [({**table, "kind": kind}, size[unit]) for kind, size in facts["disk"].items()]
        yield _Metric(f"disk_{unit}", f"Stored {unit} by kind.", samples)
    jobs = sorted({lease["job"] for lease in facts["leases"]})
    live = [({**table, "job": job}, sum(one["live"] and one["job"] == job for one in facts["leases"])) for job in jobs]
    yield _Metric("live_leases", "Running jobs that write to the table.", live)


def _snapshot_metrics(table: dict[str, str], snapshot: _Facts) -> Iterator[_Metric]:
    yield _Metric("snapshot_number", "Number of the newest snapshot.", [(table, snapshot["number"])])
    created = [(table, snapshot["created_s"])]
    yield _Metric("snapshot_created_timestamp_seconds", "When the newest snapshot was published.", created)
    yield _Metric("snapshot_age_seconds", "Age of the newest snapshot.", [(table, snapshot["age_s"])])
    counts = [({**table, "count": name}, count) for name, count in snapshot["counts"].items()]
    yield _Metric("tracks", "Tracks of the newest snapshot by outcome.", counts)
    reasons = [({**table, "reason": name}, count) for name, count in snapshot["reasons"].items()]
    yield _Metric("rejected_tracks", "Rejected tracks of the newest snapshot by reason.", reasons)
    yield _Metric(
        "due_tracks",
        "Rejected tracks that the next run tries again in any case.",
        [(table, snapshot["due"])],
    )
    parts = {
        "unavailable": "Tracks that the storage did not deliver, or whose decoder the machine ended.",
        "not_found": "Tracks whose file did not exist; they are tried again when a listing contains it.",
    }
    for name, words in parts.items():
        yield _Metric(f"{name}_tracks", words, [(table, snapshot[name])])
    for name, words in (("value", "Measured value"), ("limit", "Limit"), ("passed", "1 if passed")):
        samples = [({**table, "gate": gate}, result[name]) for gate, result in snapshot["gates"].items()]
        yield _Metric(f"gate_{name}", f"{words} of each gate of the newest snapshot.", samples)


def _exposition(metrics: Iterable[_Metric]) -> str:
    """The metrics in the text format of Prometheus, version 0.0.4; those without samples are left out."""
    lines = []
    for metric in metrics:
        samples = [f"{_PREFIX}{metric.name}{_labels(labels)} {_number(value)}" for labels, value in metric.samples]
        if samples:
            lines += [f"# HELP {_PREFIX}{metric.name} {metric.help}", f"# TYPE {_PREFIX}{metric.name} gauge", *samples]
    return "\n".join(lines)


def _labels(labels: Mapping[str, str]) -> str:
    r"""Labels in braces.

    >>> _labels({"table": 'a"b\\c'})
    '{table="a\\"b\\\\c"}'
    """
    escaped = {name: re.sub(r'(["\\])', r"\\\1", value).replace("\n", r"\n") for name, value in labels.items()}
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}" if labels else ""


def _number(value: float) -> str:
    """A number without digits that it does not have.

    >>> _number(3), _number(0.1), _number(1790000000.0)
    ('3', '0.1', '1790000000')
    """
    return str(int(value)) if float(value).is_integer() else repr(float(value))
