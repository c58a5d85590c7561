"""Shows the snapshots of a table: when, how many tracks, made with what, and the hash of their content.

catalog-tagger describe table
"""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from pipelines.terminal.errors import DONE

if TYPE_CHECKING:
    from transforms.table.reader import SnapshotReader

HELP = "Show the snapshots of a table: counts, ids and content hashes."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares this command's flags."""
    parser.add_argument("table", metavar="TABLE", help="root of the tables: a folder or gs://BUCKET/FOLDER")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="default: table")


def run(args: argparse.Namespace, beam_args: list[str]) -> int:
    """Prints all snapshots, the newest last; returns the exit code."""
    from transforms.formats.hashing import json_bytes

    document = describe(args.table)
    if args.format == "json":
        sys.stdout.write(json_bytes(document).decode())
    else:
        _print(document)
    return DONE


def describe(root: str) -> dict[str, Any]:
    """All snapshots of a table as one JSON object, oldest first.

    Raises:
      TableError: nothing is published there.
    """
    from transforms.table.reader import open_history

    return {"table": root, "snapshots": [_summary(snapshot) for snapshot in open_history(root)]}


def _summary(snapshot: "SnapshotReader") -> dict[str, Any]:
    import dataclasses

    from transforms.schemas.tables import TABLES

    manifest, run = snapshot.manifest, snapshot.manifest.run
    files = {name: manifest.files(name) for name in TABLES}
    return {
        "number": manifest.number,
        "parent": run.parent,
        "created": manifest.created,
        "run_id": run.run_id,
        "content_hash": run.content_hash,
        "counts": run.counts,
        "reasons": run.reasons,
        "options": run.options,
        "ids": dataclasses.asdict(run.ids),
        "tables": {
            name: {"files": len(own), "rows": sum(f.rows for f in own), "bytes": sum(f.bytes for f in own)}
            for name, own in files.items()
        },
    }


def _print(document: dict[str, Any]) -> None:
    from pipelines.terminal.printing import write_table

    snapshots = document["snapshots"]
    counts = ("catalog", "tagged", "carried", "rejected", "decoded")
    rows = [
        [s["number"], s["created"], *(s["counts"].get(name) for name in counts), s["content_hash"][:16], s["run_id"]]
        for s in snapshots
    ]
    write_table(sys.stdout, ["snapshot", "created", *counts, "content_hash", "run_id"], rows, most_rows=len(rows))
    newest = snapshots[-1]
    print(f"\nTables of snapshot {newest['number']}")
    tables = [[name, t["files"], t["rows"], t["bytes"]] for name, t in newest["tables"].items()]
    write_table(sys.stdout, ["table", "files", "rows", "bytes"], tables)
    print(f"\ncontent_hash  {newest['content_hash']}")
    for name, value in newest["ids"].items():
        print(f"{name:12}  {value}")
