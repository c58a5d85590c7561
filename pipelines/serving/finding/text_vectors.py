"""Texts that say what music sounds like, as vectors: a text network runs once for each different text."""

import threading
from typing import NamedTuple

from models.texts.network import load_text_embedder
from models.texts.tokens import TextError
from pipelines.serving.cache import ByteCache
from pipelines.serving.metrics import ServiceMetrics
from pipelines.serving.problems import Declined
from pipelines.serving.snapshots import JsonRow
from transforms.discovery.search.request import TextVector

_KEPT_BYTES = 8 * 2**20
_FACTS_BYTES = 500


class ReadText(NamedTuple):
    """A text for a search.

    Attributes:
      vector: what the search compares.
      document: what the network has read of it.
    """

    vector: TextVector
    document: JsonRow


class TextVectors:
    """The vectors of texts. Those that were asked for last stay in memory, up to 8 MiB.

    Args:
      url: bundle of a text network, which `import-model text` has made.
      metrics: counts the texts.

    Raises:
      BundleError: it is no such bundle, or cannot be run.
    """

    def __init__(self, url: str, metrics: ServiceMetrics) -> None:
        self._embedder, self._metrics = load_text_embedder(url), metrics
        self._kept, self._running = ByteCache(_KEPT_BYTES), threading.Lock()
        self.trunk_id = self._embedder.network.trunk_id

    def read(self, text: str) -> ReadText:
        """The vector of a text.

        Raises:
          Declined: the text cannot be read.
          BundleError: the network fails.
        """
        is_kept = self._kept.find(text) is not None
        found = self._kept.get(text, lambda: self._embed(text), _bytes_of)
        self._metrics.text_read(is_kept=is_kept)
        return found

    def _embed(self, text: str) -> ReadText:
        network = self._embedder.network
        try:
            with self._running:
                found = self._embedder.embed(text)
        except TextError as error:
            raise Declined("bad-request", f"sounds_like: {error}") from error
        ids = {"text_id": network.text_id, "trunk_id": network.trunk_id}
        tokens = {"tokens": found.tokens.read, "cut": found.tokens.cut, "unknown": list(found.tokens.unknown)}
        vector = TextVector(text=text, values=tuple(found.vector.tolist()), **ids)
        return ReadText(vector, {"text": text, **ids, **tokens})


def _bytes_of(read: ReadText) -> int:
    return 32 * len(read.vector.values) + 4 * len(read.vector.text) + _FACTS_BYTES  # a float of Python takes 24 + 8
