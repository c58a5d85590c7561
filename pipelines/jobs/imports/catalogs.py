"""Writes the catalog, and optionally the taxonomy, of an import, and says what is in it."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.jobs.imports import said
from pipelines.jobs.imports.places import root_lines
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import CommandFailed, UsageError, print_problems
from transforms import storage
from transforms.catalog.delimited.encoding import OPEN_END
from transforms.catalog.delimited.table import TextTable
from transforms.catalog.importers.builder import CatalogBuilder, Library
from transforms.formats.parquet import parquet_bytes
from transforms.formats.quantities import quantity
from transforms.taxonomy.hierarchy import Taxonomy


@dataclasses.dataclass(kw_only=True)
class Imported:
    """An import that is not written yet.

    Attributes:
      catalog: its rows, and what was lost.
      folders: folders that the user named, and that `tag` may therefore read.
      document: further values of the answer.
      lines: further lines of the answer.
      reports: files that say what is not in the catalog, and are written even if too much is lost: URL -> content.
    """

    catalog: CatalogBuilder
    folders: Sequence[str] = ()
    document: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    lines: Sequence[str] = ()
    reports: Mapping[str, bytes] = dataclasses.field(default_factory=dict)


def check_catalog_name(output: str) -> None:
    """Raises UsageError for a catalog that is not a Parquet file, or is in a folder of another kind."""
    check_writes("--output", output)
    if not output.endswith(".parquet"):
        raise UsageError(f"--output={output}: the output is a Parquet file, use a name that ends in .parquet")


def write_import(args: Arguments, read: Callable[[], Imported]) -> Answer:
    """Reads, checks and writes an import. With `--plan`, nothing is written."""
    check_catalog_name(args.output)
    try:
        imported = read()
        catalog = imported.catalog
        rows = catalog.table()
        taxonomy = catalog.taxonomy() if args.taxonomy else None
        tables = [source for source in catalog.sources if isinstance(source, TextTable)]
        catalog.warnings += [f"{table.url}: {OPEN_END}" for table in tables if table.open_end]
    except (ValueError, storage.NotFound) as e:
        raise CommandFailed(str(e)) from e
    _print_problems(catalog)
    if not catalog.read:
        over = said.passed_over_text(catalog.passed_over)
        raise CommandFailed(f"no rows in {', '.join(source.url for source in catalog.sources)}{over}")
    _write_reports(args, imported)
    missing = "no catalog" if imported.reports and not args.plan else "nothing"
    said.check_lost(args.max_lost_ratio, catalog.lost_count, catalog.read, "rows", missing)
    if not args.plan:
        storage.write_bytes(args.output, parquet_bytes(rows, ids={}))
        if taxonomy is not None:
            storage.write_bytes(args.taxonomy, taxonomy.to_yaml().encode())
    return _answer(args, imported, rows, taxonomy)


def _write_reports(args: Arguments, imported: Imported) -> None:
    if not args.plan:
        for url, content in imported.reports.items():
            storage.write_bytes(url, content)
    if imported.reports and imported.catalog.lost_count > args.max_lost_ratio * imported.catalog.read:
        print_problems(imported.lines)


def _print_problems(catalog: CatalogBuilder) -> None:
    said.print_examples("rows lost", catalog.lost)
    said.print_examples("values left out", catalog.values_left_out)
    said.print_passed_over(catalog.passed_over)
    print_problems(f"warning: {warning}" for warning in catalog.warnings)
    if catalog.unmapped.count:
        print_problems([catalog.unmapped.message()])


def _answer(args: Arguments, imported: Imported, rows: pa.Table, taxonomy: Taxonomy | None) -> Answer:
    catalog = imported.catalog
    tagged = rows.num_rows - rows["tags"].null_count
    tags = None if taxonomy is None else len(taxonomy.tags)
    return Answer(
        text="\n".join(_lines(args, imported, rows, tagged, tags)),
        document={
            "catalog": None if args.plan else args.output,
            "tracks": rows.num_rows,
            "with_tags": tagged,
            "joined": catalog.joined,
            "tables": [_source_document(source) for source in catalog.sources],
            "rows": catalog.read,
            "lost": catalog.lost_count,
            "problems": [str(problem) for problem in catalog.lost.kept],
            "windows_paths": {"count": catalog.unmapped.count, "flags": list(catalog.unmapped.flags())},
            "values_left_out": said.left_out_document(catalog.values_left_out),
            "passed_over": said.passed_over_document(catalog.passed_over),
            "warnings": list(catalog.warnings),
            "taxonomy": args.taxonomy,
            "tags": tags,
            **imported.document,
        },
    )


def _lines(args: Arguments, imported: Imported, rows: pa.Table, tagged: int, tags: int | None) -> Iterator[str]:
    catalog = imported.catalog
    yield from map(_source_line, catalog.sources)
    yield from imported.lines
    joined = f", {quantity(catalog.joined, 'row')} merged into an earlier row of their track" if catalog.joined else ""
    lost = f"{quantity(catalog.lost_count, 'row')} lost{joined}"
    yield f"{args.output}: {quantity(rows.num_rows, 'track')}, {tagged} with tags, {lost}"
    if catalog.passed_over.counts:
        yield f"passed over{said.passed_over_text(catalog.passed_over)}"
    yield from said.left_out_lines(catalog.values_left_out)
    if tags is not None:
        yield f"{args.taxonomy}: {quantity(tags, 'tag')}"
    if args.plan:
        yield "--plan: nothing was written"
    else:
        yield from root_lines(args.output, rows["uri"].to_pylist(), imported.folders)


def _source_line(source: TextTable | Library) -> str:
    if isinstance(source, Library):
        return f"{source.url}: {source.form}, {quantity(source.rows, 'track')}"
    columns, rows = quantity(len(source.names), "column"), quantity(source.rows, "row")
    return f"{source.url}: read as {source.form}; {columns}, {rows}"


def _source_document(source: TextTable | Library) -> dict[str, object]:
    if isinstance(source, Library):
        return {"table": source.url, "form": source.form, "rows": source.rows}
    return {"table": source.url, **dataclasses.asdict(source.form), "columns": list(source.names), "rows": source.rows}
