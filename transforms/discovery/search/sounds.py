"""How well tracks sound like a text: the cosine of the text's vector and the mean of a trunk's patch embeddings.

Text and audio network were trained together, so that a recording and what is said of it are near each other. Cosines of
such pairs fill a narrow range whose place depends on the text. The text adds to the score of a track

    (cosine - mean) / deviation

with mean and deviation of the cosines of this text over a sample of the snapshot's tracks: whole buckets, until they
have 20,000 tracks. A text alone thus ranks by its cosines, and beside tags it counts about as much as one of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.discovery.search.request import TextVector
from transforms.discovery.search.scores import id_array
from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.schemas.embedding_parts import EmbeddingPart
from transforms.table.reader import EVERY_EMBEDDING, TRACK_ID, SnapshotReader
from transforms.table.sampling import track_hashes

TEXT_TERM = "text"
"""Label of what a text adds to a score."""

TEXT_FORMULA = "(cosine - mean) / deviation of the text, over a sample of the tracks"

_SAMPLED_TRACKS = 20_000

_LEAST_DEVIATION = 1e-6
"""A smaller one is rounding: then differences of cosines are not scaled."""

_ROWS = 4_096
"""Embeddings that are compared at once."""

Float64s = npt.NDArray[np.float64]


class _Cosines(NamedTuple):
    """Tracks, and their cosines: float64 [n]."""

    track_ids: pa.Array
    values: Float64s


class SoundComparison:
    """Compares the tracks of a snapshot with a text.

    Attributes:
      name: of the trunk, as bundles call it.
      left_out: embeddings of the snapshot that do not have the trunk. Their tracks are not compared.

    Raises:
      DiscoveryError: no embedding of the snapshot has the trunk, or the trunk's patch embeddings are of another length.
    """

    def __init__(self, snapshot: SnapshotReader, text: TextVector) -> None:
        self._snapshot, values = snapshot, np.array(text.values, np.float64)
        self._query = values / np.sqrt(np.square(values).sum())
        self._means = _means_of(snapshot, text)
        self.name = next(iter(self._means.values())).name
        self.left_out = [name for name in snapshot.manifest.run.embedding_ids if name not in self._means]
        self._sampled: dict[int, _Cosines] = {}
        self._scale: tuple[float, float] | None = None

    def cosines(self, track_ids: pa.ChunkedArray | pa.Array | Sequence[str], bucket: int | None) -> Float64s:
        """Cosines of tracks in their order, rounded to 1e-6: float64 [n]; NaN for those that are not compared.

        Args:
          track_ids: the tracks.
          bucket: the bucket that they all are in; None: any, then only files with these tracks are opened.

        Raises:
          StorageError: a file is missing or damaged.
        """
        ids = id_array(track_ids)
        self._fit()
        if bucket is not None and bucket in self._sampled:
            found = self._sampled[bucket]
        else:
            found = self._read(bucket, None if bucket is not None else ids)
        places = pc.fill_null(pc.index_in(ids, value_set=found.track_ids), -1).to_numpy(zero_copy_only=False)
        cosines = np.full(len(ids), np.nan)
        cosines[places >= 0] = found.values[places[places >= 0]]
        return cosines

    def values(self, cosines: Float64s) -> Float64s:
        """What cosines add to the scores of their tracks: float64 [n]; 0 for NaN."""
        mean, deviation = self._fit()
        return np.where(np.isfinite(cosines), (cosines - mean) / deviation, 0.0)

    def _fit(self) -> tuple[float, float]:
        """Mean and deviation of the cosines of the sample. Its buckets are kept, so that they are read once."""
        if self._scale is None:
            buckets = self._snapshot.buckets
            order = np.argsort(track_hashes(TEXT_TERM, map(str, range(buckets))), kind="stable").tolist()
            count = 0
            for bucket in order:
                self._sampled[bucket] = self._read(bucket, None)
                count += len(self._sampled[bucket].values)
                if count >= _SAMPLED_TRACKS:
                    break
            found = np.concatenate([one.values for one in self._sampled.values()])
            if not len(found):
                self._scale = 0.0, 1.0
            else:
                deviation = float(found.std())
                self._scale = float(found.mean()), deviation if deviation >= _LEAST_DEVIATION else 1.0
        return self._scale

    def _read(self, bucket: int | None, track_ids: pa.Array | None) -> _Cosines:
        """The cosines of the tracks of a bucket, or of some tracks, that have the trunk."""
        columns = [TRACK_ID, "embedding_id", "embedding"]
        batches = self._snapshot.batches(
            "embeddings", columns, track_ids=track_ids, bucket=bucket, embedding_id=EVERY_EMBEDDING
        )
        found = [part for batch in batches for part in self._compared(batch)]
        ids = pa.concat_arrays([one.track_ids for one in found]) if found else pa.array([], pa.string())
        return _Cosines(ids, np.concatenate([np.zeros(0), *(one.values for one in found)]))

    def _compared(self, batch: pa.RecordBatch) -> Iterator[_Cosines]:
        for name, part in self._means.items():
            own = batch.filter(pc.equal(batch["embedding_id"], name))
            for start in range(0, len(own), _ROWS):
                rows = own.slice(start, _ROWS)
                values = np.asarray(rows["embedding"].flatten()).reshape(len(rows), -1)
                yield _Cosines(rows[TRACK_ID], self._cosines(values[:, part.start : part.stop].astype(np.float64)))

    def _cosines(self, means: Float64s) -> Float64s:
        """float64 [n, d] -> [n], each independent of the other rows; 0 for a mean of zeros."""
        lengths = np.sqrt(np.square(means).sum(-1))
        cosines: Float64s = np.multiply(means, self._query).sum(-1) / np.where(lengths > 0, lengths, 1)
        return cosines.round(6)


def _means_of(snapshot: SnapshotReader, text: TextVector) -> Mapping[str, EmbeddingPart]:
    """embedding_id -> the part with the mean of the trunk, of the embeddings that have it."""
    run = snapshot.manifest.run
    found: dict[str, EmbeddingPart] = {}
    for name in run.embedding_ids:
        means = [part for part in run.embedding_parts.get(name, ()) if part.kind == "mean"]
        trunks = dict(zip(run.trunk_ids.get(name, ()), means, strict=False))
        if text.trunk_id in trunks:
            found[name] = trunks[text.trunk_id]
    if not found:
        raise DiscoveryError(_no_trunk(snapshot, text))
    for part in found.values():
        if part.stop - part.start != len(text.values):
            raise DiscoveryError(
                f"the text network {text.text_id} gives {len(text.values)} values, but trunk {text.trunk_id} "
                f"({part.name}) gives {part.stop - part.start}: import it for its own trunk"
            )
    return found


def _no_trunk(snapshot: SnapshotReader, text: TextVector) -> str:
    run, number = snapshot.manifest.run, snapshot.manifest.number
    wanted = f"the text network {text.text_id} belongs to trunk {text.trunk_id}"
    if not any(name in run.trunk_ids for name in run.embedding_ids):
        return (
            f"{wanted}, but snapshot {number} does not say which trunks its embeddings are of, because an earlier "
            "version wrote it: run `tag` once more"
        )
    parts = []
    for name in run.embedding_ids:
        trunks = run.trunk_ids.get(name, ())
        parts.append(f"{name} of trunk {' and '.join(trunks)}" if trunks else f"{name} without a known trunk")
    return (
        f"{wanted}, but snapshot {number} has embeddings {', '.join(parts)}: import the text network of this trunk, or "
        "tag with a bundle that has the other one"
    )
