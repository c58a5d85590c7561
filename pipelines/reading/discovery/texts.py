"""The text of `search --sounds-like` as a vector, with what its network has read of it."""

from typing import Any, NamedTuple

from models.texts.network import load_text_embedder
from models.texts.tokens import TextError
from pipelines.terminal.errors import UsageError
from transforms.discovery.search.request import TextVector
from transforms.formats.quantities import quantity

_MOST_SHOWN = 10


class DescribedText(NamedTuple):
    """A text for a search.

    Attributes:
      vector: what the search compares.
      document: what was read, for a document.
      lines: the same as sentences.
    """

    vector: TextVector
    document: dict[str, Any]
    lines: list[str]


def vector_of_text(text: str, model: str | None) -> DescribedText:
    """The vector of a text.

    Args:
      text: value of `--sounds-like`.
      model: value of `--text-model`.

    Raises:
      UsageError: there is no model, or the text cannot be read.
      BundleError: the model is no bundle of a text network, or cannot be run.
    """
    if model is None:
        raise UsageError(
            "--sounds-like needs --text-model BUNDLE, a text network that `import-model text` has imported"
        )
    embedder = load_text_embedder(model)
    network = embedder.network
    try:
        found = embedder.embed(text)
    except TextError as error:
        raise UsageError(f"--sounds-like: {error}") from error
    ids = {"text_id": network.text_id, "trunk_id": network.trunk_id}
    tokens = found.tokens
    facts = {"tokens": tokens.read, "cut": tokens.cut, "unknown": list(tokens.unknown)}
    lines = []
    if tokens.cut:
        lines.append(
            f"the text is cut: the network reads {tokens.read} of {quantity(tokens.read + tokens.cut, 'token')}"
        )
    if tokens.unknown:
        more = len(tokens.unknown) - _MOST_SHOWN
        told = ", ".join(tokens.unknown[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"words that the text network does not know: {told}")
    vector = TextVector(text=text, values=tuple(found.vector.tolist()), **ids)
    return DescribedText(vector, {"text": text, **ids, **facts}, lines)
