"""Imports a ready-made ONNX network as a trunk, and checks it by running it."""

import numpy as np

from models.bundles.trunk_bundle import BundleError, Embedding, TrunkBundle, TrunkFile
from models.bundles.writing import write_trunk_bundle
from models.embedding.embedder import BATCH
from models.embedding.pooling import Pooling
from models.trunks.batch_size import chosen_batch
from models.trunks.onnx_trunk import OnnxTrunk, told
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import sha256_hex

TRUNK_FILE = "trunk.onnx"

MOST_VALUES = 65_536
"""Most values of a patch embedding."""

_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")

IMPORT_TOLERANCE = 1e-4
"""Largest change of a patch's embedding with the other patches of its batch, relative to the largest value."""


def write_onnx_bundle(
    url: str, onnx: bytes, spec: FeatureSpec, *, name: str, source: str = "", licence: str = ""
) -> TrunkBundle:
    """Writes a bundle without tags whose trunk is this network.

    Args:
      url: empty folder, local or gs://.
      onnx: bytes of the file, with one input float32 [n, frames, mels], n free or fixed, and one output [n, dim].
      spec: feature spec of its input.
      name: name of the trunk.
      source: origin of the network, for people.
      licence: licence of its weights.

    Raises:
      BundleError: ONNX Runtime cannot run it, it does not map patches of this spec to embeddings, or the folder is not
        empty.
    """
    facts = TrunkFile(
        name=name,
        digest=sha256_hex(onnx),
        patch_dim=embedding_length(OnnxTrunk(onnx), spec),
        batch=chosen_batch(onnx, spec.patch_shape),
        files={"onnx": TRUNK_FILE},
        learned=False,
        source=source,
        licence=licence,
    )
    files = {TRUNK_FILE: onnx, "MODEL_CARD.md": _card(facts, spec).encode()}
    embedding = Embedding(spec=spec, pooling=Pooling(statistics="none"), trunks=(facts,))
    return write_trunk_bundle(url, embedding, files)


def embedding_length(trunk: OnnxTrunk, spec: FeatureSpec) -> int:
    """Length of the embeddings of a network, determined by running it.

    Raises:
      BundleError: its inputs, outputs or values are not those of a trunk. The message has the difference.
    """
    _check_signature(trunk, spec)
    patches = np.random.default_rng(0).normal(size=(BATCH, *spec.patch_shape)).astype(np.float32)
    half = BATCH // 2
    try:
        found = trunk(patches)
        with_others = trunk(np.concatenate([patches[:half], 3 * patches[half:] + 1]))
        alone = trunk(patches[:half])
    except Exception as error:
        raise BundleError(f"the network fails on {BATCH} patches of {spec.patch_shape}: {told(error)}") from error
    if found.ndim != 2 or len(found) != BATCH:
        raise BundleError(f"the output for {BATCH} patches has shape {found.shape}: a trunk must return [{BATCH}, dim]")
    if len(alone) != half or not 1 <= found.shape[1] <= MOST_VALUES:
        raise BundleError(
            f"the outputs for {BATCH} and {half} patches have shapes {found.shape} and {alone.shape}: a trunk must "
            f"return a row of 1 to {MOST_VALUES} values for each patch"
        )
    if not np.isfinite(found).all():
        raise BundleError("the network's embeddings of noise are not finite: check its weights and its export")
    if np.abs(found - with_others)[:half].max() > IMPORT_TOLERANCE * np.abs(found).max():
        raise BundleError(
            "a patch's embedding changes with the other patches of its batch: export the network for inference, with "
            "fixed statistics of its normalisations"
        )
    if (found == found[0]).all():
        raise BundleError("the network gives all patches the same embedding: check its export")
    return int(found.shape[1])


def _check_signature(trunk: OnnxTrunk, spec: FeatureSpec) -> None:
    if len(trunk.inputs) != 1 or len(trunk.outputs) != 1:
        names = [", ".join(one.name for one in ends) for ends in (trunk.inputs, trunk.outputs)]
        raise BundleError(f"the network has inputs {names[0]} and outputs {names[1]}: a trunk must have one of each")
    (patch,), (found,) = trunk.inputs, trunk.outputs
    if found.type not in _FLOATS:
        raise BundleError(f"the network returns {found.type}: a trunk must return floating-point numbers")
    fits = len(patch.shape) == 3 and all(
        not isinstance(size, int) or size == wanted
        for size, wanted in zip(patch.shape[1:], spec.patch_shape, strict=True)
    )
    if patch.type != "tensor(float)" or not fits:
        frames, mels = spec.patch_shape
        raise BundleError(
            f"the network takes {patch.type} {patch.shape}, but the feature spec makes float32 [n, {frames}, {mels}]"
        )


def _card(trunk: TrunkFile, spec: FeatureSpec) -> str:
    known = [f"Source: {trunk.source}."] * bool(trunk.source) + [f"Licence: {trunk.licence}."] * bool(trunk.licence)
    return "\n".join(
        [
            *("---", "library_name: onnx", "tags:", "- feature-extraction", "- music", "---", ""),
            f"# The trunk `{trunk.name}`",
            "",
            f"This network maps log-mel patches of {spec.patch_s:.1f} s to embeddings of {trunk.patch_dim} values. It "
            "has no tags. `catalog-tagger train --trunk` fits heads on it.",
            *(["", *known] if known else []),
            "",
        ]
    )
