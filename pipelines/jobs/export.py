"""Writes the tags of a snapshot in other forms.

catalog-tagger export table --wide --output wide.parquet
"""

import itertools
import logging
import shlex
from collections.abc import Callable, Iterable

from pipelines.exporting.audio_copies import FAILED_FILES, FileTally, Places, write_copies
from pipelines.exporting.beets import write_beets
from pipelines.exporting.chosen_tags import chosen_tags
from pipelines.exporting.field_names import field_names
from pipelines.exporting.in_place import restore, write_in_place
from pipelines.exporting.rekordbox import TRACK_FACTS, write_rekordbox
from pipelines.exporting.tagged_tracks import TaggedTrack, tagged_tracks
from pipelines.exporting.wide import wide_batches, wide_columns, wide_schema, write_wide_csv
from pipelines.inputs.flags import Arguments
from pipelines.inputs.table import chosen_snapshot
from pipelines.querying.output_files import Target, checked_target, finish_file, write_file
from pipelines.querying.session import Reply
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import DONE, FAILED, UsageError
from transforms.formats.quantities import quantity
from transforms.storage import SourceRoots
from transforms.storage.scratch import open_scratch
from transforms.table.mixture import mixture_text, taggers_of
from transforms.table.reader import SnapshotReader
from transforms.telemetry.phases import passing

_log = logging.getLogger(__name__)

_HELP = "see `catalog-tagger export --help`"


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Writes the form that the flags ask for.

    Raises:
      UsageError: no form or several are asked for, or flags do not go together.
      TableError, StorageError: the snapshot cannot be read, or the output not be written.
    """
    chosen = [name for name in FORMS if getattr(args, name)]
    flags = [f"--{name.replace('_', '-')}" for name in (chosen or FORMS)]
    if len(chosen) != 1:
        raise UsageError(f"give exactly one of {', '.join(flags)}; {_HELP}")
    for name in _UNUSED[chosen[0]]:
        if getattr(args, name) not in (None, False, "", (), "score"):
            raise UsageError(f"--{_SPELLINGS.get(name, name.replace('_', '-'))} does not go with {flags[0]}")
    return FORMS[chosen[0]](args)


def _wide(args: Arguments) -> Answer:
    snapshot = chosen_snapshot(args)
    target = _target(args, "parquet", "csv")
    metadata = [name.strip() for name in args.columns.split(",") if name.strip()]
    mixed = mixture_text(snapshot.manifest.run)
    if len(taggers_of(snapshot.manifest.run)) > 1 and "tagger_id" not in metadata:
        raise UsageError(
            f"snapshot {snapshot.manifest.number} has {mixed}: add tagger_id to --columns, so that each row says whose "
            "tags it has, or export another snapshot"
        )
    columns = wide_columns(metadata, chosen_tags(snapshot, args.tags), values=args.values, plain_names=args.plain_names)
    snapshot.scan("tracks", columns.metadata, track_ids=[])  # names a column that is not there
    reply = Reply(wide_schema(snapshot, columns), wide_batches(snapshot, columns))
    if target.suffix == "csv":
        finish_file(target, lambda path: write_wide_csv(path, reply, len(columns.metadata), safe=args.safe))
    else:
        write_file(target, reply)
    rows = _rows(snapshot)
    lines = [
        f"{args.output}: {quantity(rows, 'row')}, {quantity(len(columns.metadata), 'column')} of tracks, "
        f"{len(columns.tags)} of tags"
    ]
    lines += [f"{name} is the column {new}: the name was taken" for name, new in columns.renamed.items()]
    document = {"output": args.output, "rows": rows, "tags": len(columns.tags), "renamed": columns.renamed}
    return Answer(text="\n".join(lines), document=document)


def _into_files(args: Arguments) -> Answer:
    snapshot = _warned(args)
    names, tracks = _names_and_tracks(args, snapshot)
    return _answer(write_copies(tracks, _places(args), args.into_files, names, replace=args.force), args.into_files)


def _in_place(args: Arguments) -> Answer:
    snapshot = _warned(args)
    names, tracks = _names_and_tracks(args, snapshot)
    origin = {"table": snapshot.root, "snapshot": snapshot.manifest.number}
    tally = write_in_place(tracks, _places(args), args.in_place, names, origin)
    roots = [f"--catalog-root {shlex.quote(args.catalog_root)}"]
    roots += [f"--allow-root {shlex.quote(root)}" for root in args.allow_root]
    how = f"catalog-tagger export {args.table} --restore {args.in_place} {' '.join(roots)} restores the files"
    return _answer(tally, args.in_place, how)


def _restore(args: Arguments) -> Answer:
    return _answer(restore(args.restore, _places(args)), args.restore)


def _rekordbox(args: Arguments) -> Answer:
    snapshot = _warned(args)
    target, roots = _target(args, "xml"), _places(args).roots
    tracks = _shown(tagged_tracks(snapshot, chosen_tags(snapshot, args.tags), TRACK_FACTS), snapshot)
    tallies: list[FileTally] = []
    with open_scratch() as scratch:
        finish_file(target, lambda path: tallies.append(write_rekordbox(path, tracks, roots, scratch)))
    return _answer(tallies[0], args.output)


def _beets(args: Arguments) -> Answer:
    snapshot = _warned(args)
    target, roots = _target(args, "db", "blb"), _places(args).roots
    names, tracks = _names_and_tracks(args, snapshot)
    tallies: list[FileTally] = []
    finish_file(target, lambda path: tallies.append(write_beets(path, args.beets, tracks, roots, names)))
    return _answer(tallies[0], args.output)


FORMS: dict[str, Callable[[Arguments], Answer]] = {
    "wide": _wide,
    "into_files": _into_files,
    "in_place": _in_place,
    "restore": _restore,
    "rekordbox": _rekordbox,
    "beets": _beets,
}
"""Flag -> the function that writes this form."""

_WIDE = ("columns", "plain_names", "values", "safe")
_FILES = ("catalog_root", "allow_root")
_UNUSED = {
    "wide": ("fields", *_FILES),
    "into_files": ("output", *_WIDE),
    "in_place": ("output", "force", *_WIDE),
    "restore": ("output", "force", "tags", "fields", "snapshot", "as_of", *_WIDE),
    "rekordbox": ("fields", *_WIDE),
    "beets": _WIDE,
}
"""Form -> flags that mean nothing for it."""

_SPELLINGS = {"fields": "field", "tags": "tag", "safe": "safe-csv"}


def _target(args: Arguments, *suffixes: str) -> Target:
    if args.output is None:
        raise UsageError(f"missing --output; {_HELP}")
    return checked_target(args.output, replace=args.force, safe=args.safe, suffixes=suffixes)


def _places(args: Arguments) -> Places:
    if args.catalog_root is None:
        raise UsageError(
            "missing --catalog-root: the folder or gs:// prefix of the audio, from which relative uris start"
        )
    roots = SourceRoots(args.catalog_root, tuple(args.allow_root))
    return Places(roots, roots.check())


def _warned(args: Arguments) -> SnapshotReader:
    """The chosen snapshot. Of a mixed one, each file gets the tags of its own tagger, and a warning says so."""
    snapshot = chosen_snapshot(args)
    if (mixed := mixture_text(snapshot.manifest.run)) is not None:
        _log.warning("snapshot %d has %s", snapshot.manifest.number, mixed)
    return snapshot


def _names_and_tracks(args: Arguments, snapshot: SnapshotReader) -> tuple[dict[str, str], Iterable[TaggedTrack]]:
    """Category -> field, and the tracks."""
    tags = chosen_tags(snapshot, args.tags)
    names = field_names(list(dict.fromkeys(tag.partition("/")[0] for tag in tags)), args.fields)
    return names, _shown(tagged_tracks(snapshot, tags), snapshot)


def _shown(tracks: Iterable[TaggedTrack], snapshot: SnapshotReader) -> Iterable[TaggedTrack]:
    return passing(tracks, "exporting", unit="tracks", total=_rows(snapshot))


def _rows(snapshot: SnapshotReader) -> int:
    return snapshot.manifest.rows("tracks")


def _answer(tally: FileTally, output: str, *further: str) -> Answer:
    document = {"output": output, "tracks": dict(tally.counts), "examples": dict(tally.examples)}
    code = FAILED if tally.counts[FAILED_FILES] else DONE
    return Answer(text="\n".join(itertools.chain([output], tally.lines(), further)), document=document, code=code)
