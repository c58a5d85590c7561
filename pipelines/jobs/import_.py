"""Makes a catalog, and optionally a taxonomy, from a folder of audio files or from metadata tables."""

import csv
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from pipelines.inputs.flags import Arguments
from pipelines.inputs.source_roots import record_roots
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import CommandFailed, UsageError, print_problems
from transforms import storage
from transforms.catalog.importers import published
from transforms.catalog.importers.builder import CatalogBuilder
from transforms.catalog.importers.folder import import_folder
from transforms.catalog.importers.tabular import CsvLayout, import_csv, parse_pairs
from transforms.formats.parquet import parquet_bytes
from transforms.storage import SourceRoots
from transforms.taxonomy.categories import Category, Tag
from transforms.taxonomy.hierarchy import Taxonomy, readable_name


def run_mtg_jamendo(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports MTG-Jamendo's tables."""
    return _import_table(args, lambda: published.import_mtg_jamendo(args.tables, args.splits))


def run_magnatagatune(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports MagnaTagATune's annotations."""
    top, merge = args.top or None, not args.keep_synonyms
    return _import_table(
        args, lambda: published.import_magnatagatune(args.annotations, args.clip_info, top=top, merge=merge)
    )


def run_fma(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports FMA's metadata."""
    return _import_table(args, lambda: published.import_fma(args.tables[0], args.tables[1], args.subset))


def run_csv(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports any comma- or tab-separated table."""
    return _import_table(args, lambda: import_csv(args.table, _csv_layout(args)))


def _check_output(output: str) -> None:
    if not output.endswith(".parquet"):
        raise UsageError(f"--output={output}: the output is a Parquet file, use a name that ends in .parquet")


def _import_table(args: Arguments, read: Callable[[], CatalogBuilder]) -> Answer:
    _check_output(args.output)
    try:
        imported = read()
        rows = imported.table()
        taxonomy = imported.taxonomy() if args.taxonomy else None
    except (ValueError, csv.Error, storage.NotFound) as e:
        raise CommandFailed(str(e)) from e
    print_problems(imported.problems)
    if not rows.num_rows:
        raise CommandFailed("no tracks in these tables")
    storage.write_bytes(args.output, parquet_bytes(rows, ids={}))
    tagged = rows.num_rows - rows["tags"].null_count
    joined = f", {imported.joined} rows merged into an earlier row of their track" if imported.joined else ""
    lines = [f"{args.output}: {rows.num_rows} tracks, {tagged} with tags, {len(imported.problems)} problems{joined}"]
    if taxonomy is not None:
        storage.write_bytes(args.taxonomy, taxonomy.to_yaml().encode())
        lines.append(f"{args.taxonomy}: {len(taxonomy.tags)} tags")
    return Answer(
        text="\n".join(lines),
        document={
            "catalog": args.output,
            "tracks": rows.num_rows,
            "with_tags": tagged,
            "joined": imported.joined,
            "problems": [str(problem) for problem in imported.problems],
            "taxonomy": args.taxonomy,
            "tags": None if taxonomy is None else len(taxonomy.tags),
        },
    )


def _csv_layout(args: Arguments) -> CsvLayout:
    try:
        renamed = {"track_id": "track_id", "uri": "uri"} | dict(parse_pairs(args.column, "--column"))
        wide = [(category, names.split(",")) for category, names in parse_pairs(args.tag_columns, "--tag-columns")]
        return CsvLayout(
            renamed=renamed,
            tags=list(args.tags),
            lists=parse_pairs(args.tag_list, "--tag-list"),
            wide=wide,
            separator=args.separator,
            kinds=dict(parse_pairs(args.kind, "--kind")),
            names=args.names.split(",") if args.names else None,
            uri_bases=list(args.uri_base),
        )
    except ValueError as e:
        raise UsageError(str(e)) from e


def run_folder(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports a folder of audio files."""
    _check_output(args.output)
    folder, output = args.folder, args.output
    if "://" in folder or not Path(folder).is_dir():
        raise UsageError(f"{folder}: no such local folder")
    uri_root = _uri_root(Path(folder), output)
    rows, problems = import_folder(Path(folder), uri_root)
    print_problems(problems)
    if not rows.num_rows:
        raise CommandFailed(f"{folder}: no audio files here")
    storage.write_bytes(output, parquet_bytes(rows, ids={}))
    tagged = rows.num_rows - rows["tags"].null_count
    lines = [f"{output}: {rows.num_rows} tracks, {tagged} with a genre, {len(problems)} with problems"]
    if "://" in output:
        lines.append(f"uris are relative to {folder}: copy the folder to storage and give the copy as --catalog-root")
    elif not _record_folder(folder, output):
        lines.append(f"give `tag` and `prepare` --allow-root {shlex.quote(folder)}: it could not be recorded here")
    genres = None if args.taxonomy is None else _write_taxonomy(rows, args.taxonomy)
    if genres is not None:
        lines.append(f"{args.taxonomy}: {genres} genres")
    return Answer(
        text="\n".join(lines),
        document={
            "catalog": output,
            "tracks": rows.num_rows,
            "with_tags": tagged,
            "problems": [str(problem) for problem in problems],
            "taxonomy": args.taxonomy,
            "tags": genres,
        },
    )


def _record_folder(folder: str, output: str) -> bool:
    """Records the folder for the catalog unless it is beneath the catalog root; returns whether `tag` needs no flag."""
    check = SourceRoots(os.path.dirname(output)).check()  # noqa: PTH120 - the empty name is the working folder
    is_beneath = check.refusal(folder) is None
    return record_roots(output, [] if is_beneath else [folder]) or is_beneath


def _uri_root(folder: Path, output: str) -> Path | None:
    """The folder that uris are relative to: the catalog's folder if it contains the audio, else `/`.

    None stands for the audio's own folder, if the catalog is written to a bucket.
    """
    if "://" in output:
        return None
    above = Path(output).absolute().parent
    # A relative path from another folder would need `..`, which catalogs do not allow; `/` makes paths absolute.
    return above if Path(os.path.normpath(folder.absolute())).is_relative_to(os.path.normpath(above)) else Path("/")


def _write_taxonomy(rows: pa.Table, url: str) -> int:
    """Writes a taxonomy of the genres in the files' metadata; returns the number of genres."""
    ids = sorted({entry["tag"] for tags in rows["tags"].to_pylist() for entry in tags or ()})
    if not ids:
        raise CommandFailed("no file names its genre: leave out --taxonomy, or add genres to the files' metadata")
    tags = tuple(Tag(id=tag, name=readable_name(tag)) for tag in ids)
    genres = Taxonomy(categories=(Category(name="genre", kind="multilabel", tags=tags),))
    storage.write_bytes(url, genres.to_yaml().encode())
    return len(ids)
