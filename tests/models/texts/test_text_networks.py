"""Text networks: what is found out about one, what is none of a pair, and how texts become vectors."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from models.bundles.tagger_bundle import load_bundle
from models.bundles.text_bundle import load_text_bundle
from models.bundles.trunk_bundle import BundleError, load_trunks
from models.texts.child import text_facts
from models.texts.network import TextEmbedder, load_text_embedder
from models.texts.tokens import MOST_CHARACTERS, TextError, TextTokenizer
from pipelines.cli import main
from tests.support.manifests import edit_manifest
from tests.support.pairs import (
    DIM,
    INT32,
    INT64,
    SPEC,
    SPECIAL,
    WORDS,
    audio_network,
    text_network,
    tokenizer_json,
    word_vectors,
    write_tagger,
)

TRUNK = "tr-0123456789abcdef"
IDS = {word: number for number, word in enumerate((*SPECIAL, *WORDS))}
PADDED = tokenizer_json(padding=True)


def facts(onnx: bytes, tokenizer: bytes | None = None, **declared):
    """What the trial's child finds out, in this process."""
    known = {"length": 6, "template": "{}", "tokens_input": None, "mask_input": None, "output": None}
    return text_facts(onnx, tokenizer or tokenizer_json(), known | declared)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """The folder with an audio bundle, and the text bundle that the command made for it; its answer."""
    folder = tmp_path_factory.mktemp("pair")
    write_tagger(str(folder / "audio"), audio_network())
    (folder / "text.onnx").write_bytes(text_network())
    (folder / "tokenizer.json").write_bytes(tokenizer_json())
    assert main(command(folder, "--name", "mine", "--origin", "a test", "--licence", "CC0-1.0")) == 0
    return folder


def command(folder: Path, *flags: str, onnx="text.onnx", trunk=None, output="text", length="6"):
    places = ["--onnx", str(folder / onnx), "--tokenizer", str(folder / "tokenizer.json"), "--sequence-length", length]
    trunk = trunk or str(folder / "audio")
    return ["import-model", "text", *places, "--for-trunk", trunk, "--output", str(folder / output), *flags]


def mean_of(words: str, length: int) -> np.ndarray:
    """The vector of words by construction: the mean over so many tokens, of which others say nothing."""
    return sum(word_vectors()[IDS[word]] for word in words.split()) / length


def test_a_text_becomes_the_mean_of_its_words(imported):
    embedder = load_text_embedder(str(imported / "text"))
    assert (embedder.network.dim, embedder.network.is_padded, embedder.network.mask_input) == (
        8,
        False,
        "attention_mask",
    )
    found = embedder.embed("low hiss")
    assert np.allclose(found.vector, mean_of("low hiss", 4)) and found.vector.dtype == np.float64
    assert found.tokens.read == 2 and found.tokens.cut == 0 and found.tokens.unknown == ()
    assert found.tokens.ids.tolist() == [[IDS["[BOS]"], IDS["low"], IDS["hiss"], IDS["[EOS]"]]]


def test_a_text_that_says_nothing_to_the_network_is_refused(imported):
    with pytest.raises(TextError, match="'a recording of': its vector is zero"):
        load_text_embedder(str(imported / "text")).embed("a recording of")


def test_the_trunk_is_that_of_the_audio_bundle(imported):
    network = load_text_bundle(str(imported / "text")).network
    assert (network.trunk_id,) == load_trunks(str(imported / "audio")).trunk_ids
    assert (network.name, network.source, network.licence) == ("mine", "a test", "CC0-1.0")
    assert network.trunk_id in (imported / "text" / "MODEL_CARD.md").read_text()
    other = write_tagger(str(imported / "other"), audio_network(), statistics="none")
    assert other.trunk_ids == (network.trunk_id,)  # the rest of an embedding does not matter


@pytest.mark.parametrize(
    ("changes", "declared", "wanted"),
    [
        ({}, {}, ("input_ids", "attention_mask", "text_embeds", False)),
        ({"mask": None}, {}, ("input_ids", None, "text_embeds", False)),
        ({"mask": None, "tokens": "ids"}, {}, ("ids", None, "text_embeds", False)),
        (
            {"mask": "m", "tokens": "t", "outputs": ("a", "b")},
            {"mask_input": "m", "tokens_input": "t", "output": "b"},
            ("t", "m", "b", False),
        ),
        ({"length": 6, "batch": 1, "kind": INT32}, {}, ("input_ids", "attention_mask", "text_embeds", True)),
        ({"to": 10}, {}, ("input_ids", "attention_mask", "text_embeds", False)),
    ],
    ids=["usual", "no mask", "only input", "named", "fixed", "float16"],
)
def test_inputs_and_outputs_are_found(changes, declared, wanted):
    found = facts(text_network(**changes), **declared)
    assert tuple(found[name] for name in ("tokens_input", "mask_input", "output", "is_padded")) == wanted
    assert found["dim"] == DIM


@pytest.mark.parametrize(
    ("changes", "declared", "words"),
    [
        ({"more": ("token_type_ids",)}, {}, "also takes token_type_ids"),
        ({"tokens": "ids"}, {}, "has inputs ids, attention_mask, not input_ids"),
        ({}, {"mask_input": "m"}, "not m: name those of tokens and mask"),
        ({"outputs": ("a", "b")}, {}, "has outputs a, b: name the one with the vector"),
        ({}, {"output": "c"}, "has outputs text_embeds, not c"),
        ({"to": INT64}, {}, "the output text_embeds has tensor.int64.: it must have floating-point"),
        ({"length": 9}, {}, "takes 9 tokens, but the sequence length is 6"),
        ({"batch": 3}, {}, "takes .3, 'tokens'.: it must take"),
        ({"factor": 0.0}, {}, "gives all texts the same vector"),
        ({"factor": float("nan")}, {}, "is not finite"),
        ({"states": True}, {}, r"for one text has shape .1, 1, 8.: it must be .1, dim."),
        ({"rows": 9}, {}, "fails on a text of 1 tokens.*is the tokenizer that of the network"),
        ({"length": 6}, {"template": "low {} low low low"}, "a sequence length of 6 leaves no room"),
    ],
    ids=lambda one: str(one)[:30],
)
def test_networks_that_are_no_text_network_are_refused(changes, declared, words):
    with pytest.raises(BundleError, match=words):
        facts(text_network(**changes), **declared)


def test_an_input_of_floats_and_a_broken_file_are_refused():
    from onnx import helper

    given = helper.make_tensor_value_info("input_ids", 1, ("n", "tokens"))
    node = helper.make_node("ReduceSum", ["input_ids"], ["vector"])
    graph = helper.make_graph([node], "net", [given], [helper.make_tensor_value_info("vector", 1, None)])
    floats = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    with pytest.raises(BundleError, match=r"takes tensor\(float\): it must take whole numbers"):
        facts(floats)
    with pytest.raises(BundleError, match="cannot run this text network"):
        facts(b"no network")


@pytest.mark.parametrize("tokenizer", [b"", b"{}", b"[1, 2]", b"\xff\xfe", b'{"model": {"type": "Other"}}'])
def test_what_is_no_tokenizer_is_refused(tokenizer):
    with pytest.raises(BundleError, match=r"this is no tokenizer\.json of the library tokenizers"):
        TextTokenizer(tokenizer, length=6, template="{}", is_padded=False)


def test_a_library_that_is_not_installed_is_named(monkeypatch, imported, capsys):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(
        BundleError, match=r"library tokenizers, which is not installed: pip install .catalog-tagger.text"
    ):
        load_text_embedder(str(imported / "text"))
    assert main(command(imported, output="later")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'catalog-tagger[text]'" in line and not (imported / "later").exists()


def test_padding_changes_no_vector_if_there_is_a_mask(imported, tmp_path):
    free, fixed = load_text_bundle(str(imported / "text")), tmp_path / "fixed"
    (tmp_path / "text.onnx").write_bytes(text_network(length=6, kind=INT32))
    (tmp_path / "tokenizer.json").write_bytes(PADDED)
    assert main(command(tmp_path, trunk=free.network.trunk_id, output="fixed")) == 0
    embedder = load_text_embedder(str(fixed))
    found = embedder.embed("deep hum")
    assert embedder.network.is_padded and np.allclose(found.vector, mean_of("deep hum", 4))
    assert found.tokens.ids.tolist() == [[2, IDS["deep"], IDS["hum"], 3, 1, 1]]
    assert found.tokens.mask.tolist() == [[1, 1, 1, 1, 0, 0]]


def test_a_tokenizer_without_padding_is_refused_if_padding_is_needed():
    names = ("[UNK]", "none", "[BOS]", "[EOS]", *WORDS)
    with pytest.raises(BundleError, match="no section `padding`"):
        TextTokenizer(tokenizer_json(vocabulary=names), length=6, template="{}", is_padded=True)
    tokens = TextTokenizer(tokenizer_json(), length=6, template="{}", is_padded=True).read("low")
    assert tokens.ids.tolist() == [[2, IDS["low"], 3, 1, 1, 1]]  # [PAD] by its name
    left = json.loads(PADDED)
    left["padding"] |= {"direction": "Left", "pad_id": 0}
    tokens = TextTokenizer(json.dumps(left).encode(), length=6, template="{}", is_padded=True).read("low")
    assert (tokens.ids.tolist(), tokens.mask.tolist()) == ([[0, 0, 0, 2, IDS["low"], 3]], [[0, 0, 0, 1, 1, 1]])


@pytest.fixture(scope="module")
def tokenizer():
    return TextTokenizer(tokenizer_json(), length=8, template="a recording of {}.", is_padded=False)


def test_long_texts_are_cut_and_the_template_is_read(tokenizer):
    short, long = tokenizer.read("low"), tokenizer.read("low " * 50)
    names = ["[BOS]", "a", "recording", "of", "low", ".", "[EOS]"]
    assert short.ids.tolist() == [[IDS[name] for name in names]] and (short.read, short.cut) == (5, 0)
    assert long.ids.shape == (1, 8) and long.ids[0, -1] == IDS["[EOS]"]  # added tokens stay
    assert (long.read, long.cut) == (6, 48)  # of 50 words, two are read
    with pytest.raises(TextError, match=f"at most {MOST_CHARACTERS:,} are read"):
        tokenizer.read("a" * (MOST_CHARACTERS + 1))


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("low kazoo hum Kazoo", ("kazoo", "Kazoo")),
        ("LÓW \u0068\u0075\u006d", ()),
        ("\uff2c\uff4f\uff57 hum", ()),
        ("low \U0001f3b9\U0001f3fd 🎹", ("\U0001f3b9\U0001f3fd", "🎹")),
        ("low\u2028hum\tde\u0301ep", ()),
        ("low \u202ehum\u202c", ("\u202e", "\u202c")),
        ("low \x00 hum", ("\x00",)),
        ("低い low", ("低い",)),
    ],
    ids=ascii,
)
def test_words_of_any_script_are_read_or_named(tokenizer, text, unknown):
    found = tokenizer.read(text)
    assert found.unknown == unknown and IDS["low"] in found.ids[0]
    again = tokenizer.read(text)
    assert again.ids.tolist() == found.ids.tolist()


def test_tokenizers_of_bytes_know_every_word():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        ["low hum low hum"] * 3, trainers.BpeTrainer(initial_alphabet=alphabet, show_progress=False)
    )
    read = TextTokenizer(made.to_str().encode(), length=64, template="{}", is_padded=False)
    for text in ("low hum", "\u4f4e\u3044 \U0001f3b9", "kazoo\x00\u202e"):
        found = read.read(text)
        assert found.unknown == () and made.decode(found.ids[0].tolist()) == text


def test_tokenizers_of_pieces_name_what_they_do_not_know():
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.Unigram([("<unk>", 0.0), ("low", -1.0), ("hum", -1.0)], unk_id=0, byte_fallback=False))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    read = TextTokenizer(made.to_str().encode(), length=8, template="{}", is_padded=False)
    assert read.read("low zither hum").unknown == ("zither",) and read.read("hum").ids.tolist() == [[2]]
    with pytest.raises(TextError, match="knows none of its words"):
        read.read("zither")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the text is empty"),
        (" \n\t", "the text is empty"),
        ("kazoo zither", "'kazoo zither': the tokenizer knows none of its words"),
        ("x" * 99, "xxx'...: the tokenizer knows none of its words"),
        ("low \udcff", "character 5 is no Unicode character"),
    ],
)
def test_texts_that_say_nothing_are_refused(tokenizer, text, words):
    with pytest.raises(TextError, match=words):
        tokenizer.read(text)


def test_the_id_depends_on_all_that_changes_a_vector(imported, tmp_path):
    base = load_text_bundle(str(imported / "text")).network
    for name in ("text.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes((imported / name).read_bytes())
    flags = ["--template", "a {}", "--name", "other"]
    assert main(command(tmp_path, *flags, trunk=base.trunk_id, output="template")) == 0
    other = load_text_bundle(str(tmp_path / "template")).network
    assert other.text_id != base.text_id and other.trunk_id == base.trunk_id
    assert main(command(imported, "--name", "mine", "--origin", "a test", "--licence", "CC0-1.0")) == 0  # started again
    vectors = [
        load_text_embedder(str(url)).embed("low hum").vector for url in (imported / "text", tmp_path / "template")
    ]
    assert np.allclose(vectors[0], mean_of("low hum", 4)) and np.allclose(vectors[1], mean_of("low hum", 5))


@pytest.mark.parametrize(
    ("network", "flags", "words"),
    [
        ({"dim": 16}, [], "vectors have 16 values, but the patch embeddings of trunk tr-"),
        ({}, ["--template", "no place"], "it needs {} once"),
        ({}, ["--vector-output", "logits"], "has outputs text_embeds, not logits"),
    ],
)
def test_the_command_refuses_in_one_line(imported, capsys, network, flags, words):
    (imported / "odd.onnx").write_bytes(text_network(**network))
    assert main(command(imported, *flags, onnx="odd.onnx", output="odd")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line and "odd.onnx" in line and not (imported / "odd").exists()


def test_the_place_of_the_trunk_is_checked_first(imported, tmp_path, capsys):
    assert main(command(imported, trunk=str(imported / "text"), output="odd")) == 1
    assert "holds a text network, which `search --text-model` reads" in capsys.readouterr().err
    assert main(command(imported, onnx="nowhere.onnx", output="odd")) == 1
    assert "nowhere.onnx: no such file" in capsys.readouterr().err


def test_bundles_of_texts_and_of_trunks_are_told_apart(imported):
    url = str(imported / "text")
    for load in (load_trunks, load_bundle):
        with pytest.raises(BundleError, match="holds a text network"):
            load(url)
    with pytest.raises(BundleError, match="holds no text network: give the output of `import-model text`"):
        load_text_bundle(str(imported / "audio"))


def test_describe_and_verify_know_text_networks(imported, capsys):
    network = load_text_bundle(str(imported / "text")).network
    capsys.readouterr()
    assert main(["describe", str(imported / "text"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ids"] == {"text_id": network.text_id, "trunk_id": network.trunk_id}
    assert document["text_network"]["template"] == "{}" and document["text_network"]["length"] == 6
    assert main(["describe", str(imported / "audio")]) == 0
    assert f"audio ({network.trunk_id})" in capsys.readouterr().out
    assert main(["verify", str(imported / "text")]) == 0
    assert "3 files: no problem" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda fields: fields["text_network"].update(template="of {}"), "its text_id is te-"),
        (lambda fields: fields["text_network"].update(trunk_id=TRUNK), "its text_id is te-"),
        (lambda fields: fields["text_network"].update(length="6"), "not a bundle's manifest"),
        (lambda fields: fields["text_network"].pop("dim"), "not a bundle's manifest"),
    ],
)
def test_a_manifest_that_was_changed_is_refused(imported, tmp_path, capsys, change, words):
    copied = tmp_path / "text"
    copied.mkdir()
    for path in (imported / "text").iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    edit_manifest(copied / "bundle.json", change)
    with pytest.raises(BundleError, match=words):
        load_text_bundle(str(copied))
    assert main(["verify", str(copied)]) == 1
    assert words in capsys.readouterr().out


def test_a_file_that_was_changed_is_refused(imported, tmp_path, capsys):
    copied = tmp_path / "text"
    copied.mkdir()
    for path in (imported / "text").iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    (copied / "tokenizer.json").write_bytes(PADDED)
    with pytest.raises(BundleError, match=r"tokenizer\.json was changed"):
        load_text_bundle(str(copied))
    assert main(["verify", str(copied)]) == 1
    assert "tokenizer.json was changed" in capsys.readouterr().out


def test_vectors_do_not_depend_on_what_was_read_before(imported):
    bundle = load_text_bundle(str(imported / "text"))
    one = TextEmbedder(bundle)
    first = one.embed("low hiss").vector
    one.embed("mid mid mid mid mid mid")
    assert np.array_equal(one.embed("low hiss").vector, first)
    assert np.array_equal(TextEmbedder(bundle, threads=2).embed("low hiss").vector, first)


def test_other_features_make_another_trunk():
    from dataclasses import replace

    from models.bundles.trunk_bundle import Embedding, TrunkFile
    from models.embedding.pooling import Pooling

    trunk = TrunkFile(name="a", digest="d", patch_dim=2, files={}, learned=False)
    base = Embedding(spec=SPEC, pooling=Pooling(), trunks=(trunk,))
    same = replace(base, pooling=Pooling(statistics="none"), trunks=(replace(trunk, name="b", batch=4),))
    assert same.trunk_ids == base.trunk_ids and same.embedding_id != base.embedding_id
    others = [replace(base, spec=replace(SPEC, fmin=20.0)), replace(base, trunks=(replace(trunk, digest="e"),))]
    assert len({base.trunk_ids, *(one.trunk_ids for one in others)}) == 3
