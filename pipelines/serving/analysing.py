"""Analyses an uploaded file as `tag` analyses a track: features in the sandbox, the bundle's embedding and tags."""

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from models.bundles.tagger_bundle import Bundle, load_bundle
from models.embedding.embedder import TrackEmbedder
from models.trunks.loading import load_embedder
from pipelines.serving.problems import Declined
from pipelines.serving.settings import ServiceSettings
from transforms.audio.errors import MachineFault, TrackError
from transforms.audio.limits import Limits
from transforms.discovery.similarity import Float32s
from transforms.extraction.child_process import SandboxError
from transforms.extraction.sandbox import Sandbox
from transforms.features.extract import AudioFacts, Features
from transforms.schemas.rule_columns import RULE_SOURCES
from transforms.storage import redact
from transforms.taxonomy.derived_tags import derived_tags
from transforms.taxonomy.rules import RULE

CHILDREN = 2
"""Files that are decoded at the same time, each in a process of its own."""


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What was found in a file.

    Attributes:
      facts: facts about the audio.
      embedding: rounded as in a table: float32 [d].
      scores: calibrated scores in the order of the bundle's taxonomy, rounded as in a table: float64 [tags].
      positives: which tags the file has: bool [tags].
    """

    facts: AudioFacts
    embedding: Float32s
    scores: np.ndarray[Any, np.dtype[np.float64]]
    positives: np.ndarray[Any, np.dtype[np.bool_]]


class Analyser:
    """A bundle with a sandbox. Nothing of a file is kept.

    Raises:
      BundleError, StorageError: the bundle cannot be read.
    """

    def __init__(self, model: str, settings: ServiceSettings, *, allow_weak_sandbox: bool = False) -> None:
        self.bundle: Bundle = load_bundle(model)
        self._embedder: TrackEmbedder = load_embedder(model)
        self._seconds = settings.upload_s
        limits = Limits(
            max_bytes=settings.upload_bytes,
            cpu_s=max(int(settings.upload_s), 1),
            wall_s=settings.upload_s,
            allow_weak_sandbox=allow_weak_sandbox,
        )
        self._sandbox = Sandbox(self.bundle.spec, limits, CHILDREN)
        self.turns = asyncio.Semaphore(2 * CHILDREN)
        """Uploads that are in memory at the same time."""

    async def features(self, data: bytes) -> Features:
        """The features of a file.

        Raises:
          Problem: it has none, or the machine is too busy.
        """
        future = self._sandbox.submit(data)
        try:
            async with asyncio.timeout(2 * self._seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            future.cancel()
            raise Declined("busy", "the file waited too long for a free decoder: try again later") from error
        except (MachineFault, SandboxError) as error:
            detail = f"no decoder could run: {redact(str(error))}"
            raise Declined("busy", detail, {"Retry-After": "10"}) from error
        except TrackError as error:
            found = redact(error.detail)
            raise Declined("not-audio", found or error.sentence, reason=error.reason, stage=error.stage) from error

    def analysis(self, features: Features) -> Analysis:
        """Embedding and tags of features."""
        embeddings = self._embedder.embed([features.patches])
        scores = self.bundle.score(embeddings)
        positives = self.bundle.positives(scores)
        return Analysis(features.facts, embeddings[0], np.round(scores[0], 4), positives[0])

    def tag_rows(self, analysis: Analysis) -> list[dict[str, Any]]:
        """The tags by category and rank, as in `track_tags`; of equal scores, the first tag has the better rank."""
        rows: list[dict[str, Any]] = []
        place = self.bundle.taxonomy.index
        for category in sorted(self.bundle.taxonomy.categories, key=lambda one: one.name):
            ordered = sorted(category.tags, key=lambda tag: (-analysis.scores[place[tag.id]], place[tag.id]))
            for rank, tag in enumerate(ordered, 1):
                number = place[tag.id]
                found = {"category": category.name, "tag": tag.id, "name": tag.name, "rank": rank}
                score, is_positive = float(analysis.scores[number]), bool(analysis.positives[number])
                rows.append({**found, "score": score, "is_positive": is_positive, "source": "model"})
        return sorted([*rows, *self._rule_rows(analysis)], key=lambda row: row["category"])

    def _rule_rows(self, analysis: Analysis) -> Iterator[dict[str, Any]]:
        """The tags that follow from other tags, and from facts about the file; its tempo and key are not measured."""
        taxonomy = self.bundle.taxonomy
        scores = {tag: analysis.scores[None, place] for tag, place in taxonomy.index.items()}
        facts = dataclasses.asdict(analysis.facts)
        columns = pa.table({name: pa.array([facts[name]]) for name in RULE_SOURCES if name in facts})
        found = derived_tags(taxonomy.rules, columns, scores)
        for place in sorted(np.flatnonzero(found.known[0]), key=lambda one: int(found.ranks[0, one])):
            tag = found.tags[place]
            named = {"category": tag.category, "tag": tag.id, "name": tag.name, "rank": int(found.ranks[0, place])}
            score, is_positive = float(found.scores[0, place]), bool(found.positives[0, place])
            yield {**named, "score": score, "is_positive": is_positive, "source": RULE}

    def close(self) -> None:
        """Ends the decoding processes."""
        self._sandbox.close()
