"""The bundle of a text network: what maps a text to a vector in the space of an audio trunk's patch embeddings."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from models.bundles.trunk_bundle import BUNDLE_FILE, TEXT_NETWORK, BundleError, check_id, read_checked
from transforms import storage
from transforms.formats.hashing import json_bytes, sha256_hex, short_id
from transforms.formats.record_types import check_types
from transforms.formats.sealing import naming

TEXT_FILE, TOKENIZER_FILE = "text.onnx", "tokenizer.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextNetwork:
    """A text network of a pair with an audio trunk.

    Attributes:
      name: its name, for people.
      digest: SHA-256 of the ONNX file.
      tokenizer: SHA-256 of the tokenizer's file.
      trunk_id: the trunk whose patch embeddings are in the same space, see `Embedding.trunk_ids`.
      dim: length of a vector.
      length: most tokens of a text, with those that the tokenizer adds; further ones are cut off.
      is_padded: whether the network takes exactly `length` tokens, so that shorter texts are padded.
      template: what the network reads, with `{}` in place of the text.
      tokens_input: name of its input of token ids.
      mask_input: name of its input that tells tokens (1) from padding (0); None if it has none.
      output: name of its output.
      source: origin of the network, for people.
      licence: licence of its weights.
    """

    name: str
    digest: str
    tokenizer: str
    trunk_id: str
    dim: int
    length: int
    is_padded: bool
    template: str
    tokens_input: str
    mask_input: str | None
    output: str
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if self.template.count("{}") != 1:
            raise ValueError(f"template {self.template!r}: it needs {{}} once, in place of the text")
        if self.length < 1 or self.dim < 1:
            raise ValueError(f"length {self.length} and dim {self.dim}: both are at least 1")

    @property
    def text_id(self) -> str:
        """Hash of all that a vector depends on, and of the trunk. Equal ids give equal vectors."""
        fields = dataclasses.asdict(self)
        people = ("name", "source", "licence")
        return short_id("te", json_bytes({name: value for name, value in fields.items() if name not in people}))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TextBundle:
    """A checked bundle of a text network.

    Attributes:
      url: its folder, local or gs://.
      network: what is known about the network.
      onnx, tokenizer: bytes of its files.
      files: name -> SHA-256 of every file.
    """

    url: str
    network: TextNetwork
    onnx: bytes
    tokenizer: bytes
    files: Mapping[str, str]


def text_fields(network: TextNetwork) -> dict[str, Any]:
    """The fields of the manifest that `load_text_bundle` reads."""
    return {"schema_version": 3, "text_id": network.text_id, TEXT_NETWORK: dataclasses.asdict(network)}


def load_text_bundle(url: str) -> TextBundle:
    """Reads and checks the bundle of a text network: SHA-256 of every file, and its id.

    Raises:
      BundleError: there is no bundle; or it is unfinished, was changed, or holds no text network.
    """
    manifest, contents = read_checked(url)
    if TEXT_NETWORK not in manifest:
        raise BundleError(f"{url} holds no text network: give the output of `import-model text`")
    with naming(storage.join(url, BUNDLE_FILE), "a bundle's manifest", BundleError):
        network = TextNetwork(**manifest[TEXT_NETWORK])
        check_types(network)
        onnx, tokenizer = contents[TEXT_FILE], contents[TOKENIZER_FILE]
        stated = {"text_id": manifest["text_id"]}
    check_id(url, "text_id", stated, network.text_id)
    for name, data, wanted in ((TEXT_FILE, onnx, network.digest), (TOKENIZER_FILE, tokenizer, network.tokenizer)):
        if (found := sha256_hex(data)) != wanted:
            raise BundleError(f"{url}: {name} has SHA-256 {found}, but the text network is of {wanted}")
    return TextBundle(url=url, network=network, onnx=onnx, tokenizer=tokenizer, files=manifest["files"])
