"""The rows that heads are fitted and rated on."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from tqdm import tqdm

from models.embedding.embedder import TrackEmbedder
from models.fitting import baselines
from models.fitting.labelled import LabelledRows
from models.fitting.row_files import LabelledFiles, RowFile

TRACKS_TOGETHER = 32


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SplitRows:
    """The tracks of one split: ids, groups (artists) and lengths, track embeddings and mel moments with labels.

    There are no moments where patches are not at hand.
    """

    track_ids: tuple[str, ...]
    groups: tuple[str, ...]
    durations_s: np.ndarray
    embedded: LabelledRows
    moments: LabelledRows | None


def embed_split(tracks: Iterable[Any], embedder: TrackEmbedder, tags: int, total: int, name: str) -> SplitRows:
    """Embeds labelled tracks exactly as tagging does; `tracks` are `models.training.data.TrainingTrack`."""
    seen = []
    rows, moments = LabelledFiles(embedder.dim, tags), RowFile(2 * embedder.mels, np.float32)
    bar = tqdm(tracks, f"embedding {name}", total=total, unit="track", disable=None, leave=False)
    # Some tracks together: they share the trunk's padded batches, and the bits are the same.
    for group in _grouped(bar, TRACKS_TOGETHER):
        embeddings = embedder.embed([track.patches for track in group])
        rows.append(embeddings, [track.targets for track in group], [track.mask for track in group])
        moments.append([baselines.mel_moments(track.patches) for track in group])
        seen += [(track.track_id, track.group, track.duration_s) for track in group]
    ids, groups, durations = (tuple(facts[i] for facts in seen) for i in range(3))
    embedded = rows.labelled(groups)
    return SplitRows(
        track_ids=ids,
        groups=groups,
        durations_s=np.array(durations, np.float64),
        embedded=embedded,
        moments=dataclasses.replace(embedded, embeddings=moments.mapped()),
    )


def pairs_of(splits: Mapping[str, SplitRows]) -> dict[str, list[tuple[str, str]]]:
    """(track_id, group) of each side's tracks."""
    return {split: list(zip(rows.track_ids, rows.groups, strict=True)) for split, rows in splits.items()}


def _grouped(tracks: Iterable[Any], size: int) -> Iterator[list[Any]]:
    remaining = iter(tracks)
    while group := list(itertools.islice(remaining, size)):
        yield group
