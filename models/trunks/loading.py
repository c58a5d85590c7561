"""Loads the trunks of a bundle for inference."""

import os
from collections.abc import Callable
from pathlib import Path

from models.bundles.trunk_bundle import BundleError, TrunkFile, load_trunks, local_copy
from models.embedding.embedder import LoadedTrunk, TrackEmbedder, Trunk
from models.trunks.onnx_file import check_self_contained
from models.trunks.quiet_start import start_tensorflow
from transforms.formats.hashing import sha256_hex


def load_embedder(
    bundle_url: str, *, inference: str = "auto", threads: int | None = 1, parallel: int = 1
) -> TrackEmbedder:
    """The embedder of a bundle. Every file is checked first.

    Args:
      bundle_url: folder of the bundle, local or gs://.
      inference: the engine that runs the trunks, a key of `INFERENCE_ENGINES`.
      threads: threads of one call of the engine; None: the engine's default.
      parallel: batches that are computed at the same time; 0: one per core. The bits do not depend on it.

    Raises:
      BundleError: a file is missing or was changed, or the engine cannot run a trunk.
    """
    bundle = load_trunks(bundle_url)
    with local_copy(bundle_url, bundle) as folder:
        runs = [load_trunk(trunk, folder, bundle_url, inference=inference, threads=threads) for trunk in bundle.trunks]
    trunks = [LoadedTrunk(run, trunk.patch_dim, trunk.batch) for run, trunk in zip(runs, bundle.trunks, strict=True)]
    return TrackEmbedder(trunks, bundle.spec, bundle.pooling, parallel=parallel or os.cpu_count() or 1)


def load_trunk(
    trunk: TrunkFile, folder: Path, bundle_url: str, *, inference: str = "auto", threads: int | None = 1
) -> Trunk:
    """One trunk of a bundle. Its files must be checked and in the local `folder`. Otherwise like `load_embedder`."""
    kind = format_for(trunk, bundle_url, inference)
    return LOADERS[kind](folder / trunk.files[kind], trunk, threads)


def format_for(trunk: TrunkFile, bundle_url: str, inference: str) -> str:
    """The file format that an engine loads: the first of its formats that the trunk has.

    Raises:
      BundleError: the trunk has no format that this engine can run.
    """
    found = next((kind for kind in INFERENCE_ENGINES[inference] if kind in trunk.files), None)
    if found is None:
        raise BundleError(
            f"{bundle_url}: trunk {trunk.name!r} has formats {', '.join(trunk.files) or 'none'}, but --inference "
            f"{inference} runs {', '.join(INFERENCE_ENGINES[inference])}: choose another one"
        )
    return found


def _load_keras(path: Path, trunk: TrunkFile, threads: int | None) -> Trunk:
    try:
        start_tensorflow()
        from models.trunks import keras_trunk

        keras_trunk.limit_threads(threads)
        return keras_trunk.load_keras_trunk(path, trunk)
    except ImportError as error:
        raise BundleError(
            f"trunk {trunk.name!r} needs TensorFlow, which is not installed: pip install "
            "'catalog-tagger[tensorflow]', or choose --inference onnx if the bundle has an ONNX file"
        ) from error


def _load_onnx(path: Path, trunk: TrunkFile, threads: int | None) -> Trunk:
    from models.trunks.onnx_trunk import OnnxTrunk

    data = path.read_bytes()
    check_onnx(data, trunk, str(path))
    return OnnxTrunk(data, threads)


def check_onnx(data: bytes, trunk: TrunkFile, place: str) -> None:
    """Checks an ONNX file against its trunk. `place` names it in messages.

    Raises:
      BundleError: it takes data from another file, or it is another network than the trunk's digest says.
    """
    check_self_contained(data)
    # An imported network has no other weights than this file, so the digest, and with it `embedding_id`, is the file's.
    if set(trunk.files) == {"onnx"} and (found := sha256_hex(data)) != trunk.digest:
        raise BundleError(f"{place}: the ONNX file has SHA-256 {found}, but the trunk {trunk.name!r} is {trunk.digest}")


def _load_projection(path: Path, trunk: TrunkFile, threads: int | None) -> Trunk:
    from models.bundles import fake

    return fake.Projection.load(path)


LOADERS: dict[str, Callable[[Path, TrunkFile, int | None], Trunk]] = {
    "keras": _load_keras,
    "onnx": _load_onnx,
    "projection": _load_projection,
}
"""Trunk format -> loader."""

INFERENCE_ENGINES = {
    "auto": ("onnx", "keras", "projection"),
    "onnx": ("onnx", "projection"),
    "tensorflow": ("keras", "projection"),
}
"""Engine -> trunk formats that it loads, preferred ones first. On processors, ONNX Runtime is faster."""
