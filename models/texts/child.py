"""The child process of `trial`: tries a text network with its tokenizer within limits; answers with one JSON object.

Arguments: what is declared as JSON, and the bytes of address space. Tokenizer and network are on stdin, one behind the
other.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from models.bundles.trunk_bundle import BundleError
from models.texts.network import INPUT_TYPES, TextRunner, inputs_of
from models.texts.tokens import TextTokenizer
from models.trunks.onnx_child import FLOAT_TYPES, IMPORT_TOLERANCE, MOST_VALUES, answer_within

_TOKENS, _MASK = "input_ids", "attention_mask"
"""Names of inputs that are found without being declared."""

_RANDOM = 6
"""Texts of random tokens that are tried, of different lengths."""


def text_facts(onnx: bytes, tokenizer: bytes, declared: dict[str, Any]) -> dict[str, Any]:
    """What running a text network shows: the names of its inputs and output, `dim`, and whether texts are padded.

    Args:
      onnx: bytes of the network.
      tokenizer: bytes of its tokenizer.
      declared: `length`, `template`, and `tokens_input`, `mask_input` and `output`, None if they are not named.

    Raises:
      BundleError: its inputs, outputs or values are not those of a text network, or the tokenizer is of another one.
    """
    runner = TextRunner(onnx)
    tokens, mask = _inputs(runner, declared)
    output = _output(runner, declared["output"])
    is_padded = _is_padded(runner, declared["length"])
    read = TextTokenizer(tokenizer, length=declared["length"], template=declared["template"], is_padded=is_padded)
    vectors: list[npt.NDArray[np.float64]] = []
    for ids in _tried(read.vocabulary, declared["length"]):
        given = inputs_of(tokens, mask, read.padded(ids))
        vectors.append(_vector(runner, given, output, is_first=not vectors))
        again = _vector(runner, given, output, is_first=False)
        if len(again) != len(vectors[-1]) or np.abs(again - vectors[-1]).max() > IMPORT_TOLERANCE * np.abs(again).max():
            raise BundleError("the same text gives another vector the second time: export the network for inference")
    _check(vectors)
    return {
        "tokens_input": tokens,
        "mask_input": mask,
        "output": output,
        "dim": len(vectors[0]),
        "is_padded": is_padded,
    }


def _inputs(runner: TextRunner, declared: dict[str, Any]) -> tuple[str, str | None]:
    """Names of the inputs for token ids and for their mask, which may be absent."""
    names = [one.name for one in runner.inputs]
    tokens = declared["tokens_input"] or (_TOKENS if _TOKENS in names or len(names) != 1 else names[0])
    mask = declared["mask_input"] or (_MASK if _MASK in names else None)
    for name in (tokens, mask):
        if name is not None and name not in names:
            raise BundleError(f"the network has inputs {', '.join(names)}, not {name}: name those of tokens and mask")
    if others := [name for name in names if name not in (tokens, mask)]:
        raise BundleError(
            f"the network also takes {', '.join(others)}: export one that takes token ids and at most a mask of them"
        )
    for one in runner.inputs:
        if one.type not in INPUT_TYPES or (one.name == tokens and one.type not in ("tensor(int64)", "tensor(int32)")):
            wanted = "whole numbers (int64 or int32)" if one.name == tokens else "int64, int32, bool or float32"
            raise BundleError(f"the input {one.name} takes {one.type}: it must take {wanted}")
        if len(one.shape) != 2 or (isinstance(one.shape[0], int) and one.shape[0] != 1):
            raise BundleError(f"the input {one.name} takes {one.shape}: it must take [1, tokens] or [n, tokens]")
    return tokens, mask


def _output(runner: TextRunner, declared: str | None) -> str:
    names = [one.name for one in runner.outputs]
    if declared is None and len(names) != 1:
        raise BundleError(f"the network has outputs {', '.join(names)}: name the one with the vector of a text")
    name = declared or names[0]
    if name not in names:
        raise BundleError(f"the network has outputs {', '.join(names)}, not {name}: name one of them")
    (found,) = (one for one in runner.outputs if one.name == name)
    if found.type not in FLOAT_TYPES:
        raise BundleError(f"the output {name} has {found.type}: it must have floating-point numbers")
    return name


def _is_padded(runner: TextRunner, length: int) -> bool:
    sizes = {one.shape[1] for one in runner.inputs if isinstance(one.shape[1], int)}
    if sizes and sizes != {length}:
        shown = " and ".join(map(str, sorted(sizes)))
        raise BundleError(
            f"the network takes {shown} tokens, but the sequence length is {length}: give that of the network"
        )
    return bool(sizes)


def _tried(vocabulary: npt.NDArray[np.int64], length: int) -> Iterator[list[int]]:
    """Token ids of texts: the least id and the greatest, which the network must know, and random ones."""
    rng = np.random.default_rng(0)
    yield [int(vocabulary[0])]
    yield [int(vocabulary[-1])]
    for size in np.unique(np.linspace(1, length, _RANDOM).astype(int)).tolist():
        yield rng.choice(vocabulary, size).tolist()


def _vector(
    runner: TextRunner, given: dict[str, npt.NDArray[np.int64]], output: str, *, is_first: bool
) -> npt.NDArray[np.float64]:
    try:
        return runner.vector(given, output)
    except BundleError as error:
        if is_first:
            raise
        raise BundleError(f"{error}; other texts work: is the tokenizer that of the network?") from error


def _check(vectors: list[npt.NDArray[np.float64]]) -> None:
    sizes = sorted({len(one) for one in vectors})
    if len(sizes) > 1 or not 1 <= sizes[0] <= MOST_VALUES:
        shown = " and ".join(map(str, sizes))
        raise BundleError(
            f"the vectors of texts have {shown} values: they must have the same number, 1 to {MOST_VALUES}"
        )
    if len(vectors) > 1 and all(np.array_equal(one, vectors[0]) for one in vectors):
        raise BundleError("the network gives all texts the same vector: check its export")


def _main(declared: str, memory: str) -> None:
    fields = json.loads(declared)
    size = fields.pop("tokenizer_bytes")
    answer_within(memory, lambda data: text_facts(data[size:], data[:size], fields))


if __name__ == "__main__":
    _main(*sys.argv[1:])
