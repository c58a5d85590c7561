"""Make bundles from networks that others trained.

catalog-tagger import musicnn --package musicnn-0.1.0-py3-none-any.whl --output models
catalog-tagger import trunk --onnx network.onnx --feature-spec spec.json --output models/network
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.inputs.feature_spec import read_feature_spec
from pipelines.terminal.errors import CommandFailed

if TYPE_CHECKING:
    _Sources = argparse._SubParsersAction[argparse.ArgumentParser]

SOURCES = ("musicnn", "trunk")
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
    text = "an ONNX network from mel patches to embeddings, as a bundle without tags that `train --trunk` takes"
    trunk = sources.add_parser("trunk", help=text, description=text, allow_abbrev=False)
    trunk.add_argument("--onnx", required=True, metavar="FILE", help="one input float32 [n, frames, mels], one output")
    trunk.add_argument("--feature-spec", required=True, metavar="JSON", help="how audio becomes its input")
    trunk.add_argument("--output", required=True, metavar="BUNDLE", help="new folder or gs:// prefix of the bundle")
    trunk.add_argument("--name", help="what to call the trunk (default: the file's name)")
    trunk.add_argument("--origin", default="", help="where it is from, for the bundle's manifest and model card")
    trunk.add_argument("--licence", default="", help="of its weights, for the same places")


def run(args: argparse.Namespace) -> int:
    """Runs the importer of one source; returns the exit code."""
    return _import_musicnn(args.package, args.output) if args.source == "musicnn" else _import_trunk(args)


def _import_musicnn(package: str, output: str) -> int:
    from models.bundles.writing import check_output
    from models.trunks.musicnn_package import PackageError, read_package
    from transforms import storage

    try:
        found = {storage.join(output, f"musicnn-{one.dataset}"): one for one in read_package(Path(package))}
        for url in found:  # asked before TensorFlow is imported
            check_output(url)
        from models.trunks.musicnn import write_musicnn_bundle

        for url, checkpoint in found.items():
            bundle = write_musicnn_bundle(url, checkpoint)
            print(f"bundle {url}: {len(bundle.tags)} tags, {bundle.tagger_id}, {bundle.embedding_id}")
    except PackageError as error:
        raise CommandFailed(str(error)) from error
    return 0


def _import_trunk(args: argparse.Namespace) -> int:
    from models.bundles.trunk_bundle import BundleError
    from models.bundles.writing import check_output
    from models.trunks.onnx_import import write_onnx_bundle
    from transforms import storage

    check_output(args.output)
    spec = read_feature_spec(args.feature_spec)
    try:
        data = storage.read_bytes(args.onnx)
        texts = {"name": args.name or Path(args.onnx).stem, "source": args.origin, "licence": args.licence}
        bundle = write_onnx_bundle(args.output, data, spec, **texts)
    except storage.NotFound as error:
        raise CommandFailed(f"--onnx={args.onnx}: no such file") from error
    except BundleError as error:
        raise CommandFailed(f"{args.onnx}: {error}") from error
    (trunk,) = bundle.trunks
    print(f"bundle {args.output}: trunk {trunk.name}, {trunk.patch_dim} values a patch, {bundle.embedding_id}")
    return 0
