"""Makes a catalog, and optionally a taxonomy, from a folder of audio files or from metadata tables."""

import dataclasses
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.inputs.source_roots import record_roots
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import ROWS_LOST, CommandFailed, UsageError, print_problems
from transforms import storage
from transforms.catalog.delimited.encoding import known_encoding
from transforms.catalog.delimited.table import TextTable
from transforms.catalog.importers import published
from transforms.catalog.importers.audio_search import PassedOver
from transforms.catalog.importers.builder import CatalogBuilder
from transforms.catalog.importers.folder import ImportedFolder, import_folder
from transforms.catalog.importers.tabular import CsvLayout, import_csv, parse_pairs
from transforms.catalog.problems import MOST_PROBLEMS, ProblemTally
from transforms.formats.parquet import parquet_bytes
from transforms.storage import SourceRoots
from transforms.taxonomy.categories import Category, Tag
from transforms.taxonomy.hierarchy import Taxonomy, readable_name

_EXAMPLES = 10
"""Problems of a kind that are printed. The answer as JSON has more."""


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
    """Imports any text table."""
    return _import_table(args, lambda: import_csv(args.table, _csv_layout(args)))


def _check_output(output: str) -> None:
    check_writes("--output", output)
    if not output.endswith(".parquet"):
        raise UsageError(f"--output={output}: the output is a Parquet file, use a name that ends in .parquet")


def _import_table(args: Arguments, read: Callable[[], CatalogBuilder]) -> Answer:
    _check_output(args.output)
    try:
        imported = read()
        rows = imported.table()
        taxonomy = imported.taxonomy() if args.taxonomy else None
    except (ValueError, storage.NotFound) as e:
        raise CommandFailed(str(e)) from e
    _print_examples("rows lost", imported.lost)
    _print_examples("values left out", imported.values_left_out)
    if not imported.read:
        raise CommandFailed(f"no rows in {', '.join(source.url for source in imported.sources)}")
    _check_lost(args.max_lost_ratio, imported.lost.count, imported.read, "rows")
    storage.write_bytes(args.output, parquet_bytes(rows, ids={}))
    if taxonomy is not None:
        storage.write_bytes(args.taxonomy, taxonomy.to_yaml().encode())
    return _table_answer(args, imported, rows, None if taxonomy is None else len(taxonomy.tags))


def _table_answer(args: Arguments, imported: CatalogBuilder, rows: pa.Table, tags: int | None) -> Answer:
    tagged = rows.num_rows - rows["tags"].null_count
    joined = f", {imported.joined} rows merged into an earlier row of their track" if imported.joined else ""
    lines = [_form_line(table) for table in imported.sources]
    lines.append(f"{args.output}: {rows.num_rows} tracks, {tagged} with tags, {imported.lost.count} rows lost{joined}")
    lines += _left_out_lines(imported.values_left_out)
    if tags is not None:
        lines.append(f"{args.taxonomy}: {tags} tags")
    return Answer(
        text="\n".join(lines),
        document={
            "catalog": args.output,
            "tracks": rows.num_rows,
            "with_tags": tagged,
            "joined": imported.joined,
            "tables": [_form_document(table) for table in imported.sources],
            "rows": imported.read,
            "lost": imported.lost.count,
            "problems": [str(problem) for problem in imported.lost.kept],
            "values_left_out": _left_out_document(imported.values_left_out),
            "taxonomy": args.taxonomy,
            "tags": tags,
        },
    )


def _print_examples(what: str, tally: ProblemTally) -> None:
    """Writes the first problems of each column to stderr, and how many more there are."""
    for column, count in tally.counts.items():
        shown = tally.examples(column, _EXAMPLES)
        print_problems(shown)
        if count > len(shown):
            place = f" in column {column}" if column else ""
            print_problems([f"({count - len(shown)} more {what}{place}; --format json lists them)"])


def _check_lost(limit: float, lost: int, read: int, what: str) -> None:
    """Raises CommandFailed if more than the limit is lost."""
    if lost > limit * read:
        raise CommandFailed(
            f"{lost} of {read} {what} lost ({lost / read:.1%}), more than --max-lost-ratio {limit:g}: nothing was "
            "written; correct what is listed above, or give a higher limit",
            ROWS_LOST,
        )


def _form_line(table: TextTable) -> str:
    return f"{table.url}: read as {table.form}; {len(table.names)} columns, {table.rows} rows"


def _form_document(table: TextTable) -> dict[str, object]:
    form = dataclasses.asdict(table.form)
    return {"table": table.url, **form, "columns": list(table.names), "rows": table.rows}


def _left_out_lines(tally: ProblemTally) -> Iterator[str]:
    for column, count in tally.counts.items():
        yield f"{column}: {count} values left out, for example {tally.examples(column, 1)[0].message}"


def _left_out_document(tally: ProblemTally) -> dict[str, object]:
    return {
        str(column): {"count": count, "examples": [str(problem) for problem in tally.examples(column, MOST_PROBLEMS)]}
        for column, count in tally.counts.items()
    }


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
            encoding=known_encoding(args.encoding) if args.encoding else None,
        )
    except ValueError as e:
        raise UsageError(str(e)) from e


def run_folder(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports a folder of audio files."""
    _check_output(args.output)
    folder, output = args.folder, args.output
    if "://" in folder or not Path(folder).is_dir():
        raise UsageError(f"{folder}: no such local folder")
    try:
        found = import_folder(Path(folder), _uri_root(Path(folder), output))
    except OSError as e:
        raise CommandFailed(f"{folder}: {e.strerror or e}") from e
    rows, over = found.table, found.passed_over
    _print_passed_over(over)
    _print_examples("files without metadata", found.without_metadata)
    _print_examples("values left out", found.values_left_out)
    _check_lost(args.max_lost_ratio, over.lost, rows.num_rows + over.lost, "files and folders")
    if not rows.num_rows:
        raise CommandFailed(f"{folder}: no audio files here{_passed_over_text(over)}")
    taxonomy = None if args.taxonomy is None else _genres(rows)
    storage.write_bytes(output, parquet_bytes(rows, ids={}))
    if taxonomy is not None:
        storage.write_bytes(args.taxonomy, taxonomy.to_yaml().encode())
    return _folder_answer(args, found, None if taxonomy is None else len(taxonomy.tags))


def _folder_answer(args: Arguments, found: ImportedFolder, genres: int | None) -> Answer:
    rows, over, without = found.table, found.passed_over, found.without_metadata
    tagged = rows.num_rows - rows["tags"].null_count
    lines = [f"{args.output}: {rows.num_rows} tracks, {tagged} with a genre, {without.count} without metadata"]
    lines += [f"passed over{_passed_over_text(over)}"] if over.counts else []
    lines += _left_out_lines(found.values_left_out)
    if "://" in args.output:
        place = args.folder
        lines.append(f"uris are relative to {place}: copy the folder to storage and give the copy as --catalog-root")
    elif not _record_folder(args.folder, args.output):
        place = shlex.quote(args.folder)
        lines.append(f"give `tag` and `prepare` --allow-root {place}: it could not be recorded here")
    if genres is not None:
        lines.append(f"{args.taxonomy}: {genres} genres")
    kinds = {kind: {"count": count, "examples": over.examples[kind]} for kind, count in over.counts.items()}
    return Answer(
        text="\n".join(lines),
        document={
            "catalog": args.output,
            "tracks": rows.num_rows,
            "with_tags": tagged,
            "lost": over.lost,
            "passed_over": kinds,
            "problems": [str(problem) for problem in without.kept],
            "values_left_out": _left_out_document(found.values_left_out),
            "taxonomy": args.taxonomy,
            "tags": genres,
        },
    )


def _record_folder(folder: str, output: str) -> bool:
    """Records the folder for the catalog unless it is beneath the catalog root; returns whether `tag` needs no flag."""
    check = SourceRoots(os.path.dirname(output)).check()  # noqa: PTH120 - the empty name is the working folder
    is_beneath = check.refusal(folder) is None
    return record_roots(output, [] if is_beneath else [folder]) or is_beneath


def _print_passed_over(over: PassedOver) -> None:
    for kind, count in over.counts.items():
        shown = over.examples[kind][:_EXAMPLES]
        more = f", and {count - len(shown)} more" if count > len(shown) else ""
        print_problems([f"passed over, {kind}: {', '.join(shown)}{more}"])


def _passed_over_text(over: PassedOver) -> str:
    return ": " + ", ".join(f"{count} x {kind}" for kind, count in over.counts.most_common()) if over.counts else ""


def _uri_root(folder: Path, output: str) -> Path | None:
    """The folder that uris are relative to: the catalog's folder if it contains the audio, else `/`.

    None stands for the audio's own folder, if the catalog is written to a bucket.
    """
    if "://" in output:
        return None
    above = Path(output).absolute().parent
    # A relative path from another folder would need `..`, which catalogs do not allow; `/` makes paths absolute.
    return above if Path(os.path.normpath(folder.absolute())).is_relative_to(os.path.normpath(above)) else Path("/")


def _genres(rows: pa.Table) -> Taxonomy:
    """A taxonomy of the genres in the files' metadata."""
    ids = sorted({entry["tag"] for tags in rows["tags"].to_pylist() for entry in tags or ()})
    if not ids:
        raise CommandFailed("no file names its genre: leave out --taxonomy, or add genres to the files' metadata")
    tags = tuple(Tag(id=tag, name=readable_name(tag)) for tag in ids)
    return Taxonomy(categories=(Category(name="genre", kind="multilabel", tags=tags),))
