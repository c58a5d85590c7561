"""Track embeddings from patches: the bundle's trunk in batches of one fixed shape, then pooling."""

from collections.abc import Callable
from pathlib import Path

from models.bundles.trunk_bundle import BundleError, TrunkFile, load_trunks, local_copy
from models.embedding.embedder import TrackEmbedder, Trunk


def load_embedder(bundle_url: str, *, inference: str = "auto", threads: int | None = 1) -> TrackEmbedder:
    """The embedder of a bundle; every file is checked first.

    Args:
      bundle_url: folder of the bundle, local or gs://.
      inference: what runs the trunks, a key of `INFERENCE_ENGINES`.
      threads: threads of the engine (TensorFlow: for each of its two pools); None leaves its own choice.

    Raises:
      BundleError: a file is missing or changed, or holds no trunk that this engine can run.
    """
    bundle = load_trunks(bundle_url)
    with local_copy(bundle_url, bundle) as folder:
        trunks = [
            (load_trunk(trunk, folder, bundle_url, inference=inference, threads=threads), trunk.patch_dim)
            for trunk in bundle.trunks
        ]
    return TrackEmbedder(trunks, bundle.spec, bundle.pooling)


def load_trunk(
    trunk: TrunkFile, folder: Path, bundle_url: str, *, inference: str = "auto", threads: int | None = 1
) -> Trunk:
    """One trunk of a bundle whose files have been checked and lie in a local folder; otherwise as `load_embedder`."""
    kind = format_for(trunk, bundle_url, inference)
    return LOADERS[kind](folder / trunk.files[kind], trunk, threads)


def format_for(trunk: TrunkFile, bundle_url: str, inference: str) -> str:
    """The file format that an engine loads a trunk from: the first of its own that the bundle holds.

    Raises:
      BundleError: the bundle holds none that this engine can run.
    """
    found = next((kind for kind in INFERENCE_ENGINES[inference] if kind in trunk.files), None)
    if found is None:
        raise BundleError(
            f"{bundle_url}: trunk {trunk.name!r} is there as {', '.join(trunk.files) or 'nothing'}; "
            f"{inference} runs {', '.join(INFERENCE_ENGINES[inference])}"
        )
    return found


def _load_keras(path: Path, trunk: TrunkFile, threads: int | None) -> Trunk:
    try:
        import tensorflow  # noqa: F401
    except ImportError as error:
        raise BundleError(
            f"trunk {trunk.name!r} is run by TensorFlow, which is not installed: pip install "
            "'catalog-tagger[tensorflow]', or choose --inference onnx where the bundle has a file for it"
        ) from error
    from models.trunks import keras_trunk

    keras_trunk.limit_threads(threads)
    return keras_trunk.load_keras_trunk(path, trunk)


def _load_onnx(path: Path, trunk: TrunkFile, threads: int | None) -> Trunk:
    from models.trunks.onnx_trunk import OnnxTrunk

    return OnnxTrunk(path, threads)


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
"""What runs a trunk -> the formats that it loads, preferred ones first. On processors ONNX Runtime is the faster."""
