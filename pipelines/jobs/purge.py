"""Takes tracks out of all snapshots of a table, its part files and TFRecord datasets.

catalog-tagger purge table --from takedown.txt --dataset dataset --apply
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from pipelines.inputs.flags import Arguments
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import DONE, FAILED, RACE_LOST, CommandFailed, UsageError
from transforms import storage
from transforms.catalog.limits import ID_CHARS
from transforms.dataset.removal import DatasetFindings, find_examples, take_out
from transforms.formats.quantities import quantity
from transforms.maintenance.leases import Busy, HeldLease, held
from transforms.maintenance.takedown import TableFindings, Takedown, find_tracks, taken_out_before

_LIST_BYTES = 256 << 20
"""Largest list of ids: some millions of tracks."""


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Counts where the tracks are, and takes them out with --apply.

    Raises:
      UsageError: no track is named.
      CommandFailed: another job writes to the table, or a track is still somewhere after all.
    """
    ids = _track_ids(args)
    if not args.apply:
        found, datasets = _found(args, ids)
        what = "found; nothing was changed: give --apply to take {them} out"
        return _answer(args, ids, taken_out_before(args.table, ids), found, datasets, {}, what)
    try:
        with held(args.table, "purge") as lease:
            return _apply(args, ids, lease)
    except Busy as busy:
        raise CommandFailed(f"not all tracks were taken out: {busy}", RACE_LOST) from busy


def _track_ids(args: Arguments) -> frozenset[str]:
    ids = set(args.track_id)
    if args.from_ is not None:
        ids.update(_lines(args.from_))
    if not ids - {""}:
        raise UsageError("no track is named: give --track-id ID or --from FILE")
    return frozenset(ids - {""})


def _lines(url: str) -> list[str]:
    """The lines of a file. Only line feeds end one, because an id may contain the other separators of Unicode."""
    try:
        lines = storage.read_bytes(url, max_bytes=_LIST_BYTES).decode("utf-8-sig").split("\n")
    except storage.TooLarge as error:
        raise UsageError(f"--from {error}: split the list") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--from {url}: not UTF-8 ({error}): write one track id per line") from error
    lines = [line.removesuffix("\r") for line in lines]
    if too_long := [number for number, line in enumerate(lines, 1) if len(line) > ID_CHARS]:
        raise UsageError(
            f"--from {url}, line {too_long[0]}: more than {ID_CHARS} characters, which no id has: write one track "
            "id per line"
        )
    return lines


def _found(args: Arguments, ids: frozenset[str]) -> tuple[TableFindings, list[DatasetFindings]]:
    return find_tracks(args.table, ids), [find_examples(dataset, ids) for dataset in args.dataset]


def _apply(args: Arguments, ids: frozenset[str], lease: HeldLease) -> Answer:
    found, datasets = _found(args, ids)
    before = taken_out_before(args.table, ids)
    known = found.search.ids.union(*(one.ids for one in datasets))
    takedown = Takedown(args.table, ids, lease, args.reader_grace, known=known)
    has_work = known or before or found.unlisted
    receipt: dict[str, Any] = takedown.take_out(found) if has_work else takedown.forget_names()
    pairs = zip(args.dataset, datasets, strict=True)
    receipt["datasets"] = [take_out(dataset, ids, one) for dataset, one in pairs]
    left, left_in_datasets = _found(args, ids)
    receipt["checked"] = {
        "files": left.search.files,
        "rows": left.search.rows,
        "examples": sum(one.examples for one in left_in_datasets),
        "found": left.search.found + sum(one.found for one in left_in_datasets),
        "unreadable": left.search.damaged,
    }
    receipt["receipt"] = takedown.log.record("receipt", receipt)
    if receipt["checked"]["found"] or receipt["checked"]["unreadable"]:
        raise CommandFailed(
            f"the tracks are still in {receipt['checked']['found']} rows, and {receipt['checked']['unreadable']} files "
            f"cannot be read: run it again; {receipt['receipt']} lists what was done"
        )
    again = f"{receipt['checked']['rows']:,} rows and {receipt['checked']['examples']:,} examples that were read again"
    return _answer(args, ids, before, found, datasets, receipt, f"taken out; none is left in {again}")


def _answer(
    args: Arguments,
    ids: frozenset[str],
    before: frozenset[str],
    found: TableFindings,
    datasets: list[DatasetFindings],
    receipt: dict[str, Any],
    what: str,
) -> Answer:
    """The answer; the exit code is 1 if no track was found, and no earlier takedown was for one of them."""
    known = found.search.ids.union(*(one.ids for one in datasets))
    rows = found.search.found + sum(sum((*one.shards.values(), *one.listed.values())) for one in datasets)
    places: dict[str, Any] = {
        "snapshots": sorted(found.snapshots),
        "data_files": len(found.search.data),
        "part_files": len(found.search.parts),
        "shards": sum(len(one.shards) for one in datasets),
    }
    missing, gone = sorted(ids - known - before), sorted(before - known)
    removed = [name for name in _REMOVED if receipt.get(name)]
    lines = [
        *_found_lines(args, known, ids, rows, places, what),
        *([f"taken out by an earlier purge: {_named(gone)}"] if gone else []),
        *([f"in no file: {_named(missing)}"] if missing else []),
        *([f"receipt: {storage.join(args.table, receipt['receipt'])}"] if receipt and (known or removed) else []),
    ]
    return Answer(
        text="\n".join(lines),
        document={
            "table": args.table,
            "applied": args.apply,
            "tracks": len(ids),
            "found": len(known),
            "rows": rows,
            **places,
            "not_found": sorted(ids - known),
            "taken_out_before": gone,
            "receipt": receipt or None,
        },
        code=DONE if known or gone else FAILED,
    )


_REMOVED = ("data_files_removed", "part_files", "runs_removed", "receipts_removed", "reports_removed")
"""Fields of the receipt of a takedown that found no track, if it finished what an earlier one had begun."""


def _found_lines(
    args: Arguments, known: Set[str], ids: frozenset[str], rows: int, places: Mapping[str, Any], what: str
) -> list[str]:
    """How many of the tracks were found, and where."""
    if not known:
        tracks = "the track is in no file" if len(ids) == 1 else f"none of the {len(ids)} tracks is in a file"
        return [f"{tracks} of {args.table}{' or of the datasets' if args.dataset else ''}: nothing was taken out"]
    verb, them = ("was", "it") if len(known) == 1 else ("were", "them")
    return [
        f"{len(known)} of {quantity(len(ids), 'track')} {verb} {what.format(them=them)}",
        f"{quantity(rows, 'row')} in {quantity(len(places['snapshots']), 'snapshot')}, "
        f"{quantity(places['data_files'], 'data file')}, {quantity(places['part_files'], 'part file')} and "
        f"{quantity(places['shards'], 'shard')}",
    ]


def _named(ids: Sequence[str]) -> str:
    return f"{', '.join(ids[:10])}{', ...' if len(ids) > 10 else ''}"
