"""Makes a catalog of the audio files in a folder."""

from typing import Any

import pyarrow as pa

from pipelines.inputs.flags import Arguments
from pipelines.jobs.imports import said
from pipelines.jobs.imports.catalogs import check_catalog_name
from pipelines.jobs.imports.folder_uris import local_folder, uri_root
from pipelines.jobs.imports.places import copy_line, root_lines
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import CommandFailed, checked
from transforms import storage
from transforms.catalog.importers.folder import ImportedFolder, import_folder
from transforms.catalog.metadata.path_pattern import PathPattern
from transforms.formats.parquet import parquet_bytes
from transforms.formats.quantities import quantity
from transforms.taxonomy.categories import Category, Tag
from transforms.taxonomy.hierarchy import Taxonomy, readable_name


def run_folder(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports a folder of audio files."""
    return _import_folder(args, musicbrainz=False)


def run_picard(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports a folder of audio files that MusicBrainz Picard has tagged."""
    return _import_folder(args, musicbrainz=True)


def _import_folder(args: Arguments, *, musicbrainz: bool) -> Answer:
    check_catalog_name(args.output)
    folder, output = local_folder(args.folder), args.output
    pattern = checked(PathPattern, args.pattern) if args.pattern else None
    try:
        found = import_folder(folder, uri_root(folder, output), pattern=pattern, musicbrainz=musicbrainz)
    except OSError as e:
        raise CommandFailed(f"{folder}: {e.strerror or e}") from e
    rows, over = found.table, found.passed_over
    said.print_passed_over(over)
    for what, tally in _tallies(found).items():
        said.print_examples(what, tally)
    said.check_lost(args.max_lost_ratio, over.lost, rows.num_rows + over.lost, "files and folders")
    if not rows.num_rows:
        raise CommandFailed(f"{folder}: no audio files here{said.passed_over_text(over)}")
    genres = _genres(rows) if args.taxonomy else None
    if not args.plan:
        storage.write_bytes(output, parquet_bytes(rows, ids={}))
        if genres is not None:
            storage.write_bytes(args.taxonomy, genres.to_yaml().encode())
    return _answer(args, found, genres, musicbrainz=musicbrainz)


def _tallies(found: ImportedFolder) -> dict[str, Any]:
    return {
        "files without metadata": found.without_metadata,
        "paths of another form": found.without_pattern,
        "values left out": found.values_left_out,
    }


def _answer(args: Arguments, found: ImportedFolder, genres: Taxonomy | None, *, musicbrainz: bool) -> Answer:
    rows, over, without = found.table, found.passed_over, found.without_metadata
    tagged = rows.num_rows - rows["tags"].null_count
    lines = [
        f"{args.output}: {quantity(rows.num_rows, 'track')}, {tagged} with a genre, "
        f"{found.without_tags} without tags, {without.count} without metadata"
    ]
    lines += [f"{quantity(found.without_ids, 'track')} without an id of MusicBrainz"] if musicbrainz else []
    lines += [f"{found.without_pattern.count} paths do not have the form {args.pattern}"] if args.pattern else []
    lines += [f"passed over{said.passed_over_text(over)}"] if over.counts else []
    lines += said.left_out_lines(found.values_left_out)
    lines += _place_lines(args, rows)
    tags = None if genres is None else len(genres.tags)
    lines += [] if tags is None else [f"{args.taxonomy}: {tags} genres"]
    return Answer(
        text="\n".join(lines),
        document={
            "catalog": None if args.plan else args.output,
            "tracks": rows.num_rows,
            "with_tags": tagged,
            "without_tags": found.without_tags,
            "without_musicbrainz_ids": found.without_ids if musicbrainz else None,
            "lost": over.lost,
            "passed_over": said.passed_over_document(over),
            "problems": [str(problem) for problem in without.kept],
            "other_paths": [str(problem) for problem in found.without_pattern.kept],
            "values_left_out": said.left_out_document(found.values_left_out),
            "taxonomy": args.taxonomy,
            "tags": tags,
        },
    )


def _place_lines(args: Arguments, rows: pa.Table) -> list[str]:
    if args.plan:
        return ["--plan: nothing was written"]
    if "://" in args.output:
        return [copy_line(args.folder)]
    return list(root_lines(args.output, rows["uri"].to_pylist(), [args.folder]))


def _genres(rows: pa.Table) -> Taxonomy:
    """A taxonomy of the genres in the files' metadata."""
    ids = sorted({entry["tag"] for tags in rows["tags"].to_pylist() for entry in tags or ()})
    if not ids:
        raise CommandFailed("no file names its genre: leave out --taxonomy, or add genres to the files' metadata")
    tags = tuple(Tag(id=tag, name=readable_name(tag)) for tag in ids)
    return Taxonomy(categories=(Category(name="genre", kind="multilabel", tags=tags),))
