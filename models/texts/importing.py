"""Imports a text network with its tokenizer, after a trial in a child process."""

import json
import re
from typing import Any

from models.bundles.model_card import origin_lines
from models.bundles.text_bundle import TEXT_FILE, TOKENIZER_FILE, TextBundle, TextNetwork
from models.bundles.trunk_bundle import BundleError, load_trunks
from models.bundles.writing import write_text_bundle
from models.texts.tokens import TextTokenizer
from models.trunks.onnx_file import check_self_contained
from models.trunks.onnx_trial import tried
from transforms.formats.hashing import sha256_hex

_CHILD = "models.texts.child"

_TRUNK_ID = re.compile(r"tr-[0-9a-f]{16}")


def find_trunk(place: str) -> tuple[str, int | None]:
    """The id of a trunk and the length of its patch embeddings, which is None if only the id is given.

    Args:
      place: the id, or the folder of a bundle with this trunk alone.

    Raises:
      BundleError: there is no bundle, or it has several trunks or none.
    """
    if _TRUNK_ID.fullmatch(place):
        return place, None
    bundle = load_trunks(place)
    named = list(zip(bundle.trunk_ids, bundle.trunks, strict=True))
    if not named:
        raise BundleError(f"{place} has no trunk, only statistics: give the bundle of the audio network")
    if len(named) > 1:
        told = ", ".join(f"{name} ({trunk.name})" for name, trunk in named)
        raise BundleError(f"{place} has several trunks: give the id of one of them: {told}")
    ((found, trunk),) = named
    return found, trunk.patch_dim


def import_text_network(
    url: str,
    onnx: bytes,
    tokenizer: bytes,
    *,
    trunk: tuple[str, int | None],
    name: str,
    length: int,
    template: str = "{}",
    tokens_input: str | None = None,
    mask_input: str | None = None,
    output: str | None = None,
    source: str = "",
    licence: str = "",
) -> TextBundle:
    """Writes the bundle of a text network.

    Args:
      url: empty folder, local or gs://.
      onnx: bytes of the network: token ids [n, tokens] and perhaps their mask -> one vector a text, [n, dim].
      tokenizer: bytes of its file `tokenizer.json`.
      trunk: id of the audio trunk that it was trained with, and the length of its patch embeddings if it is known.
      name: name of the network.
      length: most tokens of a text.
      template: what it reads, with `{}` in place of the text.
      tokens_input, mask_input, output: names of inputs and output; None: found by themselves.
      source: origin of the network, for people.
      licence: licence of its weights.

    Raises:
      BundleError: a library is not installed, ONNX Runtime cannot run the network, the tokenizer or the trunk is that
        of another one, or the folder is not empty.
    """
    check_self_contained(onnx, "text network")
    TextTokenizer(tokenizer, length=length, template=_checked_template(template), is_padded=False)
    declared = {"length": length, "template": template, "tokens_input": tokens_input, "mask_input": mask_input}
    facts = _facts(onnx, tokenizer, {**declared, "output": output})
    trunk_id, size = trunk
    if size is not None and facts["dim"] != size:
        raise BundleError(
            f"the text network's vectors have {facts['dim']} values, but the patch embeddings of trunk {trunk_id} have "
            f"{size}: give the networks of one pair"
        )
    network = TextNetwork(
        name=name,
        digest=sha256_hex(onnx),
        tokenizer=sha256_hex(tokenizer),
        trunk_id=trunk_id,
        length=length,
        template=template,
        source=source,
        licence=licence,
        **facts,
    )
    files = {TEXT_FILE: onnx, TOKENIZER_FILE: tokenizer, "MODEL_CARD.md": _card(network).encode()}
    return write_text_bundle(url, network, files)


def _checked_template(template: str) -> str:
    if template.count("{}") != 1:
        raise BundleError(f"template {template!r}: it needs {{}} once, in place of the text")
    return template


def _facts(onnx: bytes, tokenizer: bytes, declared: dict[str, Any]) -> dict[str, Any]:
    """What the trial shows."""
    argument = json.dumps({**declared, "tokenizer_bytes": len(tokenizer)})
    return tried(_CHILD, argument, tokenizer + onnx, "in which some short texts should go through it")


def _card(network: TextNetwork) -> str:
    return "\n".join(
        [
            *("---", "library_name: onnx", "tags:", "- feature-extraction", "- music", "---", ""),
            f"# The text network `{network.name}`",
            "",
            f"This network maps a text of at most {network.length} tokens, in the template `{network.template}`, to "
            f"{network.dim} values in the space of the trunk `{network.trunk_id}`. `catalog-tagger search` with "
            "`--text-model` compares them with the tracks of a table.",
            *origin_lines(network.source, network.licence),
            "",
        ]
    )
