"""Checks every file of a snapshot, of all snapshots, of a bundle or of a dataset.

catalog-tagger verify table
"""

import logging
import shlex
from typing import Any

from models.bundles.trunk_bundle import BUNDLE_FILE, read_manifest_of
from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import require_kind
from pipelines.inputs.table import chosen_snapshot
from pipelines.reading.bundle_problems import bundle_problems
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import DONE, FAILED, UsageError
from transforms import storage
from transforms.dataset.manifest import DATASET_FILE, read_manifest
from transforms.dataset.verification import dataset_problems, dataset_steps
from transforms.formats.quantities import quantity
from transforms.iceberg.checks import moved_from
from transforms.table.reader import SnapshotReader, open_snapshot, published_numbers
from transforms.table.versions import TableError
from transforms.telemetry.phases import passing
from transforms.verification.manifest_checks import table_problems
from transforms.verification.snapshot_checks import steps, verify

Facts = dict[str, Any]

_log = logging.getLogger(__name__)


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Returns the problems and a summary; the exit code is 1 if there is a problem."""
    place = args.table
    for name, check in ((BUNDLE_FILE, _bundle), (DATASET_FILE, _dataset)):
        if storage.exists(storage.join(place, name)):
            if args.every or args.snapshot is not None or args.as_of is not None:
                raise UsageError(f"{place} holds {name}: --all, --snapshot and --as-of are for tables")
            return check(place)
    require_kind(place)
    _tell_moved(place)
    if not args.every:
        return _snapshot_answer(*_checked(chosen_snapshot(args)))
    if args.snapshot is not None or args.as_of is not None:
        raise UsageError("--all checks every snapshot: leave out --snapshot and --as-of")
    return _table(place)


def _tell_moved(root: str) -> None:
    """Tells that the table was moved, which harms engines that open it by Iceberg's metadata, and nobody else."""
    if (place := moved_from(root)) is not None:
        _log.warning(
            "Iceberg's metadata name files beneath %s: the table was moved or copied. For engines that open it here, "
            "run `catalog-tagger iceberg %s`",
            place,
            shlex.quote(root),
        )


def _checked(snapshot: SnapshotReader) -> tuple[Facts, list[str]]:
    """What was read of a snapshot, and its problems."""
    files = rows = 0
    problems: list[str] = []
    name = f"verifying snapshot {snapshot.manifest.number}"
    for step in passing(verify(snapshot), name, unit="steps", total=steps(snapshot)):
        files, rows = files + step.files, rows + step.rows
        problems += step.problems
    manifest = snapshot.manifest
    return {
        "snapshot": manifest.number,
        "files": files,
        "rows": rows,
        "content_hash": manifest.run.content_hash,
    }, problems


def _summary(facts: Facts, problems: list[str]) -> str:
    return (
        f"snapshot {facts['snapshot']}: {quantity(facts['files'], 'file')}, {quantity(facts['rows'], 'row')}, "
        f"content hash {facts['content_hash']}: {_verdict(problems)}"
    )


def _verdict(problems: list[str]) -> str:
    return quantity(len(problems), "problem") if problems else "no problem"


def _snapshot_answer(facts: Facts, problems: list[str]) -> Answer:
    return _answer(facts, problems, _summary(facts, problems))


def _answer(facts: Facts, problems: list[str], summary: str) -> Answer:
    return Answer(
        text="\n".join([*problems, summary]),
        document={**facts, "problems": problems},
        rows=_rows(facts, problems),
        code=FAILED if problems else DONE,
        all=True,
    )


def _rows(facts: Facts, problems: list[str]) -> list[Facts]:
    return [{**facts, "problem": problem} for problem in problems] or [{**facts, "problem": None}]


def _table(root: str) -> Answer:
    """Checks all snapshots, runs and receipts. A snapshot that cannot be opened is a problem like others."""
    found: list[tuple[Facts, list[str]]] = []
    lines: list[str] = []
    for number in published_numbers(root):
        facts, problems = _opened(root, number)
        found.append((facts, problems))
        lines += [*problems, _summary(facts, problems)]
    others = list(table_problems(root))
    lines += others
    everything = [*(problem for _, problems in found for problem in problems), *others]
    rows = [row for facts, problems in found for row in _rows(facts, problems)]
    nobody = dict.fromkeys(found[0][0])
    return Answer(
        text="\n".join([*lines, f"{quantity(len(found), 'snapshot')}: {_verdict(everything)}"]),
        document={
            "table": root,
            "snapshots": [{**facts, "problems": problems} for facts, problems in found],
            "problems": everything,
        },
        rows=[*rows, *({**nobody, "problem": problem} for problem in others)],
        code=FAILED if everything else DONE,
    )


def _opened(root: str, number: int) -> tuple[Facts, list[str]]:
    try:
        return _checked(open_snapshot(root, number))
    except (TableError, storage.StorageError) as error:
        return {"snapshot": number, "files": 0, "rows": 0, "content_hash": None}, [str(error)]


def _bundle(url: str) -> Answer:
    files = len(read_manifest_of(url)["files"])
    problems = list(bundle_problems(url))
    return _answer(
        {"bundle": url, "files": files}, problems, f"bundle {url}: {quantity(files, 'file')}: {_verdict(problems)}"
    )


def _dataset(dataset: str) -> Answer:
    manifest = read_manifest(dataset)
    checked = dataset_problems(dataset, manifest)
    total = dataset_steps(manifest)
    problems = [problem for step in passing(checked, "verifying", unit="shards", total=total) for problem in step]
    shards = len(manifest.shards)
    return _answer(
        {"dataset": dataset, "shards": shards, "examples": sum(manifest.splits.values())},
        problems,
        f"dataset {dataset}: {quantity(shards, 'shard')}, {quantity(sum(manifest.splits.values()), 'example')}: "
        f"{_verdict(problems)}",
    )
