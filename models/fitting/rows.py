"""The rows on which heads are fitted and evaluated."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np

from models.embedding.embedder import TrackEmbedder
from models.fitting import baselines
from models.fitting.labelled import LabelledRows
from models.fitting.row_files import LabelledFiles, RowFile
from transforms.telemetry.phases import passing

TRACKS_TOGETHER = 32


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SplitRows:
    """The tracks of one split.

    Attributes:
      track_ids: ids.
      groups: artist of each track.
      durations_s: lengths in seconds, float64 [n]; NaN if unknown.
      embedded: track embeddings with labels.
      moments: `baselines.mel_moments` with labels; None without patches.
    """

    track_ids: tuple[str, ...]
    groups: tuple[str, ...]
    durations_s: np.ndarray
    embedded: LabelledRows
    moments: LabelledRows | None


class PatchedTrack(Protocol):
    """A labelled track with patches. `models.training.data.TrainingTrack` implements it, but needs TensorFlow."""

    @property
    def track_id(self) -> str: ...  # noqa: D102

    @property
    def group(self) -> str: ...  # noqa: D102

    @property
    def duration_s(self) -> float: ...  # noqa: D102

    @property
    def patches(self) -> np.ndarray: ...  # noqa: D102

    @property
    def targets(self) -> np.ndarray: ...  # noqa: D102

    @property
    def mask(self) -> np.ndarray: ...  # noqa: D102


def embed_split(tracks: Iterable[PatchedTrack], embedder: TrackEmbedder, tags: int, total: int, name: str) -> SplitRows:
    """Embeds labelled tracks exactly as `tag` does.

    Args:
      tracks: the tracks.
      embedder: embedder of the bundle.
      tags: number of tags.
      total: number of tracks, for the progress.
      name: name of the split, for the progress.
    """
    ids: list[str] = []
    groups: list[str] = []
    durations: list[float] = []
    rows, moments = LabelledFiles(embedder.dim, tags), RowFile(2 * embedder.mels, np.float32)
    passed = passing(tracks, f"embedding {name} tracks", unit="tracks", total=total)
    # Several tracks share the padded batches of a trunk. This does not change the bits.
    for some in _grouped(passed, TRACKS_TOGETHER):
        embeddings = embedder.embed([track.patches for track in some])
        rows.append(embeddings, [track.targets for track in some], [track.mask for track in some])
        moments.append([baselines.mel_moments(track.patches) for track in some])
        ids += [track.track_id for track in some]
        groups += [track.group for track in some]
        durations += [track.duration_s for track in some]
    embedded = rows.labelled(tuple(groups))
    return SplitRows(
        track_ids=tuple(ids),
        groups=tuple(groups),
        durations_s=np.array(durations, np.float64),
        embedded=embedded,
        moments=dataclasses.replace(embedded, embeddings=moments.mapped()),
    )


def pairs_of(splits: Mapping[str, SplitRows]) -> dict[str, list[tuple[str, str]]]:
    """Side -> (track_id, group) of its tracks."""
    return {split: list(zip(rows.track_ids, rows.groups, strict=True)) for split, rows in splits.items()}


def _grouped(tracks: Iterable[PatchedTrack], size: int) -> Iterator[list[PatchedTrack]]:
    remaining = iter(tracks)
    while group := list(itertools.islice(remaining, size)):
        yield group
