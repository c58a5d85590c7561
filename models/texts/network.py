"""Runs a text network with ONNX Runtime: a text becomes a vector."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.bundles.text_bundle import TextBundle, load_text_bundle
from models.bundles.trunk_bundle import BundleError
from models.texts.tokens import TextError, TextTokenizer, Tokens, shown_text
from models.trunks.onnx_trunk import OnnxNetwork, told

INPUT_TYPES: Mapping[str, type] = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(float)": np.float32,
}
"""ONNX Runtime's names of the types that inputs may have; token ids are whole numbers."""


class TextRunner(OnnxNetwork):
    """A text network: token ids [1, n] -> float64 [dim]."""

    what, rows = "text network", "texts"
    remedy = "pip install 'catalog-tagger[text]'"

    def vector(self, inputs: Mapping[str, npt.NDArray[np.int64]], output: str) -> npt.NDArray[np.float64]:
        """The vector of one text.

        Args:
          inputs: name of an input -> int64 [1, n].
          output: name of the output.

        Raises:
          BundleError: the network fails, or its output is no vector of finite numbers.
        """
        types = {one.name: INPUT_TYPES[one.type] for one in self.inputs}
        try:
            (found,) = self.run({name: values.astype(types[name]) for name, values in inputs.items()}, [output])
        except BundleError:
            raise
        except Exception as error:
            size = next(iter(inputs.values())).shape[1]
            raise BundleError(f"the text network fails on a text of {size} tokens: {told(error)}") from error
        if found.ndim != 2 or len(found) != 1 or not found.size:
            raise BundleError(f"the output {output} for one text has shape {found.shape}: it must be [1, dim]")
        if not np.isfinite(found).all():
            raise BundleError("the vector of a text is not finite: check the text network's weights and its export")
        vector: npt.NDArray[np.float64] = found[0].astype(np.float64)
        return vector


class EmbeddedText(NamedTuple):
    """A text and its vector in the space of the trunk's patch embeddings, float64 [dim], with what was read of it."""

    text: str
    vector: npt.NDArray[np.float64]
    tokens: Tokens


class TextEmbedder:
    """A text network with its tokenizer.

    Args:
      bundle: the checked bundle.
      threads: threads of one call of ONNX Runtime; None: one per core.

    Raises:
      BundleError: a library is not installed, or a file cannot be used.
    """

    def __init__(self, bundle: TextBundle, threads: int | None = 1) -> None:
        self.network = bundle.network
        self._tokenizer = TextTokenizer(
            bundle.tokenizer,
            length=self.network.length,
            template=self.network.template,
            is_padded=self.network.is_padded,
        )
        self._runner = TextRunner(bundle.onnx, threads)

    def embed(self, text: str) -> EmbeddedText:
        """The vector of a text.

        Raises:
          TextError: the text cannot be read, see `TextTokenizer.read`, or its vector is zero.
          BundleError: the network fails, or takes too long.
        """
        tokens = self._tokenizer.read(text)
        vector = self._runner.vector(
            inputs_of(self.network.tokens_input, self.network.mask_input, tokens[:2]), self.network.output
        )
        if len(vector) != self.network.dim:
            raise BundleError(
                f"the vector of the text has {len(vector)} values, not {self.network.dim}: import the network again"
            )
        if not vector.any():
            raise TextError(f"text {shown_text(text)}: its vector is zero, so that it says nothing: use other words")
        return EmbeddedText(text, vector, tokens)


def inputs_of(tokens: str, mask: str | None, values: tuple[Any, Any]) -> dict[str, npt.NDArray[np.int64]]:
    """The inputs of a network by their names: token ids, and their mask if it has such an input."""
    return {tokens: values[0], **({} if mask is None else {mask: values[1]})}


def load_text_embedder(url: str, threads: int | None = 1) -> TextEmbedder:
    """The text network of a bundle. Every file is checked first.

    Raises:
      BundleError: there is no such bundle, a file is missing or was changed, or a library is not installed.
    """
    return TextEmbedder(load_text_bundle(url), threads)
