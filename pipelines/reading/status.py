"""Shows the condition of a table, for a monitor.

catalog-tagger status table --max-age 26h
"""

import time
from collections.abc import Iterator
from typing import Any

from pipelines.inputs.flags import Arguments
from pipelines.reading.snapshots import age_text
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import DONE, OVERDUE
from pipelines.terminal.prometheus import Metric, exposition
from transforms.maintenance.condition import condition_of

Facts = dict[str, Any]
_STATES = ("running", "stopped", "blocked", "finished")


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Returns the condition; the exit code says whether the newest snapshot is too old."""
    facts = condition_of(args.table, time.time())
    snapshot = facts["snapshot"]
    late = args.max_age is not None and (snapshot is None or snapshot["age_s"] > args.max_age)
    facts |= {"max_age_s": args.max_age, "overdue": late}
    return Answer(
        text=exposition(_metrics(facts)) if args.prometheus else "\n".join(_lines(facts)),
        document=facts,
        code=OVERDUE if late else DONE,
        all=True,
        is_program=args.prometheus,
    )


def _lines(facts: Facts) -> Iterator[str]:
    snapshot, launch = facts["snapshot"], facts["last_launch"]
    if snapshot is None:
        yield "no snapshot is published"
    else:
        yield f"snapshot {snapshot['number']} of {facts['table']}, published {age_text(snapshot['age_s'])} ago" + (
            f", older than {age_text(int(facts['max_age_s']))}" if facts["overdue"] else ""
        )
        yield ", ".join(f"{name} {count}" for name, count in snapshot["counts"].items())
        yield f"due again {snapshot['due']}, of these unavailable {snapshot['unavailable']}"
        failed, passed = snapshot["failed_gates"], len(snapshot["gates"]) - len(snapshot["failed_gates"])
        yield f"gates: {passed} passed" + (f", failed: {', '.join(failed)}" if failed else "")
    if launch is not None:
        problem = f": {launch['problem']}" if launch["problem"] else ""
        yield f"last launch without a snapshot: {launch['state']}, {launch['when']}{problem}"
    for kind, size in facts["disk"].items():
        yield f"{kind}: {size['files']:,} files, {size['bytes']:,} bytes"
    for lease in facts["leases"]:
        state = "running" if lease["live"] else "no heartbeat, it was killed"
        yield f"{lease['job']} on {lease['host']} since {lease['started']}: {state}"


def _metrics(facts: Facts) -> Iterator[Metric]:
    table, snapshot, launch = {"table": facts["table"]}, facts["snapshot"], facts["last_launch"]
    yield Metric("snapshots", "Published snapshots.", [(table, facts["snapshots"])])
    if snapshot is not None:
        yield from _snapshot_metrics(table, snapshot)
    yield Metric("overdue", "1 if the newest snapshot is older than --max-age.", [(table, facts["overdue"])])
    states = [({**table, "state": state}, launch["state"] == state) for state in _STATES] if launch else []
    yield Metric("last_launch", "1 for the state of the last launch that is not published.", states)
    for unit in ("files", "bytes"):
        samples = [({**table, "kind": kind}, size[unit]) for kind, size in facts["disk"].items()]
        yield Metric(f"disk_{unit}", f"Stored {unit} by kind.", samples)
    jobs = sorted({lease["job"] for lease in facts["leases"]})
    live = [({**table, "job": job}, sum(one["live"] and one["job"] == job for one in facts["leases"])) for job in jobs]
    yield Metric("live_leases", "Running jobs that write to the table.", live)


def _snapshot_metrics(table: dict[str, str], snapshot: Facts) -> Iterator[Metric]:
    yield Metric("snapshot_number", "Number of the newest snapshot.", [(table, snapshot["number"])])
    created = [(table, snapshot["created_s"])]
    yield Metric("snapshot_created_timestamp_seconds", "When the newest snapshot was published.", created)
    yield Metric("snapshot_age_seconds", "Age of the newest snapshot.", [(table, snapshot["age_s"])])
    counts = [({**table, "count": name}, count) for name, count in snapshot["counts"].items()]
    yield Metric("tracks", "Tracks of the newest snapshot by outcome.", counts)
    reasons = [({**table, "reason": name}, count) for name, count in snapshot["reasons"].items()]
    yield Metric("rejected_tracks", "Rejected tracks of the newest snapshot by reason.", reasons)
    yield Metric("due_tracks", "Rejected tracks that the next run tries again.", [(table, snapshot["due"])])
    yield Metric("unavailable_tracks", "Tracks that the storage did not deliver.", [(table, snapshot["unavailable"])])
    for name, words in (("value", "Measured value"), ("limit", "Limit"), ("passed", "1 if passed")):
        samples = [({**table, "gate": gate}, result[name]) for gate, result in snapshot["gates"].items()]
        yield Metric(f"gate_{name}", f"{words} of each gate of the newest snapshot.", samples)
