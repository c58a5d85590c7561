"""Shows the snapshots of a table, or what a bundle or dataset is.

catalog-tagger describe table
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import require_kind
from pipelines.reading.folders import describe_bundle, describe_dataset
from pipelines.terminal.answer import Answer
from pipelines.terminal.printing import table_text
from transforms.comparison.stated_parameters import compare_with_stated
from transforms.formats.quantities import quantity
from transforms.fusion.tally import ROW_OUTCOMES
from transforms.schemas.tables import OPTIONAL, TABLES
from transforms.table.mixture import mixture_text
from transforms.table.neighbours import neighbours_text
from transforms.table.reader import SnapshotReader, open_history, open_snapshot


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Returns all snapshots of a table, the newest last; or what a bundle or dataset is."""
    kind = require_kind(args.table)
    if kind == "bundle":
        return describe_bundle(args.table)
    if kind == "dataset":
        return describe_dataset(args.table)
    document = describe(args.table)
    if args.parameters:
        document["parameters"] = compare_with_stated(open_snapshot(args.table)).to_json()
    rows = [
        {"snapshot": s["number"], "created": s["created"], **s["counts"], "content_hash": s["content_hash"]}
        for s in document["snapshots"]
    ]
    return Answer(text="\n".join(_lines(document)), document=document, rows=rows, all=True)


def describe(root: str) -> dict[str, Any]:
    """All snapshots of a table as one JSON object, oldest first.

    Raises:
      TableError: no snapshot is published there.
    """
    return {"kind": "table", "table": root, "snapshots": [_summary(snapshot) for snapshot in open_history(root)]}


def _summary(snapshot: SnapshotReader) -> dict[str, Any]:
    manifest, run = snapshot.manifest, snapshot.manifest.run
    files = {name: manifest.files(name) for name in TABLES}
    files = {name: own for name, own in files.items() if own or name not in OPTIONAL}
    return {
        "number": manifest.number,
        "parent": run.parent,
        "created": manifest.created,
        "run_id": run.run_id,
        "content_hash": run.content_hash,
        "counts": run.counts,
        "reasons": run.reasons,
        "options": run.options,
        "fusion": run.fusion,
        "rolled_back_to": run.rolled_back_to,
        "rollback_reason": run.rollback_reason,
        "overrides": list(run.overrides),
        "ids": dataclasses.asdict(run.ids),
        "earlier": [dataclasses.asdict(one) for one in run.earlier],
        "mixture": mixture_text(run),
        "neighbours": run.neighbours,
        "neighbours_text": neighbours_text(run),
        "tables": {
            name: {"files": len(own), "rows": sum(f.rows - f.dead for f in own), "bytes": sum(f.bytes for f in own)}
            for name, own in files.items()
        },
    }


def override_text(override: dict[str, Any]) -> str:
    """One recorded override in one line."""
    value, limit = (f"{override[name]:.6g}" for name in ("value", "limit"))
    return (
        f"snapshot {override['snapshot']}: gate {override['gate']} (value {value}, limit {limit}) was overridden by "
        f"{override['by']} at {override['when']}: {override['reason']}"
    )


def source_lines(fusion: dict[str, Any]) -> Iterator[str]:
    """A table of the sources of a fused run, and its policy."""
    columns = ("rows", *ROW_OUTCOMES)
    rows = [
        [source["name"], source["table"] or "tags of the catalog", *(source[name] for name in columns)]
        for source in fusion["sources"]
    ]
    yield table_text(["source", "table", *columns], rows)
    yield f"{quantity(fusion['tracks'], 'track')}, policy {fusion['policy_id']}"


def parameter_lines(parameters: dict[str, Any]) -> Iterator[str]:
    """How many tracks have parameters, and how far they agree with what the catalog states."""
    yield "\nParameters of the newest snapshot, by parameters_id"
    yield table_text(["parameters_id", "tracks"], [[name or "none", n] for name, n in parameters["tracks"].items()])
    rows = [
        [agreement["column"], agreement["measured"], agreement["compared"], name, share]
        for agreement in parameters["agreements"]
        for name, share in agreement["shares"].items()
    ]
    if rows:
        yield "\nAgreement with columns of the catalog"
        yield table_text(["column", "measured", "tracks", "agreement", "share"], rows)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    """All snapshots as a table, then the tables and ids of the newest."""
    snapshots = document["snapshots"]
    counts = ("catalog", "tagged", "carried", "rejected", "decoded")
    rows = [
        [s["number"], s["created"], *(s["counts"].get(name) for name in counts), s["content_hash"][:16], s["run_id"]]
        for s in snapshots
    ]
    yield table_text(["snapshot", "created", *counts, "content_hash", "run_id"], rows)
    newest = snapshots[-1]
    yield f"\nTables of snapshot {newest['number']}"
    tables = [[name, t["files"], t["rows"], t["bytes"]] for name, t in newest["tables"].items()]
    yield table_text(["table", "files", "rows", "bytes"], tables)
    if newest["fusion"]:
        yield "\nSources that the scores were combined with"
        yield from source_lines(newest["fusion"])
    if newest["overrides"]:
        yield "\nOverridden gates, in all snapshots up to this one"
        yield from map(override_text, newest["overrides"])
    yield f"\ncontent_hash  {newest['content_hash']}"
    yield from (f"{name:12}  {value}" for name, value in newest["ids"].items())
    if "parameters" in document:
        yield from parameter_lines(document["parameters"])
    if newest["mixture"] is not None:
        yield f"snapshot {newest['number']} has {newest['mixture']}"
    if newest["neighbours_text"] is not None:
        yield f"snapshot {newest['number']} has {newest['neighbours_text']}"
