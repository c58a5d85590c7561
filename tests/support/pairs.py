"""A pair of an audio and a text network in a shared space of eight dimensions, whose truth is known by construction.

The audio network maps a patch to the energies of eight bands, each less their mean. The text network maps a text to the
mean of the vectors of its words, and a word points at its bands.
"""

import json
from pathlib import Path

import numpy as np
import soundfile

from models.bundles.tagger_bundle import Bundle, TagFacts, Tagging
from models.bundles.trunk_bundle import Embedding, TrunkFile
from models.bundles.writing import write_bundle
from models.embedding.pooling import Pooling
from models.scoring.heads import Heads
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import sha256_hex
from transforms.taxonomy.hierarchy import Taxonomy

SPEC = FeatureSpec(n_mels=16, patch_frames=24, patches_per_track=4)
DIM = 8

WORDS = {
    **dict.fromkeys(("low", "hum", "deep"), (0, 1)),
    **dict.fromkeys(("mid", "hollow"), (3, 4)),
    **dict.fromkeys(("high", "hiss", "bright"), (6, 7)),
    **dict.fromkeys(("a", "recording", "of", "."), ()),
}
"""Word -> the bands that it points at."""

SPECIAL = ("[UNK]", "[PAD]", "[BOS]", "[EOS]")
FLOAT, INT64, INT32 = 1, 7, 6
"""ONNX's numbers for them."""


def word_vectors(dim: int = DIM) -> np.ndarray:
    """float32 [vocabulary, dim], in the order of the ids; zeros for words that say nothing."""
    found = np.zeros((len(SPECIAL) + len(WORDS), dim), np.float32)
    for row, bands in enumerate(WORDS.values(), len(SPECIAL)):
        found[row, list(bands)] = 1
    return found


def tokenizer_json(
    *, added: bool = True, padding: bool = False, vocabulary: tuple[str, ...] = (*SPECIAL, *WORDS)
) -> bytes:
    """A tokenizer of whole words; with `added`, it puts [BOS] and [EOS] around a text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    ids = {word: number for number, word in enumerate(vocabulary)}
    found = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    found.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()])
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    if added:
        pieces = [("[BOS]", ids["[BOS]"]), ("[EOS]", ids["[EOS]"])]
        found.post_processor = processors.TemplateProcessing(single="[BOS] $A [EOS]", special_tokens=pieces)
    if padding:
        found.enable_padding(pad_id=ids["[PAD]"], pad_token="[PAD]", length=5)
    return json.dumps(json.loads(found.to_str())).encode()


def audio_network(spec: FeatureSpec = SPEC, dim: int = DIM) -> bytes:
    """float32 [n, frames, mels] -> energies of `dim` bands, less their mean."""
    from onnx import helper

    bands = np.kron(np.eye(dim), np.ones((spec.n_mels // dim, 1))).astype(np.float32) * dim / spec.n_mels
    nodes = [
        helper.make_node("ReduceMean", ["patch"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "bands"], ["energies"]),
        helper.make_node("ReduceMean", ["energies"], ["middle"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["energies", "middle"], ["embedding"]),
    ]
    patch = helper.make_tensor_value_info("patch", FLOAT, ("n", *spec.patch_shape))
    return _saved(nodes, [patch], ("embedding",), {"bands": bands}, dim)


def text_network(
    *,
    dim: int = DIM,
    length: int | str = "tokens",
    batch: int | str = "n",
    kind: int = INT64,
    mask: str | None = "attention_mask",
    tokens: str = "input_ids",
    more: tuple[str, ...] = (),
    outputs: tuple[str, ...] = ("text_embeds",),
    rows: int | None = None,
    factor: float = 1.0,
    to: int = FLOAT,
    states: bool = False,
) -> bytes:
    """Token ids [n, tokens] -> the mean of the words' vectors. The arguments make networks that are none of a pair.

    Args:
      length: tokens of a text, if they are fixed.
      mask: name of the input of the mask; None: all tokens count.
      more: further inputs.
      rows: words that the network knows, if not all.
      factor: of the vectors.
      to: type of the output.
      states: whether the output has a vector for each token.
    """
    from onnx import helper

    names = [tokens, *([mask] if mask else []), *more]
    inputs = [helper.make_tensor_value_info(name, kind, (batch, length)) for name in names]
    nodes = [
        helper.make_node("Gather", ["vectors", tokens], ["words"]),
        helper.make_node("Cast", [mask or tokens], ["counted"], to=FLOAT),
        *([] if mask else [helper.make_node("Mul", ["counted", "zero"], ["none"])]),
        *([] if mask else [helper.make_node("Add", ["none", "one"], ["all"])]),
        helper.make_node("Unsqueeze", ["counted" if mask else "all", "last"], ["weights"]),
        helper.make_node("Mul", ["words", "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "second"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["weights", "second"], ["size"], keepdims=0),
        helper.make_node("Div", ["sum", "size"], ["vector"]),
        *(helper.make_node("Cast", ["weighted" if states else "vector"], [name], to=to) for name in outputs),
    ]
    vectors = (factor * word_vectors(dim)[:rows]).astype(np.float32)
    numbers = {"zero": np.float32(0), "one": np.float32(1), "last": np.array([2]), "second": np.array([1])}
    return _saved(nodes, inputs, outputs, {"vectors": vectors, **numbers}, None, to)


def _saved(nodes, inputs, outputs, arrays, dim, kind=FLOAT) -> bytes:
    from onnx import helper, numpy_helper

    told = [helper.make_tensor_value_info(name, kind, None if dim is None else ("n", dim)) for name in outputs]
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "net", inputs, told, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


TAXONOMY = Taxonomy.from_json(
    {"categories": [{"name": "mood", "kind": "multilabel", "tags": ["mood/even", "mood/odd"]}]}
)

TONES = {"low": (60, 90, 120, 150), "mid": (900, 1000, 1100, 1200), "high": (5600, 6000, 6500, 7000)}
"""Kind of a track -> the frequencies of its tracks in Hz."""


def write_tagger(url: str, onnx: bytes, spec: FeatureSpec = SPEC, statistics: str = "mel") -> Bundle:
    """A bundle whose one trunk is the network, with two tags whose scores are those of no knowledge."""
    trunk = TrunkFile(name="audio", digest=sha256_hex(onnx), patch_dim=DIM, files={"onnx": "t.onnx"}, learned=False)
    embedding = Embedding(spec=spec, pooling=Pooling(statistics=statistics), trunks=(trunk,))
    size, tags = embedding.embedding_dim, len(TAXONOMY.tags)
    zeros, ones = np.zeros(tags), np.ones(tags)
    heads = Heads(
        mean=np.zeros(size), scale=np.ones(size), weights=np.zeros((size, tags)), bias=zeros, slope=ones, offset=zeros
    )
    facts = tuple(TagFacts(tag=tag.id, threshold=0.5) for tag in TAXONOMY.tags)
    tagging = Tagging(taxonomy=TAXONOMY, heads=heads, tags=facts)
    return write_bundle(url, embedding, tagging, {"t.onnx": onnx, "MODEL_CARD.md": b"# A pair's audio network\n"})


def write_tones(folder: Path, seconds: float = 1.5) -> Path:
    """A catalog of tones with faint noise, named by their kind."""
    folder.mkdir(parents=True)
    rng, times = np.random.default_rng(0), np.arange(int(16_000 * seconds)) / 16_000
    lines = ["track_id,uri,title,year"]
    for kind, frequencies in TONES.items():
        for number, frequency in enumerate(frequencies):
            sound = 0.3 * np.sin(2 * np.pi * frequency * times) + 0.001 * rng.normal(size=len(times))
            soundfile.write(folder / f"{kind}-{number}.wav", sound, 16_000)
            lines.append(f"{kind}-{number},{kind}-{number}.wav,The {kind} {number},{1990 + number}")
    catalog = folder / "catalog.csv"
    catalog.write_text("\n".join(lines) + "\n")
    return catalog
