"""Makes catalogs of the libraries of other programs."""

from collections.abc import Callable

from pipelines.inputs.flags import Arguments
from pipelines.jobs.imports.catalogs import Imported, write_import
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import checked
from transforms.catalog.delimited.encoding import known_encoding
from transforms.catalog.importers.builder import CatalogBuilder
from transforms.catalog.importers.places import PathMap, parse_maps
from transforms.catalog.libraries.beets import import_beets
from transforms.catalog.libraries.itunes import import_itunes
from transforms.catalog.libraries.playlists import import_playlists
from transforms.catalog.libraries.rekordbox import import_rekordbox
from transforms.catalog.libraries.traktor import import_traktor


def run_rekordbox(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports a Rekordbox XML."""
    return _import_library(args, lambda paths: import_rekordbox(args.library, paths))


def run_itunes(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports the library of iTunes or Apple Music."""
    return _import_library(args, lambda paths: import_itunes(args.library, paths))


def run_traktor(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports a Traktor NML."""
    return _import_library(args, lambda paths: import_traktor(args.library, paths))


def run_beets(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports the library of Beets."""
    folder = args.folder or ""
    return _import_library(args, lambda paths: import_beets(args.library, paths, folder), [folder] if folder else [])


def run_m3u(args: Arguments, beam_args: list[str]) -> Answer:
    """Imports playlists."""
    encoding = checked(known_encoding, args.encoding) if args.encoding else None
    return _import_library(args, lambda paths: import_playlists(args.playlists, paths, encoding))


def _import_library(
    args: Arguments, read: Callable[[PathMap], CatalogBuilder], folders: list[str] | None = None
) -> Answer:
    paths = checked(parse_maps, args.map)
    named = [*(here for _, here in paths.prefixes), *(folders or [])]
    return write_import(args, lambda: Imported(catalog=read(paths), folders=named))
