"""Analyses one audio file that is in no catalog, as the run that made a snapshot would have done."""

import dataclasses

import numpy as np
import numpy.typing as npt

from models.bundles.tagger_bundle import Bundle, load_bundle
from models.trunks.loading import load_embedder
from pipelines.reading.recorded import recorded_fact
from pipelines.terminal.errors import CommandFailed
from transforms import storage
from transforms.audio.errors import TrackError
from transforms.audio.limits import Limits
from transforms.extraction.sandbox import Sandbox
from transforms.table.reader import SnapshotReader
from transforms.telemetry.phases import phase


@dataclasses.dataclass(frozen=True, eq=False)
class HeardFile:
    """What a file sounds like: its embedding float32 [d], calibrated scores by tag, and its length in seconds."""

    embedding: npt.NDArray[np.float32]
    scores: dict[str, float]
    duration_s: float


def analysed(snapshot: SnapshotReader, url: str, model: str | None) -> HeardFile:
    """Decodes a file in the sandbox, and embeds and scores it with the bundle of a snapshot. Nothing is kept.

    Args:
      snapshot: the snapshot.
      url: the file.
      model: place of the bundle; None: where the report of the snapshot's run says it was.

    Raises:
      CommandFailed: the file cannot be analysed, the bundle is another one, or nobody knows where it is.
    """
    bundle, place = _bundle(snapshot, model)
    limits = Limits()
    with phase("analysing the file"):
        try:
            data = storage.read_bytes(url, max_bytes=limits.max_bytes)
            with Sandbox(bundle.spec, limits, 1) as sandbox:
                features = sandbox.submit(data).result()
        except (storage.TooLarge, TrackError) as error:
            reason = error.reason if isinstance(error, TrackError) else "too large"
            raise CommandFailed(f"{url}: it cannot be analysed: {reason}: {storage.redact(str(error))}") from error
        embedding = load_embedder(place).embed([features.patches])[0]
    embedding = embedding.astype(np.float16).astype(np.float32)
    scores = np.round(bundle.score(embedding[None])[0], 4)
    tags = [tag.id for tag in bundle.taxonomy.tags]
    return HeardFile(embedding, dict(zip(tags, scores.tolist(), strict=True)), features.facts.duration_s)


def _bundle(snapshot: SnapshotReader, model: str | None) -> tuple[Bundle, str]:
    wanted = snapshot.manifest.run.ids.tagger_id
    place = model or recorded_fact(snapshot, "model")
    if place is None:
        raise CommandFailed(
            f"{snapshot.root}: no report says where the bundle {wanted} is: give --model BUNDLE to analyse a file"
        )
    bundle = load_bundle(place)
    if bundle.tagger_id != wanted:
        raise CommandFailed(
            f"{place} is the bundle {bundle.tagger_id}, but snapshot {snapshot.manifest.number} was tagged with "
            f"{wanted}: give --model with that bundle"
        )
    return bundle, place
