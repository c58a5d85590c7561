"""Imports a ready-made ONNX network as a trunk, after a trial in a child process."""

from models.bundles.model_card import origin_lines
from models.bundles.trunk_bundle import Embedding, TrunkBundle, TrunkFile
from models.bundles.writing import write_trunk_bundle
from models.embedding.pooling import Pooling
from models.trunks.onnx_file import check_self_contained
from models.trunks.onnx_trial import try_network
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import sha256_hex

TRUNK_FILE = "trunk.onnx"


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
    check_self_contained(onnx)
    trial = try_network(onnx, spec)
    facts = TrunkFile(
        name=name,
        digest=sha256_hex(onnx),
        patch_dim=trial.patch_dim,
        batch=trial.batch,
        files={"onnx": TRUNK_FILE},
        learned=False,
        source=source,
        licence=licence,
    )
    files = {TRUNK_FILE: onnx, "MODEL_CARD.md": _card(facts, spec).encode()}
    embedding = Embedding(spec=spec, pooling=Pooling(statistics="none"), trunks=(facts,))
    return write_trunk_bundle(url, embedding, files)


def _card(trunk: TrunkFile, spec: FeatureSpec) -> str:
    return "\n".join(
        [
            *("---", "library_name: onnx", "tags:", "- feature-extraction", "- music", "---", ""),
            f"# The trunk `{trunk.name}`",
            "",
            f"This network maps log-mel patches of {spec.patch_s:.1f} s to embeddings of {trunk.patch_dim} values. It "
            "has no tags. `catalog-tagger train --trunk` fits heads on it.",
            *origin_lines(trunk.source, trunk.licence),
            "",
        ]
    )
