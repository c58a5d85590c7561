"""Make a catalog, or a bundle, from what is at hand.

catalog-tagger import folder MUSIC --output catalog.parquet
"""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import import_model as importing_models
from pipelines.terminal.errors import CommandFailed, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from transforms.catalog.importers.builder import CatalogBuilder
    from transforms.catalog.importers.tabular import CsvLayout

    _Sources = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "Make a catalog from a folder of audio files or from metadata tables, or a bundle from a ready-made network."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `import`: one subcommand a source."""
    sources = parser.add_subparsers(dest="source", metavar="SOURCE", required=True)
    folder = _add_source(sources, "folder", "a folder of audio files with their embedded tags")
    folder.add_argument("folder", help="local folder; its subfolders are searched too")
    jamendo = _add_source(sources, "mtg-jamendo", "MTG-Jamendo's autotagging tables")
    jamendo.add_argument("tables", nargs="+", metavar="TSV", help="autotagging*.tsv; tags of several are joined")
    jamendo.add_argument("--splits", metavar="PREFIX", help="official split, e.g. splits/split-0/autotagging")
    magna = _add_source(sources, "magnatagatune", "MagnaTagATune's annotations")
    magna.add_argument("annotations", metavar="CSV", help="annotations_final.csv")
    magna.add_argument("--clip-info", metavar="CSV", help="clip_info_final.csv: artist, album and title")
    magna.add_argument("--top", type=int, default=50, help="keep so many most frequent tags (default 50); 0 keeps all")
    magna.add_argument("--keep-synonyms", action="store_true", help="don't join tags that mean the same")
    fma = _add_source(sources, "fma", "FMA's metadata")
    fma.add_argument("tables", nargs=2, metavar="CSV", help="tracks.csv and genres.csv")
    fma.add_argument("--subset", choices=("small", "medium", "large", "full"), help="tracks of this subset only")
    _add_csv(_add_source(sources, "csv", "any comma- or tab-separated table"))
    importing_models.add_sources(sources)


def _add_source(sources: "_Sources", name: str, text: str) -> argparse.ArgumentParser:
    source = sources.add_parser(name, help=text, description=text, allow_abbrev=False)
    source.add_argument("--output", required=True, metavar="CATALOG", help="Parquet file to write or replace")
    source.add_argument("--taxonomy", metavar="YAML", help="also write a taxonomy of the tags that were found")
    return source


def _add_csv(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="the file; its first line names the columns")
    parser.add_argument("--names", help="names of the columns, joined by commas, for a file without a header")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME=COLUMN",
        help="catalog column from another, e.g. uri=path, or from several: 'track_id={album}-{disc}-{track}'",
    )
    parser.add_argument(
        "--uri-base",
        action="append",
        default=[],
        metavar="URL",
        help="beginning that uris lose: where the files were copied from",
    )
    parser.add_argument("--tags", action="append", default=[], metavar="COLUMN", help="column with category/slug ids")
    parser.add_argument(
        "--tag-list", action="append", default=[], metavar="CATEGORY=COLUMN", help="column with names of one category"
    )
    parser.add_argument(
        "--tag-columns", action="append", default=[], metavar="CATEGORY=A,B", help="a column a tag, 0 to 1; * for all"
    )
    parser.add_argument("--separator", default="|", help="between the names of a --tag-list (default |)")
    parser.add_argument("--kind", action="append", default=[], metavar="CATEGORY=KIND", help="where not multilabel")


def run(args: argparse.Namespace, beam_args: list[str]) -> int:
    """Runs the importer of one source; returns the exit code."""
    if args.source in importing_models.SOURCES:
        return importing_models.run(args)
    if not args.output.endswith(".parquet"):
        raise UsageError(f"--output={args.output}: the catalog is a Parquet file, name it .parquet")
    if args.source == "folder":
        return _import_folder(args.folder, args.output, args.taxonomy)
    return _import_table(args)


def _import_table(args: argparse.Namespace) -> int:
    import csv

    from transforms import storage
    from transforms.formats.parquet import parquet_bytes

    try:
        imported = _imported(args)
        rows = imported.table()
        taxonomy = imported.taxonomy() if args.taxonomy else None
    except (ValueError, csv.Error, storage.NotFound) as e:
        raise CommandFailed(str(e)) from e
    for problem in imported.problems:
        print(problem, file=sys.stderr)
    if not rows.num_rows:
        raise CommandFailed("no tracks in these tables")
    storage.write_bytes(args.output, parquet_bytes(rows, ids={}))
    tagged = rows.num_rows - rows["tags"].null_count
    joined = f", {imported.joined} rows joined to a track before" if imported.joined else ""
    print(f"{args.output}: {rows.num_rows} tracks, {tagged} with tags, {len(imported.problems)} problems{joined}")
    if taxonomy is not None:
        storage.write_bytes(args.taxonomy, taxonomy.to_yaml().encode())
        print(f"{args.taxonomy}: {len(taxonomy.tags)} tags")
    return 0


def _imported(args: argparse.Namespace) -> "CatalogBuilder":
    from transforms.catalog.importers import published as import_datasets
    from transforms.catalog.importers.tabular import import_csv

    if args.source == "mtg-jamendo":
        return import_datasets.import_mtg_jamendo(args.tables, args.splits)
    if args.source == "magnatagatune":
        top, merge = args.top or None, not args.keep_synonyms
        return import_datasets.import_magnatagatune(args.annotations, args.clip_info, top=top, merge=merge)
    if args.source == "fma":
        tracks, genres = args.tables
        return import_datasets.import_fma(tracks, genres, args.subset)
    return import_csv(args.table, _csv_layout(args))


def _csv_layout(args: argparse.Namespace) -> "CsvLayout":
    from transforms.catalog.importers.tabular import CsvLayout, parse_pairs

    try:
        renamed = {"track_id": "track_id", "uri": "uri"} | dict(parse_pairs(args.column, "--column"))
        wide = [(category, names.split(",")) for category, names in parse_pairs(args.tag_columns, "--tag-columns")]
        return CsvLayout(
            renamed=renamed,
            tags=args.tags,
            lists=parse_pairs(args.tag_list, "--tag-list"),
            wide=wide,
            separator=args.separator,
            kinds=dict(parse_pairs(args.kind, "--kind")),
            names=args.names.split(",") if args.names else None,
            uri_bases=args.uri_base,
        )
    except ValueError as e:
        raise UsageError(str(e)) from e


def _import_folder(folder: str, output: str, taxonomy: str | None) -> int:
    from transforms import storage
    from transforms.catalog.importers.folder import import_folder
    from transforms.formats.parquet import parquet_bytes

    if "://" in folder or not Path(folder).is_dir():
        raise UsageError(f"{folder}: no such local folder")
    rows, problems = import_folder(Path(folder), _uri_root(Path(folder), output))
    for problem in problems:
        print(problem, file=sys.stderr)
    if not rows.num_rows:
        raise CommandFailed(f"{folder}: no audio files here")
    storage.write_bytes(output, parquet_bytes(rows, ids={}))
    tagged = rows.num_rows - rows["tags"].null_count
    print(f"{output}: {rows.num_rows} tracks, {tagged} with a genre, {len(problems)} with problems")
    if "://" in output:
        print(f"uris are relative to {folder}: copy it to storage and give its place as --catalog-root")
    if taxonomy is not None:
        _write_taxonomy(rows, taxonomy)
    return 0


def _uri_root(folder: Path, output: str) -> Path | None:
    """What uris are relative to: the catalog's folder where the audio lies below it; None: the audio's own folder."""
    if "://" in output:
        return None
    above = Path(output).absolute().parent
    # From anywhere else the way leads over `..`, which catalogs do not allow: the root makes paths absolute.
    return above if Path(os.path.normpath(folder.absolute())).is_relative_to(os.path.normpath(above)) else Path("/")


def _write_taxonomy(rows: "pa.Table", url: str) -> None:
    from transforms import storage
    from transforms.taxonomy.categories import Category, Tag
    from transforms.taxonomy.hierarchy import Taxonomy, readable_name

    found = sorted({entry["tag"] for tags in rows["tags"].to_pylist() for entry in tags or ()})
    if not found:
        raise CommandFailed("no file names its genre: there is no taxonomy to write")
    tags = tuple(Tag(id=tag, name=readable_name(tag)) for tag in found)
    genres = Taxonomy(categories=(Category(name="genre", kind="multilabel", tags=tags),))
    storage.write_bytes(url, genres.to_yaml().encode())
    print(f"{url}: {len(found)} genres")
