"""Make a catalog from what is at hand.

catalog-tagger import folder MUSIC --output catalog.parquet
"""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import CommandFailed, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

HELP = "Make a catalog from what is at hand, such as a folder of audio files."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `import`: one subcommand a source."""
    sources = parser.add_subparsers(dest="source", metavar="SOURCE", required=True)
    text = "a folder of audio files with their embedded tags"
    folder = sources.add_parser("folder", help=text, description=text, allow_abbrev=False)
    folder.add_argument("folder", help="local folder; its subfolders are searched too")
    folder.add_argument("--output", required=True, metavar="CATALOG", help="Parquet file to write or replace")
    folder.add_argument("--taxonomy", metavar="YAML", help="also write a taxonomy of the genres that were found")


def run(args: argparse.Namespace, beam_args: list[str]) -> int:
    """Runs the importer of one source; returns the exit code."""
    return _import_folder(args.folder, args.output, args.taxonomy)


def _import_folder(folder: str, output: str, taxonomy: str | None) -> int:
    from transforms.records import storage
    from transforms.records.importing import import_folder
    from transforms.records.parquet import parquet_bytes

    if not output.endswith(".parquet"):
        raise UsageError(f"--output={output}: the catalog is a Parquet file, name it .parquet")
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
    from transforms.records import storage
    from transforms.records.taxonomy import Category, Tag, Taxonomy, readable_name

    found = sorted({entry["tag"] for tags in rows["tags"].to_pylist() for entry in tags or ()})
    if not found:
        raise CommandFailed("no file names its genre: there is no taxonomy to write")
    tags = tuple(Tag(id=tag, name=readable_name(tag)) for tag in found)
    genres = Taxonomy(categories=(Category(name="genre", kind="multilabel", tags=tags),))
    storage.write_bytes(url, genres.to_yaml().encode())
    print(f"{url}: {len(found)} genres")
