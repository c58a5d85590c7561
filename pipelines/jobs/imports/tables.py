"""Makes catalogs of metadata tables."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, cast

from pipelines.inputs.flags import Arguments
from pipelines.jobs.imports import said
from pipelines.jobs.imports.catalogs import Imported, write_import
from pipelines.jobs.imports.folder_uris import local_folder, uri_root
from pipelines.jobs.imports.match_report import report_bytes, report_document, report_lines, report_url
from pipelines.jobs.imports.places import copy_line
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import CommandFailed, UsageError, checked
from transforms.catalog.delimited.encoding import known_encoding
from transforms.catalog.importers import published
from transforms.catalog.importers.assignments import parse_assignment
from transforms.catalog.importers.audio_search import PassedOver
from transforms.catalog.importers.builder import CatalogBuilder
from transforms.catalog.importers.column_types import TYPES, ColumnType
from transforms.catalog.importers.folder import file_uri
from transforms.catalog.importers.layout import CsvLayout
from transforms.catalog.importers.matching import FoundFile, MatchReport, find_audio
from transforms.catalog.importers.places import parse_maps
from transforms.catalog.importers.tabular import CsvImport, parse_pairs
from transforms.catalog.libraries.delivery_table import delivery_layout


def run_mtg_jamendo(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports MTG-Jamendo's tables."""
    return _import_published(args, lambda: published.import_mtg_jamendo(args.tables, args.splits))


def run_magnatagatune(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports MagnaTagATune's annotations."""
    top, merge = args.top or None, not args.keep_synonyms
    return _import_published(
        args, lambda: published.import_magnatagatune(args.annotations, args.clip_info, top=top, merge=merge)
    )


def run_fma(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports FMA's metadata."""
    return _import_published(args, lambda: published.import_fma(args.tables[0], args.tables[1], args.subset))


def _import_published(args: Arguments, read: Callable[[], CatalogBuilder]) -> Answer:
    return write_import(args, lambda: Imported(catalog=read()))


def run_csv(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports any text table."""
    layout = checked(_csv_layout, args)
    return write_import(args, lambda: _import_text_table(args, layout))


def run_ddex(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports a table of a delivery with DDEX's names of columns."""
    layout = checked(_table_layout, args)
    return write_import(args, lambda: _import_text_table(args, delivery_layout(args.table, layout)))


def _import_text_table(args: Arguments, layout: CsvLayout) -> Imported:
    """Reads a table, and says what its columns were taken for before its rows are read."""
    table = CsvImport(args.table, layout)
    columns = table.columns()
    said.print_columns(f"{args.table}: read as {table.form}", columns, table.count)
    folders = [here for _, here in layout.paths.prefixes]
    document: dict[str, Any] = {"columns": [dataclasses.asdict(column) for column in columns]}
    if layout.match is None:
        return Imported(catalog=table.read(), folders=folders, document=document)
    report = MatchReport()
    catalog = table.read(_audio_files(args), report)
    url = report_url(args.output)
    return Imported(
        catalog=catalog,
        folders=[*folders, args.files],
        document={**document, "match": report_document(report, url, plan=args.plan)},
        lines=[*report_lines(report, url, plan=args.plan), *([copy_line(args.files)] if "://" in args.output else [])],
        reports={url: report_bytes(report)},
    )


def _audio_files(args: Arguments) -> list[FoundFile]:
    folder = local_folder(args.files)
    root, over = uri_root(folder, args.output) or folder, PassedOver()
    try:
        found = find_audio(folder, lambda path: file_uri(path, root), args.match, over)
    except OSError as e:
        raise CommandFailed(f"{folder}: {e.strerror or e}") from e
    said.print_passed_over(over)
    return found


def _csv_layout(args: Arguments) -> CsvLayout:
    wide = [(category, names.split(",")) for category, names in parse_pairs(args.tag_columns, "--tag-columns")]
    return dataclasses.replace(
        _table_layout(args),
        tags=list(args.tags),
        lists=parse_pairs(args.tag_list, "--tag-list"),
        wide=wide,
        kinds=dict(parse_pairs(args.kind, "--kind")),
        names=args.names.split(",") if args.names else None,
        uri_bases=list(args.uri_base),
    )


def _table_layout(args: Arguments) -> CsvLayout:
    """What the flags say that both kinds of tables have."""
    if bool(args.files) != bool(args.match):
        raise UsageError("--files and --match belong together: give the folder, and what its files are found by")
    return CsvLayout(
        renamed=dict(parse_assignment(text) for text in args.column),
        separator=args.separator,
        types=_types(args),
        encoding=known_encoding(args.encoding) if args.encoding else None,
        paths=parse_maps(args.map),
        match=args.match,
    )


def _types(args: Arguments) -> Mapping[str, ColumnType]:
    found = {}
    for column, kind in parse_pairs(args.type, "--type"):
        if kind not in TYPES:
            raise UsageError(f"--type={column}={kind}: choose from {', '.join(TYPES)}")
        found[column] = cast(ColumnType, kind)
    return found
