"""What an index was made with: the space, the cells and the rotation, in one file."""

import dataclasses
import functools
import io
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.discovery.index.cells import SAMPLE_A_CELL, Int64s, cell_count, fit_cells
from transforms.discovery.index.codes import rotation
from transforms.discovery.similarity import Float32s, SimilaritySpec, Space, on_grid
from transforms.discovery.vectors import FITTED_TRACKS, fit_space, sampled_values
from transforms.formats.npz import read_npz
from transforms.table.reader import SnapshotReader

GROUP_TRACKS = 16_384
"""Tracks of the cells of one file, on average."""

MOST_SAMPLED = 500_000

_ARRAYS = ("mean", "scale", "basis", "tag_mean", "tag_scale")


@dataclasses.dataclass(frozen=True, eq=False)
class IndexModel:
    """A fitted space and its cells.

    Attributes:
      centres: of the cells: float32 [cells, dimensions].
      turn: random rotation of the codes.
      starts: first cell of each group, and the number of cells: int64 [groups + 1].
    """

    space: Space
    centres: Float32s
    turn: Float32s
    starts: Int64s

    @property
    def groups(self) -> int:
        """Number of files of the index."""
        return len(self.starts) - 1

    @functools.cached_property
    def grid(self) -> Float32s:
        """The centres on the grid."""
        return on_grid(self.centres)

    def groups_of(self, cells: npt.ArrayLike) -> Int64s:
        """The group of each cell."""
        return np.searchsorted(self.starts, cells, side="right") - 1

    def to_bytes(self) -> bytes:
        """The model as one npz file."""
        header = {"spec": dataclasses.asdict(self.space.spec), "tags": self.space.tags}
        arrays: dict[str, Any] = {name: getattr(self.space, name) for name in _ARRAYS}
        arrays |= {"centres": self.centres, "turn": self.turn, "starts": self.starts}
        sink = io.BytesIO()
        np.savez(sink, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)
        return sink.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "IndexModel":
        """The model that `to_bytes` wrote.

        Raises:
          ValueError: the bytes are no such file.
        """
        try:
            arrays = read_npz(data)
            header = json.loads(arrays["header"].tobytes())
            spec = SimilaritySpec(**header["spec"])
            space = Space(spec=spec, tags=tuple(header["tags"]), **{name: arrays[name] for name in _ARRAYS})
            return cls(space, arrays["centres"], arrays["turn"], arrays["starts"])
        except (LookupError, TypeError) as error:
            raise ValueError(f"no model of an index: {error}") from error


def fit_model(snapshot: SnapshotReader, spec: SimilaritySpec, tracks: int) -> IndexModel:
    """Fits the space and the cells for a number of tracks. See `fit_space` for errors."""
    space = fit_space(snapshot, spec)
    count = cell_count(tracks)
    most = min(max(FITTED_TRACKS, SAMPLE_A_CELL * count), MOST_SAMPLED)
    values = sampled_values(snapshot, spec.embedding_id, space.tags, most)
    sample = np.concatenate([space.vectors(part.embeddings, part.scores) for part in values if len(part.track_ids)])
    centres = fit_cells(sample, count)
    groups = max(1, round(tracks / GROUP_TRACKS))
    starts = np.unique(np.linspace(0, len(centres), groups + 1).astype(np.int64))
    return IndexModel(space, centres, rotation(space.dimensions), starts)
