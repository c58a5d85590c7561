"""Make bundles from networks that others trained.

catalog-tagger import musicnn --package musicnn-0.1.0-py3-none-any.whl --output models
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import CommandFailed

if TYPE_CHECKING:
    _Sources = argparse._SubParsersAction[argparse.ArgumentParser]

SOURCES = ("musicnn",)
"""Sources that become bundles; all others become catalogs."""


def add_sources(sources: "_Sources") -> None:
    """Subcommands of `import` that write bundles."""
    text = "the music taggers of the Python package musicnn 0.1.0, as two bundles"
    musicnn = sources.add_parser("musicnn", help=text, description=text, allow_abbrev=False)
    musicnn.add_argument(
        "--package",
        required=True,
        metavar="WHEEL",
        help="wheel (`pip download musicnn==0.1.0 --no-deps`), its folder, or the unpacked package",
    )
    musicnn.add_argument(
        "--output", required=True, metavar="FOLDER", help="where the bundles musicnn-mtt and musicnn-msd are written"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the importer of one source; returns the exit code."""
    return _import_musicnn(args.package, args.output)


def _import_musicnn(package: str, output: str) -> int:
    from models.bundle_writing import check_output
    from models.musicnn_package import PackageError, read_package
    from transforms.records import storage

    try:
        found = {storage.join(output, f"musicnn-{one.dataset}"): one for one in read_package(Path(package))}
        for url in found:  # asked before TensorFlow is imported
            check_output(url)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from models.musicnn import write_musicnn_bundle

        for url, checkpoint in found.items():
            bundle = write_musicnn_bundle(url, checkpoint)
            print(f"bundle {url}: {len(bundle.tags)} tags, {bundle.tagger_id}, {bundle.embedding_id}")
    except PackageError as error:
        raise CommandFailed(str(error)) from error
    return 0
