"""Writes the tags of a snapshot in other forms.

catalog-tagger export table --wide --output wide.parquet
"""

from pipelines.exporting.chosen_tags import chosen_tags
from pipelines.exporting.wide import wide_batches, wide_columns, wide_schema, write_wide_csv
from pipelines.inputs.flags import Arguments
from pipelines.inputs.table import chosen_snapshot
from pipelines.querying.output_files import checked_target, finish_file, write_file
from pipelines.querying.session import Reply
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import UsageError
from transforms.table.reader import SnapshotReader


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Writes the form that the flags ask for.

    Raises:
      UsageError: no form or several are asked for, or flags do not go together.
      TableError, StorageError: the snapshot cannot be read, or the output not be written.
    """
    if not args.wide:
        raise UsageError("missing --wide; see `catalog-tagger export --help`")
    return _export_wide(args, chosen_snapshot(args))


def _export_wide(args: Arguments, snapshot: SnapshotReader) -> Answer:
    if args.output is None:
        raise UsageError("missing --output; see `catalog-tagger export --help`")
    safe = args.safe
    target = checked_target(args.output, replace=args.force, safe=safe, suffixes=("parquet", "csv"))
    metadata = [name.strip() for name in args.columns.split(",") if name.strip()]
    columns = wide_columns(metadata, chosen_tags(snapshot, args.tags), values=args.values, plain_names=args.plain_names)
    snapshot.scan("tracks", columns.metadata, track_ids=[])  # names a column that is not there
    reply = Reply(wide_schema(snapshot, columns), wide_batches(snapshot, columns))
    if target.suffix == "csv":
        finish_file(target, lambda path: write_wide_csv(path, reply, len(columns.metadata), safe=safe))
    else:
        write_file(target, reply)
    rows = sum(file.rows for file in snapshot.manifest.files("tracks"))
    lines = [f"{args.output}: {rows} rows, {len(columns.metadata)} columns of tracks, {len(columns.tags)} of tags"]
    lines += [f"{name} is the column {new}: the name was taken" for name, new in columns.renamed.items()]
    document = {"output": args.output, "rows": rows, "tags": len(columns.tags), "renamed": columns.renamed}
    return Answer(text="\n".join(lines), document=document)
